from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from inspector_app.gui.filtering.query import parse
from inspector_app.gui.models import tree_model
from inspector_app.gui.models.columns import COLUMNS, NUMBERS, Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.protocol import changes
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.tables import Row, module, parameter, table_of, table_of_rows
from widgets.badges import Badge
from widgets.tree_row import RowLook
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


def look(model: RowTreeModel, row_id: int) -> RowLook:
    return cell(model, row_id, Column.NAME, TreeRole.LOOK)


def texts_of(model: RowTreeModel, row_id: int, *columns: Column) -> list[str]:
    return [cell(model, row_id, column) for column in columns]


FIRST = (
    Column.NAME,
    Column.CLASS,
    Column.SHAPE,
    Column.TYPE,
    Column.DEVICE,
    Column.PARAMETERS,
    Column.BYTES,
)


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
    assert texts_of(model, 5, *FIRST) == [
        "weight",
        "Parameter",
        "8 × 8",
        "float32",
        "cpu",
        "64",
        "256 B",
    ]
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
    assert [bool(a) for a in aligned] == [column in NUMBERS for column in Column]


def test_a_row_that_is_neither_tensor_nor_module_has_no_facts(model):
    assert texts_of(model, 16, *FIRST) == ["width", "int", "", "", "", "", ""]


def test_badges_say_how_a_row_is_held(model):
    assert look(model, 0).badges == (Badge("M", "module"),)
    assert look(model, 5).badges == (Badge("P", "parameter"),)
    assert look(model, 11).badges == (Badge("B", "buffer"),)
    assert look(model, 14).badges == (Badge("B", "buffer", hollow=True),)
    assert look(model, 15).badges == (Badge("A", "attribute", warning=True),)
    assert look(model, 16).badges == (Badge("A", "attribute"),)


def test_ties_name_the_other_row(model):
    for row, other in ((2, "head.weight"), (13, "embed.weight")):
        assert look(model, row).marks == ("link",)
        tip = cell(model, row, Column.NAME, Qt.ItemDataRole.ToolTipRole)
        assert tip.splitlines()[-1] == f"tied: {other}"
    assert look(model, 5).marks == ()


def test_meta_and_lazy_tensors_stand_in_italics(qapp):
    meta = parameter("meta", 3, flags=Flag.TENSOR | Flag.META)
    lazy = Row("lazy", Role.PARAMETER, Flag.TENSOR | Flag.LAZY, "UninitializedParameter")
    model = RowTreeModel()
    model.set_table(table_of(module("", "M", meta, lazy)), "m")
    assert look(model, 1).italic
    assert look(model, 2).italic
    assert not look(model, 0).italic
    assert cell(model, 2, Column.SHAPE) == cell(model, 2, Column.BYTES) == "not known yet"


def test_scalars_and_items_are_named(qapp):
    item = Row("[0]", Role.ATTRIBUTE, Flag.TENSOR | Flag.ITEM, "Tensor", (), "int64", "cpu")
    many = Row("many", Role.ATTRIBUTE, Flag.CONTAINER, "list", below=[item])
    model = RowTreeModel()
    model.set_table(table_of(module("", "M", many)), "m")
    assert cell(model, 2, Column.SHAPE) == "scalar"
    assert look(model, 1).badges[0].warning  # what it holds is registered nowhere
    assert cell(model, 2, Column.NAME, Qt.ItemDataRole.ToolTipRole).startswith("many[0]")


def test_a_checkpoint_sums_elements_of_its_groups(qapp):
    def tensor(name):
        return Row(name, Role.TENSOR, Flag.TENSOR, "Tensor", (5, 2), "bfloat16", "cpu")

    group = Row("layers", Role.GROUP, 0, "", below=[tensor("a"), tensor("b")])
    model = RowTreeModel()
    model.set_table(table_of(Row("", Role.GROUP, 0, "", below=[group, tensor("c")])), "file")
    assert cell(model, 1, Column.PARAMETERS) == "20"
    assert cell(model, 0, Column.PARAMETERS) == "30"
    assert look(model, 0).freeze is None
    assert look(model, 1).badges == (Badge("G", "group"),)


def test_headers_say_what_the_columns_mean(model):
    horizontal = Qt.Orientation.Horizontal
    names = [model.headerData(c, horizontal) for c in Column]
    assert names == [COLUMNS[column].title for column in Column]
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
    assert look(model, 4).freeze == unchecked
    model.apply_change(changes.difference(table, frozen(table, 5)))
    assert look(model, 5).freeze == checked
    assert look(model, 4).freeze == look(model, 0).freeze == partly
    model.apply_change(changes.difference(model.table, frozen(model.table, 6)))
    assert look(model, 4).freeze == checked
    assert look(model, 4).frozen
    assert look(model, 7).freeze is None  # ReLU has nothing to freeze
    assert look(model, 11).freeze is None  # nor has a buffer


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
    assert look(model, 0).freeze == Qt.CheckState.Checked


def test_watched_rows_are_marked(model):
    model.set_watched([4, 7, 999])
    assert look(model, 4).live
    assert look(model, 7).live
    told = []
    model.dataChanged.connect(lambda top, bottom, roles: told.append(model.row_id(top)))
    model.set_watched([4])
    assert told == [7]
    assert not look(model, 7).live


def test_a_word_is_said_at_the_end_of_rows(model):
    told = []
    model.dataChanged.connect(lambda top, bottom: told.append(model.row_id(top)))
    model.set_notes({5: "missing", 999: "gone"})
    assert (look(model, 5).note, look(model, 5).note_tone) == ("missing", "warning")
    model.set_notes({})
    assert look(model, 5).note == ""
    assert told == [5, 5]


# -- structure -------------------------------------------------------------------------------------


def test_indexes_lead_to_rows_and_back(model, table):
    assert shown(model) == naive(table, "")
    for row_id in table.ids.tolist():
        index = model.index_of(row_id)
        assert model.row_id(index) == cell(model, row_id, Column.NAME, TreeRole.ROW_ID) == row_id
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


def filter_by(model: RowTreeModel, text: str) -> None:
    model.set_query(parse(text))


def test_the_filter_keeps_ancestors_and_subtrees(model):
    filter_by(model, "BODY.2")
    assert shown(model) == [(0, [(3, [(8, [(9, []), (10, []), (11, [])])])])]
    assert model.matches() == [8]
    assert model.match_count == 1
    assert model.shown_rows == 6
    filter_by(model, "")
    assert shown(model) == naive(model.table, "")


def test_a_filter_without_a_match_leaves_the_root(model):
    filter_by(model, '"nothing like it"')
    assert shown(model) == [(0, [])]
    assert not model.index_of(5).isValid()
    assert model.next_match(0, 1) == -1


def test_what_was_found_is_marked_in_the_name(model):
    filter_by(model, "eigh")
    assert look(model, 5).spans == ((1, 4),)
    assert look(model, 4).spans == ()
    filter_by(model, "body.2 eigh 2.w")
    assert look(model, 9).spans == ((1, 4), (0, 1))  # of "2.w" what stands in the name
    filter_by(model, "")
    assert look(model, 5).spans == ()


def test_rows_that_are_there_only_for_those_below_are_dim(model):
    filter_by(model, "class:Linear")
    assert look(model, 3).dim
    assert not look(model, 4).dim
    assert not look(model, 5).dim  # below what was found
    assert model.matches() == [4, 12]


def test_matches_are_gone_through_round_the_end(model):
    filter_by(model, "bias")
    assert model.matches() == [6, 10]
    assert [model.next_match(row, 1) for row in (-1, 0, 6, 10)] == [6, 6, 10, 6]
    assert [model.next_match(row, -1) for row in (-1, 0, 6, 10)] == [10, 10, 10, 6]
    assert model.next_match(999, 1) == 6


def test_a_filter_of_facts_follows_the_edits(model, table):
    filter_by(model, "frozen:yes")
    told = []
    model.matches_changed.connect(lambda: told.append(model.matches()))
    model.apply_change(changes.difference(table, frozen(table, 5)))
    assert told == [[5]]
    assert shown(model) == [(0, [(3, [(4, [(5, [])])])])]
    model.apply_change(changes.difference(model.table, table))
    assert told == [[5], []]


# -- order -----------------------------------------------------------------------------------------

DOWN = Qt.SortOrder.DescendingOrder


def below(model: RowTreeModel, row_id: int) -> list[int]:
    return [row for row, _ in shown(model, model.index_of(row_id))]


def test_brothers_are_sorted_and_go_back(model):
    assert below(model, 0) == [1, 3, 12, 14, 15, 16]
    model.sort(Column.NAME)
    assert below(model, 0) == [3, 1, 12, 14, 15, 16]  # body, embed, head, mask, scale, width
    model.sort(Column.PARAMETERS, DOWN)
    assert below(model, 0) == [1, 12, 3, 14, 15, 16]  # equal ones as the model has them
    assert below(model, 8) == [9, 10, 11]
    model.sort(-1)
    assert shown(model) == naive(model.table, "")


def test_indexes_survive_sorting(model):
    held = {row: QPersistentModelIndex(model.index_of(row)) for row in range(17)}
    model.sort(Column.CLASS, DOWN)
    for row, index in held.items():
        assert QModelIndex(index) == model.index_of(row)


def test_the_order_follows_edits_and_filters(model, table):
    model.sort(Column.TRAINABLE, DOWN)
    assert below(model, 0)[:3] == [1, 12, 3]
    model.apply_change(changes.difference(table, frozen(table, 2, 13)))
    assert below(model, 0)[:3] == [3, 1, 12]
    filter_by(model, "weight")
    assert below(model, 0) == [3, 1, 12]
    assert model.matches() == [5, 9, 2, 13]
    assert model.next_match(9, 1) == 2


def test_a_new_target_keeps_the_order(model):
    model.sort(Column.NAME, DOWN)
    model.set_table(table_of(module("", "M", parameter("a", 1), parameter("b", 1))), "other")
    assert below(model, 0) == [2, 1]


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


ORDERS = st.sampled_from([None, (Column.NAME, DOWN), (Column.PARAMETERS, DOWN), (Column.BYTES,)])


def in_rows(tree: list) -> list:
    """Rows of a tree regardless of the order of brothers."""
    return sorted((row, in_rows(rows)) for row, rows in tree)


@pytest.mark.parametrize("most", [0, 10_000])
@given(
    changed=changed_tables(),
    texts=st.lists(st.sampled_from(TEXTS), max_size=3),
    order=ORDERS,
)
def test_any_change_under_any_filter_equals_a_model_made_anew(qapp, most, changed, texts, order):
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
            filter_by(model, text)
            assert shown(model) == naive(old, text)
        if order is not None:
            model.sort(*order)
        assert in_rows(shown(model)) == in_rows(naive(old, text))
        model.apply_change(changes.difference(old, new))
        assert in_rows(shown(model)) == in_rows(naive(new, text))
        for row_id, index in held.items():
            assert model.row_id(index) == (row_id if index.isValid() else -1)
            if index.isValid():
                assert QModelIndex(index) == model.index_of(row_id)
            elif not texts:  # only those that went lose their index
                assert row_id not in new.ids
        filter_by(model, "")
        anew = RowTreeModel()
        anew.set_table(new, "any")
        assert shown(anew) == naive(new, "")
        if order is not None:
            anew.sort(*order)
        assert shown(model) == shown(anew)
        for row_id in new.ids.tolist():
            for column in Column:
                assert cell(model, row_id, column) == cell(anew, row_id, column)
            assert look(model, row_id).freeze == look(anew, row_id).freeze
        del tester
        view.deleteLater()
    finally:
        tree_model.MOST_GROUPS = limit
