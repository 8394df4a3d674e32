"""Shape, size and place of tensors of every kind."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from inspector_app.backend.tensors import share_a_byte, why_wrapped, without_subclass
from inspector_app.backend.tree import build_tree, totals
from inspector_app.protocol.table import Flag
from tests.backend.strange_tensors import (
    NAMES,
    Liar,
    distributed_tensor,
    holding,
    strange_tensors,
    two_ranks,
)
from tests.backend.tree_models import Tied, flags_of, rows


def test_ties_by_memory() -> None:
    model = nn.Module()
    base = torch.arange(12.0)
    model.a = nn.Parameter(base)
    model.b = nn.Parameter(base)  # another object on the same storage
    model.part = nn.Parameter(base[2:5])
    model.turned = base.view(3, 4).t()  # the same bytes in another order
    model.other = nn.Parameter(base.clone())
    array = np.zeros(4, np.float32)
    model.x, model.y = torch.from_numpy(array), torch.from_numpy(array)
    tree = build_tree(model)
    at, table = rows(tree), tree.table
    assert table.tie[at["a"]] == table.tie[at["b"]] == table.tie[at["turned"]] == at["a"]
    assert table.tie[at["part"]] == table.tie[at["other"]] == -1
    assert table.tie[at["x"]] == table.tie[at["y"]] == at["x"]
    assert totals(tree).parameters == 12 + 3 + 12
    assert totals(tree).bytes == 4 * (12 + 12)  # the part lies inside


def test_ties_on_meta() -> None:
    with torch.device("meta"):
        tied = Tied()
        loose = nn.Linear(3, 3)
        view = nn.Parameter(loose.weight.data)
    model = nn.Module()
    model.tied, model.loose, model.view = tied, loose, view
    tree = build_tree(model)
    at, table = rows(tree), tree.table
    assert table.tied_to(at["tied.head.weight"]).tolist() == [at["tied.embed.weight"]]
    assert table.tied_to(at["view"]).tolist() == [at["loose.weight"]]
    assert table.tie[at["loose.bias"]] == -1
    assert Flag.META in flags_of(tree, "view")


def test_overlapping_slices_count_each_byte_once() -> None:
    base = torch.zeros(100)
    model = nn.ParameterList([base[0:50], base[25:75], base[70:80], base[90:]])
    assert totals(build_tree(model)).bytes == 4 * (80 + 10)


def test_expanded_tensor_stores_one_element() -> None:
    model = nn.Module()
    model.register_buffer("wide", torch.zeros(1).expand(1000, 1000))
    tree = build_tree(model)
    at = rows(tree)["wide"]
    assert (tree.table.count[at], tree.table.bytes[at]) == (1_000_000, 4)


def test_memory_given_back() -> None:
    model = nn.Linear(4, 4)
    model.weight.untyped_storage().resize_(0)
    tree = build_tree(model)
    assert tree.table.bytes[rows(tree)["weight"]] == 0
    assert tree.table.count[rows(tree)["weight"]] == 16


# Shape (None: none known) and bytes (None: torch's own affair) of strange_tensors().
STRANGE: dict[str, tuple[tuple[int, ...] | None, int | None]] = {
    "sparse_coo": ((4, 4), 2 * 4 * 8 + 4 * 4),
    "hybrid": ((3, 5), 3 * 8 + 15 * 4),
    "sparse_csr": ((4, 4), 5 * 8 + 4 * 8 + 4 * 4),
    "sparse_csc": ((4, 4), 5 * 8 + 4 * 8 + 4 * 4),
    "sparse_bsr": ((4, 4), 3 * 8 + 2 * 8 + 8 * 4),
    "sparse_bsc": ((4, 4), 3 * 8 + 2 * 8 + 8 * 4),
    "nested": (None, 24),
    "jagged": (None, 3 * 8 + 6 * 4),
    "quantized": ((4, 4), 16),
    "per_channel": ((4, 4), 16),
    "mkldnn": ((4, 4), None),
    "complex": ((4, 4), 128),
    "conjugate": ((4, 4), 128),
    "negative": ((4, 4), 64),
    "float8": ((4, 4), 16),
    "complex32": ((4, 4), 64),
    "bits": ((4,), 8),
    "expanded": ((1000,), 4),
    "meta": ((2, 3), 24),
    "scalar": ((), 4),
    "nothing": ((0, 3), 0),
    "vmapped": ((2,), None),
    "tracked": ((3, 2), None),
    "functional": ((3, 2), None),
    "two": ((2,), 16),
    "liar": ((2, 3), 24),
    "refuser": (None, 16),
    "inference": ((2,), 8),
    "fake": ((3,), 12),
}
UNUSUAL = {name for name in STRANGE if name.startswith("sparse")} | {
    *("hybrid", "nested", "jagged", "mkldnn")
}


def test_tensors_of_every_kind() -> None:
    strange = strange_tensors()
    assert strange.keys() == STRANGE.keys() == set(NAMES)
    tree = build_tree(holding(strange))
    at, table = rows(tree), tree.table
    for name, (shape, size) in STRANGE.items():
        assert table.shape(at[name]) == shape, name
        assert table.has(at[name], Flag.TENSOR | Flag.MOVED)
        assert size is None or table.bytes[at[name]] == size, name
    assert table.dtype(at["liar"]) == "float32"
    for flag, names in (
        (Flag.UNUSUAL, UNUSUAL),
        (Flag.QUANTIZED, {"quantized", "per_channel"}),
        (Flag.META, {"meta", "fake"}),
        (Flag.OVERLAPS, set()),
    ):
        assert {name for name in STRANGE if table.has(at[name], flag)} == names, flag
    assert table.has(0, Flag.QUANTIZED)  # it holds some
    assert {name: int(table.count[at[name]]) for name in ("nested", "jagged", "expanded")} == {
        "nested": 6,
        "jagged": 6,
        "expanded": 1000,
    }
    totals(tree)


def test_a_slice_reaches_from_its_first_to_its_last_element() -> None:
    model = nn.Module()
    model.column = torch.zeros(10, 10)[:, 3]
    tree = build_tree(model)
    assert tree.table.bytes[rows(tree)["column"]] == 4 * 91


def test_a_wrapper_around_one_tensor_lies_where_that_lies() -> None:
    with two_ranks():
        tensor = distributed_tensor()
        model = nn.Module()
        model.spread, model.local = nn.Parameter(tensor), tensor.to_local()
        tree = build_tree(model)
    at, table = rows(tree), tree.table
    assert table.tied_to(at["local"]).tolist() == [at["spread"]]
    assert (table.shape(at["spread"]), table.bytes[at["spread"]]) == ((4, 3), 24)  # its own part


def test_sharing_a_byte() -> None:
    base = torch.zeros(4, 6)
    left, right, even, odd = base[:, :3], base[:, 3:], base[:, ::2], base[:, 1::2]
    assert not share_a_byte(left, right)
    assert not share_a_byte(even, odd)
    assert share_a_byte(even, left)
    assert share_a_byte(base, odd)
    meta = torch.empty(4, 6, device="meta")
    assert not share_a_byte(meta[:, ::2], meta[:, 1::2])
    assert share_a_byte(meta[:, ::2], meta[:, 2:4])
    assert share_a_byte(torch.ones(2).as_subclass(Liar)[::2], base)  # cannot be told


def test_what_wraps_others_has_no_values_of_its_own() -> None:
    reasons = {name: why_wrapped(tensor) for name, tensor in strange_tensors().items()}
    assert {name: reason for name, reason in reasons.items() if reason} == {
        "vmapped": "a wrapper of torch.func",
        "tracked": "a wrapper of torch.func",
        "functional": "a wrapper of torch.func",
        "two": "a TwoTensor, which wraps other tensors",
        "jagged": "a NestedTensor, which wraps other tensors",
        "refuser": "a Refuser, which wraps other tensors",
        "fake": "a FakeTensor, which wraps other tensors",
    }


def test_without_its_subclass() -> None:
    values = torch.ones(2, 3)
    plain = without_subclass(values.as_subclass(Liar))
    assert type(plain) is torch.Tensor
    assert plain.data_ptr() == values.data_ptr()
