import pytest
from hypothesis import given

from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.protocol.trees import Node, table_of, trees

REGISTERED = Flag.IN_PARAMETERS | Flag.MOVED
TRAINED = Flag.TENSOR | Flag.IN_PARAMETERS | Flag.REQUIRES_GRAD | Flag.CAN_TRAIN
STORED = (Role.PARAMETER, Role.BUFFER, Role.TENSOR)


def below(table: RowTable, position: int) -> list[int]:
    """Positions of stored tensors that a row speaks of, found without the table's ``end``."""
    inside = [position]
    inside += [p for p in range(position + 1, len(table)) if _is_below(table, p, position)]
    stored = [p for p in inside if table.role[p] in STORED and table.has(p, Flag.TENSOR)]
    registered = [p for p in stored if _registered(table, p)]
    return registered if registered or position == 0 else stored


def _is_below(table: RowTable, position: int, ancestor: int) -> bool:
    while position > ancestor:
        position = int(table.parent[position])
    return position == ancestor


def _registered(table: RowTable, position: int) -> bool:
    return table.role[position] == Role.TENSOR or table.has(position, REGISTERED)


def total(table: RowTable, positions: list[int], values) -> int:
    """Sum of ``values``, each memory once."""
    by_memory = {(p, None) if table.tie[p] < 0 else (table.tie[p],): p for p in positions}
    return sum(int(values[p]) for p in by_memory.values())


@given(trees())
def test_sums_agree_with_a_count_by_hand(tree):
    table = table_of(tree)
    sums = SubtreeSums(table)
    for position in range(len(table)):
        stored = below(table, position)
        parameters = [p for p in stored if table.role[p] == Role.PARAMETER]
        trained = [p for p in parameters if table.has(p, Flag.REQUIRES_GRAD)]
        assert sums.parameters(position) == total(table, parameters, table.count)
        assert sums.trainable(position) == total(table, trained, table.count)
        assert sums.bytes(position) == total(table, stored, table.bytes)
        assert sums.dtypes(position) == _words(table, stored, table.dtype)
        assert sums.devices(position) == _words(table, stored, table.device)


def _words(table: RowTable, positions: list[int], cell) -> list[str]:
    order = table.dtypes + table.devices
    return sorted({cell(p) for p in positions}, key=order.index)


@given(trees())
def test_freeze_state_agrees_with_a_count_by_hand(tree):
    table = table_of(tree)
    sums = SubtreeSums(table)
    for position in range(len(table)):
        able = [
            p for p in range(position, int(table.end[position])) if table.has(p, Flag.CAN_TRAIN)
        ]
        states = {not table.has(p, Flag.REQUIRES_GRAD) for p in able}
        if not states:
            with pytest.raises(LookupError):
                sums.freeze_state(position)
        else:
            assert sums.freeze_state(position) is (states.pop() if len(states) == 1 else None)


@given(trees())
def test_columns_agree_with_one_row_after_the_other(tree):
    table = table_of(tree)
    sums = SubtreeSums(table)
    rows = range(len(table))
    for what in ("parameters", "trainable", "bytes"):
        assert sums.every(what).tolist() == [getattr(sums, what)(p) for p in rows]
    chosen, sets = sums.every_set(table.dtype_index, table.dtypes)
    assert [sets[at] for at in chosen.tolist()] == [sums.dtypes(p) for p in rows]
    plain = [sum(int(table.bytes[p]) for p in below(table, position)) for position in rows]
    assert sums.every_plain(table.bytes).tolist() == plain


def tensor(row: int, role: Role, tie: int = 1, flags: int = TRAINED, count: int = 10) -> Node:
    return Node(row, str(row), role, flags, "Tensor", (count,), "float32", "cpu", count, 40, tie)


def test_a_tied_weight_counts_once_above_and_once_in_each_owner():
    owners = [Node(i, str(i), below=[tensor(i + 10, Role.PARAMETER)]) for i in (1, 2, 3)]
    sums = SubtreeSums(table_of(Node(0, below=owners)))
    assert [sums.parameters(p) for p in range(7)] == [10] * 7
    assert sums.bytes(0) == 40


def test_a_parameter_tied_to_a_buffer_is_still_a_parameter():
    """The buffer comes first, but is not what a sum of parameters has counted already."""
    buffer = tensor(1, Role.BUFFER, flags=Flag.TENSOR | Flag.MOVED)
    sums = SubtreeSums(table_of(Node(0, below=[buffer, tensor(2, Role.PARAMETER)])))
    assert sums.parameters(0) == 10
    assert sums.bytes(0) == 40


def test_a_trained_parameter_that_shares_memory_with_a_frozen_one_is_trained():
    frozen = tensor(1, Role.PARAMETER, flags=TRAINED & ~Flag.REQUIRES_GRAD)
    sums = SubtreeSums(table_of(Node(0, below=[frozen, tensor(2, Role.PARAMETER)])))
    assert (sums.parameters(0), sums.trainable(0)) == (10, 10)


def test_a_module_outside_of_the_model_counts_for_itself_only():
    outside = Node(1, "[0]", below=[tensor(2, Role.PARAMETER, tie=-1, flags=Flag.TENSOR)])
    inside = tensor(3, Role.PARAMETER, tie=-1)
    sums = SubtreeSums(table_of(Node(0, below=[outside, inside])))
    assert [sums.parameters(p) for p in range(4)] == [10, 10, 10, 10]
