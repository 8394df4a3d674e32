import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.sharing import Tie, kind_of_tie, overlapping_rows, tied_rows
from inspector_app.protocol.table import Flag
from tests.backend.edit_models import at, paths, tree_of


def named(tree, rows):
    return {tree.table.path(int(row)) for row in rows}


def test_ties_and_overlaps_are_told_apart():
    base = torch.zeros(10)
    model = nn.Module()
    model.a = nn.Parameter(base[:4])
    model.same = nn.Parameter(base[:4])
    model.part = nn.Parameter(base[3:6])
    model.beside = nn.Parameter(base[6:])
    model.register_buffer("inside", base[1:2])
    model.plain = base
    tree = tree_of(model)
    a = at(tree, "a")
    assert named(tree, tied_rows(tree.table, a)) == {"a", "same"}
    assert named(tree, overlapping_rows(tree, a)) == {"part", "inside", "plain"}


def test_memory_lent_by_numpy():
    lender = np.zeros(8, np.float32)
    model = nn.Module()
    model.a = nn.Parameter(torch.from_numpy(lender[:5]))
    model.b = nn.Parameter(torch.from_numpy(lender[4:]))
    model.c = nn.Parameter(torch.from_numpy(lender[5:]))
    tree = tree_of(model)
    assert named(tree, overlapping_rows(tree, at(tree, "a"))) == {"b"}


def test_interleaved_columns_do_not_overlap():
    base = torch.zeros(4, 6)
    model = nn.Module()
    model.even = nn.Parameter(base[:, ::2])
    model.odd = nn.Parameter(base[:, 1::2])
    model.left = nn.Parameter(base[:, :3])
    tree = tree_of(model)
    assert named(tree, overlapping_rows(tree, at(tree, "even"))) == {"left"}


def test_on_meta_and_with_nothing_selected():
    with torch.device("meta"):
        model = nn.Linear(4, 4)
        model.part = nn.Parameter(model.weight.detach()[1:])
    tree = tree_of(model)
    assert paths(tree, tree.table.ids[overlapping_rows(tree, at(tree, "weight"))]) == ["part"]
    assert len(overlapping_rows(tree, np.empty(0, np.int32))) == 0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=6
    ),
    st.data(),
)
def test_agrees_with_writing(slices, data):
    base = torch.zeros(32)
    model = nn.Module()
    for index, (start, length, step) in enumerate(slices):
        view = base[start : start + length * step : step]
        model.register_parameter(f"p{index}", nn.Parameter(view))
    tree = tree_of(model)
    chosen = data.draw(st.integers(0, len(slices) - 1))
    row = at(tree, f"p{chosen}")
    found = named(tree, tied_rows(tree.table, row)) | named(tree, overlapping_rows(tree, row))
    with torch.no_grad():
        model.get_parameter(f"p{chosen}").fill_(1)
    changed = {name for name, tensor in model.named_parameters() if tensor.any()}
    # Ties go by the range of bytes: views with gaps of their own inside one range count as tied.
    assert changed <= found
    ranges = {
        name: (t.data_ptr(), (t.shape[0] - 1) * t.stride(0)) for name, t in model.named_parameters()
    }
    mine = ranges[f"p{chosen}"]
    assert {name for name in found - changed if ranges[name] != mine} == set()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=6
    )
)
def test_the_flag_says_which_rows_overlap(slices):
    base = torch.zeros(32)
    model = nn.ParameterList(
        nn.Parameter(base[start : start + length * step : step]) for start, length, step in slices
    )
    tree = tree_of(model)
    for index in range(len(slices)):
        row = at(tree, str(index))
        assert tree.table.has(int(row[0]), Flag.OVERLAPS) == bool(len(overlapping_rows(tree, row)))


def test_what_overlaps_a_tied_row_overlaps_this_one():
    base = torch.zeros(12)
    model = nn.Module()
    model.gaps = nn.Parameter(base[:11:5])  # bytes of 0, 5 and 10
    model.whole = nn.Parameter(base[:11])  # the same range
    model.between = nn.Parameter(base[2:4])
    tree = tree_of(model)
    assert named(tree, overlapping_rows(tree, at(tree, "gaps"))) == {"between"}


def test_kinds_of_ties():
    tensor = torch.zeros(4)
    array = np.zeros(4, np.float32)
    assert kind_of_tie(tensor, tensor) is Tie.OBJECT
    assert kind_of_tie(tensor, tensor.view(2, 2)) is Tie.STORAGE
    assert kind_of_tie(torch.from_numpy(array), torch.from_numpy(array)) is Tie.BYTES
    sparse = tensor.to_sparse()
    assert kind_of_tie(sparse, sparse.detach()) is Tie.WRAPPED
