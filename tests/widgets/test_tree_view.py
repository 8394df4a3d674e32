import pytest
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPoint, Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel

from tests.widgets import examples
from tests.widgets.conftest import image_of
from widgets.theme import GRID
from widgets.tree_view import LazyTreeView, RowLook, TreeRole

CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


@pytest.fixture
def view(qtbot):
    view = examples.tree_view()
    qtbot.addWidget(view)
    view.show()
    return view


def ids_by_name(view):
    found = {}
    waiting = [view.model().index(0, 0)]
    while waiting:
        index = waiting.pop()
        found.setdefault(index.data(), index)
        waiting += [view.model().index(r, 0, index) for r in range(view.model().rowCount(index))]
    return found


def box_of(view, index):
    rect = view.visualRect(index)
    return QPoint(rect.left() + 10, rect.center().y())


def click(qtbot, view, place, keys=Qt.KeyboardModifier.NoModifier):
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, keys, place)


def test_rows_stand_on_the_grid(view):
    assert view.rowHeight(view.model().index(0, 0)) == 3 * GRID
    assert view.uniformRowHeights()


@pytest.mark.parametrize(("name", "wish"), [("encoder", False), ("norm", True), ("resnet", True)])
def test_a_click_on_the_box_asks_for_the_other_state(view, qtbot, name, wish):
    index = ids_by_name(view)[name]
    before = view.selected_rows()
    with qtbot.waitSignal(view.freeze_toggled) as asked:
        click(qtbot, view, box_of(view, index))
    assert asked.args == [index.data(TreeRole.ROW_ID), wish]
    assert view.selected_rows() == before, "the box does not select"


def test_a_click_beside_the_box_selects(view, qtbot):
    index = ids_by_name(view)["head"]
    rect = view.visualRect(index)
    with qtbot.assertNotEmitted(view.freeze_toggled):
        click(qtbot, view, QPoint(rect.left() + 60, rect.center().y()))
    assert view.selected_rows() == [index.data(TreeRole.ROW_ID)]


def test_a_row_without_freezing_has_no_box(view, qtbot):
    index = ids_by_name(view)["mask"]
    with qtbot.assertNotEmitted(view.freeze_toggled):
        click(qtbot, view, box_of(view, index))
        view.select_row(index.data(TreeRole.ROW_ID))
        qtbot.keyClick(view, Qt.Key.Key_Space)
    assert view.current_row() == index.data(TreeRole.ROW_ID)


def test_space_toggles_the_current_row(view, qtbot):
    index = ids_by_name(view)["norm"]
    view.select_row(index.data(TreeRole.ROW_ID))
    with qtbot.waitSignal(view.freeze_toggled) as asked:
        qtbot.keyClick(view, Qt.Key.Key_Space)
    assert asked.args == [index.data(TreeRole.ROW_ID), True]


def test_several_selected_rows_are_toggled_in_one_wish(view, qtbot):
    rows = ids_by_name(view)
    first, second = rows["norm"], rows["head"]
    view.select_row(first.data(TreeRole.ROW_ID))
    rect = view.visualRect(second)
    click(
        qtbot,
        view,
        QPoint(rect.left() + 60, rect.center().y()),
        Qt.KeyboardModifier.ControlModifier,
    )
    ids = [index.data(TreeRole.ROW_ID) for index in (first, second)]
    assert sorted(view.selected_rows()) == ids
    with (
        qtbot.assertNotEmitted(view.freeze_toggled),
        qtbot.waitSignal(view.freeze_rows_toggled) as asked,
    ):
        click(qtbot, view, box_of(view, second))
    assert sorted(asked.args[0]) == ids
    assert asked.args[1] is True


def test_a_double_click_activates_but_not_on_the_box(view, qtbot):
    index = ids_by_name(view)["head"]
    rect = view.visualRect(index)
    place = QPoint(rect.left() + 60, rect.center().y())
    with qtbot.waitSignal(view.row_activated) as told:
        click(qtbot, view, place)
        qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert told.args == [index.data(TreeRole.ROW_ID)]
    with qtbot.assertNotEmitted(view.row_activated):
        qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=box_of(view, index))


def test_select_row_opens_what_is_above(view, qtbot):
    view.collapseAll()
    index = ids_by_name(view)["bias"]
    with qtbot.waitSignals([view.current_row_changed, view.selection_rows_changed]):
        assert view.select_row(index.data(TreeRole.ROW_ID))
    assert view.isExpanded(index.parent())
    assert view.visualRect(index).isValid()
    assert not view.select_row(10_000)


def test_the_pointer_is_a_hand_over_a_box(view, qtbot):
    index = ids_by_name(view)["norm"]
    qtbot.mouseMove(view.viewport(), box_of(view, index))
    qtbot.waitUntil(lambda: view.viewport().cursor().shape() == Qt.CursorShape.PointingHandCursor)
    qtbot.mouseMove(view.viewport(), box_of(view, index) + QPoint(60, 0))
    qtbot.waitUntil(lambda: view.viewport().cursor().shape() == Qt.CursorShape.ArrowCursor)


def test_a_view_without_a_model_has_no_rows(qtbot):
    view = LazyTreeView()
    qtbot.addWidget(view)
    assert view.selected_rows() == []
    assert view.current_row() == -1
    assert not view.select_row(1)


class ManyRows(QAbstractItemModel):
    """A flat list that counts which rows are asked for their text."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def rowCount(self, parent=QModelIndex()):  # noqa: B008
        return 0 if parent.isValid() else 100_000

    def columnCount(self, parent=QModelIndex()):  # noqa: B008
        return 2

    def index(self, row, column, parent=QModelIndex()):  # noqa: B008
        return self.createIndex(row, column, row)

    def parent(self, index):
        return QModelIndex()

    def index_of(self, row_id):
        return self.index(row_id, 0)

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        if role == TreeRole.ROW_ID:
            return index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            self.asked.add(index.row())
            return f"row {index.row()}"
        return None


def test_only_rows_in_sight_are_read(qtbot):
    model = ManyRows()
    view = LazyTreeView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.resize(300, 10 * 3 * GRID)
    view.show()
    image_of(view)
    assert 5 < len(model.asked) < 200
    model.asked.clear()
    assert view.select_row(70_000), "index_of is used where the model has it"
    image_of(view)
    assert len(model.asked) < 200
    assert max(model.asked) >= 70_000


def painted(qtbot, look: RowLook):
    """A picture of one row."""
    model = QStandardItemModel()
    item = QStandardItem("weight")
    item.setData(look, TreeRole.LOOK)
    model.appendRow(item)
    view = LazyTreeView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.setHeaderHidden(True)
    view.setColumnWidth(0, 240)
    view.resize(240, 3 * GRID)
    view.show()
    picture = image_of(view)
    view.setModel(None)
    return picture


def test_every_look_is_seen(qtbot):
    badge = examples.Badge("P", "parameter")
    looks = [
        RowLook(),
        RowLook(freeze=CHECKED),
        RowLook(freeze=UNCHECKED),
        RowLook(freeze=Qt.CheckState.PartiallyChecked),
        RowLook(frozen=True),
        RowLook(marks=("link",)),
        RowLook(marks=("link", "hook")),
        RowLook(note="eval"),
        RowLook(italic=True),
        RowLook(spans=((1, 2),)),
        RowLook(spans=((1, 2), (4, 1))),
        RowLook(live=True),
        RowLook(badges=(badge,)),
        RowLook(badges=(badge,), dim=True),
    ]
    pictures = [bytes(painted(qtbot, look).constBits()) for look in looks]
    assert len(set(pictures)) == len(looks)


def test_the_theme_changes_all_of_it(view, manager):
    light = image_of(view)
    manager.choose("dark")
    dark = image_of(view)
    corner = (view.width() // 2, view.height() - 20)
    assert light.pixelColor(*corner).lightness() > 200
    assert dark.pixelColor(*corner).lightness() < 60
