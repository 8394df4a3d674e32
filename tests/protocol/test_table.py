import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from inspector_app.protocol.table import (
    Flag,
    Role,
    RowTable,
    pack_names,
    subtree_ends,
    take_names,
)
from tests.protocol.trees import Node, names, rows, table_of, trees


@pytest.fixture
def table() -> RowTable:
    tensors = [
        Node(7, "weight", Role.PARAMETER, Flag.TENSOR, "Parameter", (2, 3), "float32", "cpu", 6),
        Node(9, '["k"]', Role.ATTRIBUTE, Flag.TENSOR | Flag.ITEM, "Tensor"),
    ]
    layers = Node(4, "layers", below=[Node(2, "[0]", flags=Flag.ITEM, below=tensors)])
    return table_of(Node(0, below=[layers, Node(3, "head")]))


def test_cells_read_back(table):
    assert [table.name(p) for p in range(len(table))] == [
        *("", "layers", "[0]", "weight", '["k"]', "head")
    ]
    assert table.class_name(3) == "Parameter"
    assert (table.shape(3), table.dtype(3), table.device(3)) == ((2, 3), "float32", "cpu")
    assert (table.shape(1), table.dtype(1), table.device(1)) == (None, None, None)
    assert table.has(4, Flag.ITEM)
    assert not table.has(3, Flag.ITEM)
    assert Role.PARAMETER.word == "parameter"


def test_paths_join_items_without_a_dot(table):
    expected = ["", "layers", "layers[0]", "layers[0].weight", 'layers[0]["k"]', "head"]
    assert table.paths == expected
    assert [table.path(p) for p in range(len(table))] == expected


def test_depth_counts_levels_below_the_root(table):
    assert table.depth.tolist() == [0, 1, 2, 3, 3, 1]


def test_position_and_positions_agree(table):
    ids = table.ids
    assert [table.position(int(i)) for i in ids] == list(range(len(table)))
    assert table.positions(ids[::-1]).tolist() == list(range(len(table)))[::-1]
    assert table.positions(np.empty(0, np.int32)).tolist() == []


@pytest.mark.parametrize("unknown", [-1, 1, 10, 1 << 30])
def test_an_unknown_id_is_a_key_error_that_names_it(table, unknown):
    with pytest.raises(KeyError, match=str(unknown)):
        table.position(unknown)
    with pytest.raises(KeyError, match=str(unknown)):
        table.positions(np.asarray([0, unknown, 9], np.int32))


def test_tied_to_lists_the_other_names():
    below = [Node(i, str(i), tie=tie) for i, tie in enumerate([1, -1, 1, -1, 1], start=1)]
    table = table_of(Node(0, below=below))
    assert table.tied_to(3).tolist() == [1, 5]
    assert table.tied_to(2).tolist() == []


@given(trees())
def test_ends_and_paths_of_any_tree(tree):
    table = table_of(tree)
    for position in range(len(table)):
        below = [position]
        for later in range(position + 1, len(table)):
            if int(table.parent[later]) in below:
                below.append(later)
        assert below == list(range(position, int(table.end[position])))
    assert table.paths[1:] == [table.path(p) for p in range(1, len(table))]


def test_subtree_ends_survives_great_depth():
    count = 5_000
    ends = subtree_ends(np.arange(-1, count - 1, dtype=np.int32))
    assert set(ends.tolist()) == {count}


@given(st.lists(names), st.data())
def test_taken_names_are_packed_as_new_ones(chosen, data):
    some = data.draw(st.lists(st.sampled_from(range(len(chosen))))) if chosen else []
    taken, offsets = take_names(*pack_names(chosen), np.asarray(some, np.int64))
    expected, expected_offsets = pack_names([chosen[i] for i in some])
    assert taken.tobytes() == expected.tobytes()
    assert offsets.tolist() == expected_offsets.tolist()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda t: {"flags": t.flags[:-1]}, "flags"),
        (lambda t: {"parent": t.parent.reshape(-1, 1)}, "parent"),
        (lambda t: {"classes": []}, "class_index"),
        (lambda t: {"dtype_index": t.dtype_index - 2}, "dtype_index"),
        (lambda t: {"name_offsets": t.name_offsets[1:]}, "names"),
        (lambda t: {"name_offsets": t.name_offsets[::-1].copy()}, "names"),
        (lambda t: {"name_bytes": t.name_bytes[:-1]}, "names"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(table, damage, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(table, **damage(table))


def test_the_strategy_makes_trees_worth_testing():
    """The random trees of the other tests must really have ties, depth and several children."""
    seen = []

    @given(trees())
    def look(tree):
        seen.append(rows(table_of(tree)))

    look()
    assert max(len(table) for table in seen) > 5
