from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from inspector_app.gui.models import tree_model
from inspector_app.gui.models.cells import Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.protocol import changes
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.tables import Row, module, parameter, table_of, table_of_rows
from widgets.badges import Badge
from widgets.tree_view import LazyTreeView, TreeRole

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def model(qapp, table) -> RowTreeModel:
    model = RowTreeModel()
    QAbstractItemModelTester(model, FATAL, model)
    model.set_table(table, "small")
    return model


def cell(model: RowTreeModel, row_id: int, column: Column, role=Qt.ItemDataRole.DisplayRole):
    return model.index_of(row_id, column).data(role)


def named(model: RowTreeModel, row_id: int, role: TreeRole):
    return cell(model, row_id, Column.NAME, role)


def shown(model: QAbstractItemModel, parent: QModelIndex | None = None) -> list:
    """(id, children) of all that a view would find."""
    parent = parent or QModelIndex()
    rows = [model.index(row, 0, parent) for row in range(model.rowCount(parent))]
    return [(model.row_id(index), shown(model, index)) for index in rows]


def naive(table: RowTable, text: str) -> list:
    """The same, worked out row by row."""
    paths = [table.path(at).lower() for at in range(len(table))]

    def wanted(at: int) -> bool:
        if not text or at == 0 or text in paths[at]:
            return True
        return any(text in paths[below] for below in range(at, table.end[at]))

    def below(parent: int) -> list:
        at = [p for p in range(len(table)) if table.parent[p] == parent and wanted(p)]
        return [(int(table.ids[p]), below(p)) for p in at]

    return below(-1)


# -- cells -----------------------------------------------------------------------------------------


def test_the_root_is_a_row_named_by_the_title(model):
    assert model.rowCount() == 1
    assert cell(model, 0, Column.NAME) == "small"
    assert cell(model, 0, Column.CLASS) == "Small"
    assert cell(model, 0, Column.NAME, Qt.ItemDataRole.ToolTipRole).startswith("small\nSmall")


def test_a_tensor_shows_its_facts(model):
    texts = [cell(model, 5, column) for column in Column]
    assert texts == ["weight", "Parameter", "8 × 8", "float32", "cpu", "64", "256 B"]
    tip = cell(model, 5, Column.NAME, Qt.ItemDataRole.ToolTipRole)
    assert tip.splitlines() == ["body.0.weight", "Parameter"]


def test_a_module_sums_up_its_subtree(model):
    assert cell(model, 3, Column.PARAMETERS) == str(64 + 8 + 8 + 8)
    assert cell(model, 3, Column.BYTES) == f"{(64 + 8 * 4) * 4} B"
    assert cell(model, 3, Column.TYPE) == "float32"
    assert cell(model, 3, Column.SHAPE) == ""
    # The tied weight counts once in the root, and in each of its owners.
    assert cell(model, 0, Column.PARAMETERS) == str(96 + 88)
    assert cell(model, 12, Column.PARAMETERS) == cell(model, 1, Column.PARAMETERS) == "96"
    tip = cell(model, 0, Column.PARAMETERS, Qt.ItemDataRole.ToolTipRole)
    assert tip == "184 parameters, 184 of them trainable"


def test_numbers_stand_at_the_right(model):
    right = int(Qt.AlignmentFlag.AlignRight)
    aligned = [cell(model, 5, c, Qt.ItemDataRole.TextAlignmentRole) & right for c in Column]
    assert [bool(a) for a in aligned] == [False] * 5 + [True] * 2


def test_a_row_that_is_neither_tensor_nor_module_has_no_facts(model):
    assert [cell(model, 16, c) for c in Column] == ["width", "int", "", "", "", "", ""]


def test_badges_say_how_a_row_is_held(model):
    assert named(model, 0, TreeRole.BADGES) == (Badge("M", "module"),)
    assert named(model, 5, TreeRole.BADGES) == (Badge("P", "parameter"),)
    assert named(model, 11, TreeRole.BADGES) == (Badge("B", "buffer"),)
    assert named(model, 14, TreeRole.BADGES) == (Badge("B", "buffer", hollow=True),)
    assert named(model, 15, TreeRole.BADGES) == (Badge("A", "attribute", warning=True),)
    assert named(model, 16, TreeRole.BADGES) == (Badge("A", "attribute"),)


def test_ties_name_the_other_row(model):
    assert named(model, 2, TreeRole.TIED) == "head.weight"
    assert named(model, 13, TreeRole.TIED) == "embed.weight"
    assert named(model, 5, TreeRole.TIED) is None


def test_meta_and_lazy_tensors_stand_in_italics(qapp):
    meta = parameter("meta", 3, flags=Flag.TENSOR | Flag.META)
    lazy = Row("lazy", Role.PARAMETER, Flag.TENSOR | Flag.LAZY, "UninitializedParameter")
    model = RowTreeModel()
    model.set_table(table_of(module("", "M", meta, lazy)), "m")
    assert named(model, 1, TreeRole.ITALIC)
    assert named(model, 2, TreeRole.ITALIC)
    assert not named(model, 0, TreeRole.ITALIC)
    assert cell(model, 2, Column.SHAPE) == cell(model, 2, Column.BYTES) == "not known yet"


def test_scalars_and_items_are_named(qapp):
    item = Row("[0]", Role.ATTRIBUTE, Flag.TENSOR | Flag.ITEM, "Tensor", (), "int64", "cpu")
    many = Row("many", Role.ATTRIBUTE, Flag.CONTAINER, "list", below=[item])
    model = RowTreeModel()
    model.set_table(table_of(module("", "M", many)), "m")
    assert cell(model, 2, Column.SHAPE) == "scalar"
    assert named(model, 1, TreeRole.BADGES)[0].warning  # what it holds is registered nowhere
    assert cell(model, 2, Column.NAME, Qt.ItemDataRole.ToolTipRole).startswith("many[0]")


def test_a_checkpoint_sums_elements_of_its_groups(qapp):
    def tensor(name):
        return Row(name, Role.TENSOR, Flag.TENSOR, "Tensor", (5, 2), "bfloat16", "cpu")

    group = Row("layers", Role.GROUP, 0, "", below=[tensor("a"), tensor("b")])
    model = RowTreeModel()
    model.set_table(table_of(Row("", Role.GROUP, 0, "", below=[group, tensor("c")])), "file")
    assert cell(model, 1, Column.PARAMETERS) == "20"
    assert cell(model, 0, Column.PARAMETERS) == "30"
    assert named(model, 0, TreeRole.FREEZE) is None
    assert named(model, 1, TreeRole.BADGES) == (Badge("G", "group"),)


def test_headers_say_what_the_columns_mean(model):
    horizontal = Qt.Orientation.Horizontal
    names = [model.headerData(c, horizontal) for c in Column]
    assert names == ["Name", "Class", "Shape", "Type", "Device", "Parameters", "Bytes"]
    assert "tied" in model.headerData(Column.PARAMETERS, horizontal, Qt.ItemDataRole.ToolTipRole)


# -- freezing --------------------------------------------------------------------------------------


def frozen(table: RowTable, *row_ids: int) -> RowTable:
    flags = table.flags.copy()
    flags[table.positions(np.asarray(row_ids))] &= np.uint32(0xFFFFFFFF - Flag.REQUIRES_GRAD)
    return msgspec.structs.replace(table, flags=flags)


def test_the_freeze_box_has_three_states(model, table):
    checked, partly, unchecked = (
        Qt.CheckState.Checked,
        Qt.CheckState.PartiallyChecked,
        Qt.CheckState.Unchecked,
    )
    assert named(model, 4, TreeRole.FREEZE) == unchecked
    model.apply_change(changes.difference(table, frozen(table, 5)))
    assert named(model, 5, TreeRole.FREEZE) == checked
    assert named(model, 4, TreeRole.FREEZE) == named(model, 0, TreeRole.FREEZE) == partly
    model.apply_change(changes.difference(model.table, frozen(model.table, 6)))
    assert named(model, 4, TreeRole.FREEZE) == checked
    assert named(model, 4, TreeRole.FROZEN)
    assert named(model, 7, TreeRole.FREEZE) is None  # ReLU has nothing to freeze
    assert named(model, 11, TreeRole.FREEZE) is None  # nor has a buffer


def test_a_change_of_values_is_announced_up_to_the_root_and_nowhere_else(model, table):
    told: set[int] = set()

    def note(top: QModelIndex, bottom: QModelIndex) -> None:
        rows = range(top.row(), bottom.row() + 1)
        told.update(model.row_id(top.siblingAtRow(row)) for row in rows)
        assert (top.column(), bottom.column()) == (0, len(Column) - 1)

    model.dataChanged.connect(note)
    model.apply_change(changes.difference(table, frozen(table, 5)))
    assert told == {0, 3, 4, 5}


def test_a_change_of_nearly_everything_is_one_signal(qapp):
    layers = [module(str(n), "Linear", parameter("weight", 2)) for n in range(200)]
    table = table_of(module("", "M", *layers))
    model = RowTreeModel()
    QAbstractItemModelTester(model, FATAL, model)
    model.set_table(table, "m")
    signals = []
    model.dataChanged.connect(lambda *_: signals.append("data"))
    model.layoutChanged.connect(lambda *_: signals.append("all"))
    ids = table.ids[table.role == Role.PARAMETER].tolist()
    model.apply_change(changes.difference(table, frozen(table, *ids)))
    assert signals == ["all"]
    # A view that offers to repaint itself is spared the new layout.
    signals.clear()
    model.values_changed.connect(lambda: signals.append("values"))
    model.apply_change(changes.difference(model.table, table))
    assert signals == ["values"]
    model.apply_change(changes.difference(table, frozen(table, *ids)))
    assert named(model, 0, TreeRole.FREEZE) == Qt.CheckState.Checked


def test_watched_rows_are_marked(model):
    model.set_watched([4, 7, 999])
    assert named(model, 4, TreeRole.LIVE)
    assert named(model, 7, TreeRole.LIVE)
    told = []
    model.dataChanged.connect(lambda top, bottom, roles: told.append(model.row_id(top)))
    model.set_watched([4])
    assert told == [7]
    assert not named(model, 7, TreeRole.LIVE)


# -- structure -------------------------------------------------------------------------------------


def test_indexes_lead_to_rows_and_back(model, table):
    assert shown(model) == naive(table, "")
    for row_id in table.ids.tolist():
        index = model.index_of(row_id)
        assert model.row_id(index) == named(model, row_id, TreeRole.ROW_ID) == row_id
    assert not model.index_of(999).isValid()
    assert model.row_id(QModelIndex()) == -1


def test_rows_that_come_and_go_leave_the_others_their_indexes(model, table):
    embed, head = (
        QPersistentModelIndex(model.index_of(1)),
        QPersistentModelIndex(model.index_of(12)),
    )
    gone = QPersistentModelIndex(model.index_of(5))
    new = table_of(
        module(
            "",
            "Small",
            module("embed", "Embedding", parameter("weight", 12, 8), id=1),
            module("fresh", "Linear", parameter("weight", 2, id=101), id=100),
            module("head", "Linear", parameter("weight", 12, 8, id=13), id=12),
            id=0,
        )
    )
    new.ids[2] = 2
    signals = []
    model.rowsInserted.connect(lambda *_: signals.append("inserted"))
    model.rowsRemoved.connect(lambda *_: signals.append("removed"))
    model.apply_change(changes.difference(table, new))
    assert shown(model) == naive(new, "")
    assert set(signals) == {"inserted", "removed"}
    assert (embed.row(), head.row(), gone.isValid()) == (0, 2, False)
    assert cell(model, 0, Column.PARAMETERS) == str(96 + 2 + 96)


def test_an_unknown_row_in_a_change_is_an_error(model, table):
    other = table_of(module("", "M", parameter("weight", 1, id=77)))
    change = changes.difference(other, frozen(other, 77))
    with pytest.raises(KeyError):
        model.apply_change(change)


# -- filter ----------------------------------------------------------------------------------------


def test_the_filter_keeps_ancestors_and_subtrees(model):
    model.set_filter("BODY.2")
    assert shown(model) == [(0, [(3, [(8, [(9, []), (10, []), (11, [])])])])]
    assert model.matches() == [8]
    assert model.shown_rows == 6
    model.set_filter("")
    assert shown(model) == naive(model.table, "")


def test_a_filter_without_a_match_leaves_the_root(model):
    model.set_filter("nothing like it")
    assert shown(model) == [(0, [])]
    assert not model.index_of(5).isValid()


def test_what_was_found_is_marked_in_the_name(model):
    model.set_filter("eigh")
    assert named(model, 5, TreeRole.MATCH) == (1, 4)
    assert named(model, 4, TreeRole.MATCH) is None
    model.set_filter("")
    assert named(model, 5, TreeRole.MATCH) is None


@st.composite
def tables(draw):
    """Random rows; their ids are in no order."""
    count = draw(st.integers(1, 11))
    parents = [-1] + [draw(st.integers(0, at - 1)) for at in range(1, count)]
    children: dict[int, list[int]] = {at: [] for at in range(count)}
    for at, parent in enumerate(parents[1:], 1):
        children[parent].append(at)
    order, waiting = [], [0]
    while waiting:
        at = waiting.pop()
        order.append(at)
        waiting += reversed(children[at])
    place = {at: position for position, at in enumerate(order)}
    names = st.sampled_from(["weight", "bias", "norm", "No", "x"])
    flags = st.sampled_from([0, Flag.CAN_TRAIN, Flag.CAN_TRAIN | Flag.REQUIRES_GRAD])
    rows = []
    for at in order:
        name = f"{draw(names)}{at}" if at else ""
        flag = Flag.TENSOR | Flag.IN_PARAMETERS | draw(flags)
        rows.append(Row(name, Role.PARAMETER, flag, "P", (at + 1,), "float32", "cpu", id=at))
    return table_of_rows(rows, [place.get(parents[at], -1) for at in order])


@st.composite
def changed_tables(draw):
    """A table and another that shares rows with it: some went, some came, some differ."""
    old = draw(tables())
    going = {at for at in range(1, len(old)) if draw(st.integers(0, 4)) == 0}
    rows, parents, where = [], [], {}
    fresh = len(old) + 10
    for at in range(len(old)):
        above = int(old.parent[at])
        if at in going or (at and above not in where):
            continue
        where[at] = len(rows)
        flags = int(old.flags[at]) ^ (Flag.REQUIRES_GRAD if draw(st.booleans()) else 0)
        row_id = int(old.ids[at])
        rows.append(Row(old.name(at), Role.PARAMETER, flags, "P", old.shape(at), "float32", "cpu"))
        rows[-1].id = row_id
        parents.append(where.get(above, -1))
        if draw(st.integers(0, 3)) == 0:
            rows.append(parameter(f"new{fresh}", 2, id=fresh))
            parents.append(where[at])
            fresh += 1
    return old, table_of_rows(rows, parents)


TEXTS = ["", "we", "n", "no", "x1."]


@pytest.mark.parametrize("most", [0, 10_000])
@given(
    changed=changed_tables(),
    texts=st.lists(st.sampled_from(["", "we", "n", "no", "x1."]), max_size=3),
)
def test_any_change_under_any_filter_equals_a_model_made_anew(qapp, most, changed, texts):
    """Both ways of telling a view: group by group, and all at once."""
    old, new = changed
    limit, tree_model.MOST_GROUPS = tree_model.MOST_GROUPS, most
    try:
        model = RowTreeModel()
        tester = QAbstractItemModelTester(model, FATAL)
        view = LazyTreeView()
        model.set_table(old, "any")
        view.setModel(model)
        view.expandAll()
        held = {i: QPersistentModelIndex(model.index_of(i)) for i in old.ids.tolist()}
        text = ""
        for text in texts:
            model.set_filter(text)
            assert shown(model) == naive(old, text)
        model.apply_change(changes.difference(old, new))
        assert shown(model) == naive(new, text)
        for row_id, index in held.items():
            assert model.row_id(index) == (row_id if index.isValid() else -1)
            if index.isValid():
                assert QModelIndex(index) == model.index_of(row_id)
            elif not texts:  # only those that went lose their index
                assert row_id not in new.ids
        model.set_filter("")
        anew = RowTreeModel()
        anew.set_table(new, "any")
        assert shown(model) == shown(anew) == naive(new, "")
        for row_id in new.ids.tolist():
            for column in Column:
                assert cell(model, row_id, column) == cell(anew, row_id, column)
            assert named(model, row_id, TreeRole.FREEZE) == named(anew, row_id, TreeRole.FREEZE)
        del tester
        view.deleteLater()
    finally:
        tree_model.MOST_GROUPS = limit
