from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.models.cells import Cells
from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.layout import Layout
from inspector_app.gui.models.names import Names
from inspector_app.gui.models.row_values import RowValues
from inspector_app.gui.models.sorting import Sorting, model_order, ranks_of, sorted_order
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.tables import EVAL, Row, module, parameter, table_of
from tests.protocol.trees import table_of as table_of_tree
from tests.protocol.trees import trees


def below_root(table: RowTable, column: Column, descending: bool = False) -> list[str]:
    order = sorted_order(RowValues(table), Names(table), Sorting(column, descending))
    layout = Layout(table, np.ones(len(table), bool), order)
    return [table.name(layout.child(0, row)) for row in range(layout.count(0))]


@given(trees(), st.sampled_from(Column), st.booleans())
def test_brothers_stand_by_their_cells_and_empty_ones_last(tree, column, descending):
    table = table_of_tree(tree)
    values, names = RowValues(table), Names(table)
    order = sorted_order(values, names, Sorting(column, descending)).tolist()
    assert sorted(order) == list(range(len(table)))
    ranks, empty = ranks_of(values, names, column)
    cells = Cells(table, "title")
    place = {position: at for at, position in enumerate(order)}
    parents = [int(table.parent[position]) for position in order]
    assert parents == sorted(parents)
    for position in range(1, len(table)):
        text = cells.text(position, column)
        # Sorted by is what is shown: what shows nothing, or what is not known, is empty.
        assert bool(empty[position]) == (text in ("", "not known yet")) or column == Column.NAME
        for other in range(position):
            if table.parent[other] != table.parent[position]:
                continue
            key, other_key = (
                (bool(empty[p]), 0 if empty[p] else -ranks[p] if descending else ranks[p], p)
                for p in (position, other)
            )
            assert (place[position] < place[other]) == (key < other_key)
            if cells.text(other, column) == text and column not in (Column.BYTES, Column.LOGICAL):
                assert place[other] < place[position] or ranks[other] != ranks[position]


@given(trees())
def test_the_order_of_the_model_is_that_of_the_table(tree):
    table = table_of_tree(tree)
    order = model_order(table).tolist()
    assert order == sorted(range(len(table)), key=lambda at: (int(table.parent[at]), at))


@pytest.fixture
def table() -> RowTable:
    def tensor(name: str, *shape: int, **more) -> Row:
        row = parameter(name, *shape)
        for key, value in more.items():
            setattr(row, key, value)
        return row

    lazy = Row("lazy", Role.PARAMETER, Flag.TENSOR | Flag.LAZY, "Parameter", None, "float32", "cpu")
    return table_of(
        module(
            "",
            "M",
            tensor("layer10", 10, 2, dtype="int64", device="cuda:10"),
            tensor("layer2", 9, 30, device="cuda:2"),
            module("B", "linear", parameter("x", 5)),
            lazy,
            module("a", "Conv", flags=EVAL),
            tensor("none", flags=Flag.TENSOR | Flag.OVERLAPS),
        )
    )


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (Column.NAME, "a B layer2 layer10 lazy none"),
        (Column.CLASS, "a B layer10 layer2 lazy none"),
        (Column.SHAPE, "none layer2 layer10 B lazy a"),
        (Column.TYPE, "layer2 B lazy none layer10 a"),
        (Column.DEVICE, "B lazy none layer2 layer10 a"),
        (Column.PARAMETERS, "a none B layer10 layer2 lazy"),
        (Column.TRAINABLE, "a none B layer10 layer2 lazy"),
        (Column.BYTES, "a none B layer10 layer2 lazy"),
        (Column.LOGICAL, "a none B layer10 layer2 lazy"),
        (Column.MODE, "a B layer10 layer2 lazy none"),
        (Column.HELD, "B a layer10 layer2 lazy none"),
        (Column.MARKS, "none lazy layer10 layer2 B a"),
    ],
)
def test_each_column_sorts_as_people_expect(table, column, order):
    assert below_root(table, column) == order.split()


def test_backwards_the_empty_ones_are_last_as_well(table):
    names = ["layer10", "layer2", "none", "B", "lazy", "a"]
    assert below_root(table, Column.SHAPE, descending=True) == names
