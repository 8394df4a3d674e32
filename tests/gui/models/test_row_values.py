from __future__ import annotations

import numpy as np
from hypothesis import given

from inspector_app.gui.models.row_values import ITEM_BYTES, RowValues
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role
from tests.gui.tables import Row, module, parameter, small_table, table_of
from tests.protocol.trees import table_of as table_of_tree
from tests.protocol.trees import trees


@given(trees())
def test_columns_are_what_rows_say_one_by_one(tree):
    table = table_of_tree(tree)
    values, sums = RowValues(table), SubtreeSums(table)
    for position in range(len(table)):
        is_tensor = table.has(position, Flag.TENSOR)
        assert values.is_tensor[position] == is_tensor
        if is_tensor:
            assert values.elements[position] == table.count[position]
            assert values.bytes[position] == table.bytes[position]
            continue
        if table.role[position] == Role.GROUP:
            below = slice(position, int(table.end[position]))
            assert values.elements[position] == table.count[below].sum()
        else:
            assert values.elements[position] == sums.parameters(position)
        assert values.trainable[position] == sums.trainable(position)
        assert values.bytes[position] == sums.bytes(position)


@given(trees())
def test_the_nearest_module_is_found_by_going_up(tree):
    table = table_of_tree(tree)
    for position, nearest in enumerate(RowValues(table).nearest_module.tolist()):
        above = position
        while above >= 0 and table.role[above] != Role.MODULE:
            above = int(table.parent[above])
        assert nearest == above


def test_logical_bytes_count_what_is_shared_and_expanded():
    table = small_table()
    values = RowValues(table)
    assert values.logical[0] == values.bytes[0] + 12 * 8 * 4  # the tied weight once more
    assert values.has_logical.tolist()[:15] == [True] * 15
    assert not values.has_logical[16]  # a number has no bytes


def test_what_is_not_known_is_not_guessed():
    odd = Row("odd", Role.PARAMETER, Flag.TENSOR, "Parameter", (4,), "int3", "cpu")
    table = table_of(module("", "M", module("a", "A", odd), module("b", "B", parameter("w", 2))))
    assert "int3" not in ITEM_BYTES
    assert RowValues(table).has_logical.tolist() == [False, False, False, True, True]


def test_what_sums_up():
    group = Row("g", Role.GROUP, 0, "", below=[Row("t", Role.TENSOR, Flag.TENSOR, "Tensor", (2,))])
    table = table_of(Row("", Role.GROUP, 0, "", below=[group, Row("n", Role.ATTRIBUTE, 0, "int")]))
    assert RowValues(table).sums_up.tolist() == [True, True, False, False]
    assert np.array_equal(RowValues(table).elements[:2], [2, 2])
