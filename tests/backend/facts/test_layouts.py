"""What is said of tensors that are not plain."""

from __future__ import annotations

import pytest

from tests.backend.strange_tensors import distributed_tensor, holding, strange_tensors, two_ranks
from tests.backend.tree_models import told

HOME = "tests.backend.strange_tensors"
EXPECTED = {
    "sparse_coo": ("Layout", "sparse COO, 4 places stored (nnz), coalesced"),
    "hybrid": (
        "Layout",
        "sparse COO, 3 places stored (nnz), coalesced, 1 dense dimension of extent 5",
    ),
    "sparse_csr": ("Layout", "sparse CSR, 4 elements stored (nnz)"),
    "sparse_csc": ("Layout", "sparse CSC, 4 elements stored (nnz)"),
    "sparse_bsr": ("Layout", "sparse BSR, 2 blocks of 2 × 2 stored (nnz)"),
    "sparse_bsc": ("Layout", "sparse BSC, 2 blocks of 2 × 2 stored (nnz)"),
    "nested": ("Layout", "nested: 2 tensors, of 4; 2"),
    "jagged": ("Layout", "jagged: 2 rows of different length in values of 6"),
    "quantized": ("Scale", "0.1"),
    "per_channel": ("Scale", "1 to 4 (4 channels)"),
    "mkldnn": ("Layout", "oneDNN's own (MKL-DNN): only its kernels know where"),
    "conjugate": ("View", "conjugate: the memory holds the imaginary parts with the other sign"),
    "negative": ("View", "negative: the memory holds the values with the other sign"),
    "float8": ("Data type", "float8_e4m3fn"),
    "expanded": ("Stored", "4 B"),
    "meta": ("Device", "meta (shape only, no data)"),
    "vmapped": ("Wrapper", "of torch.func (vmap), level 1, around a tensor of 3 × 2"),
    "functional": ("Wrapper", "of torch.func (functionalize), level 1, around a tensor of 3 × 2"),
    "two": ("Holds", "a: 2; b: 2"),
    "liar": ("Subclass", f"{HOME}.Liar has a __torch_function__ of its own"),
    "refuser": ("Shape", "unknown: the tensor does not tell"),
    "inference": (
        "Inference",
        "made in inference mode: cannot require a gradient or be written outside of it",
    ),
    "fake": ("Fake", "shape, dtype and device only: there are no values"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_special_is_told(name: str) -> None:
    label, value = EXPECTED[name]
    assert told(holding(strange_tensors()), name)[label] == value


def test_a_wrapper_left_over_says_so() -> None:
    facts = told(holding(strange_tensors()), "tracked")
    assert "left over from a call that has ended" in facts["Wrapper"]


def test_scheme_and_zero_point() -> None:
    model = holding(strange_tensors())
    facts = told(model, "quantized")
    assert (facts["Scheme"], facts["Zero point"]) == ("per tensor affine", "3")
    facts = told(model, "per_channel")
    assert facts["Scheme"].endswith("along dimension 1")


def test_a_plain_tensor_has_none_of_these() -> None:
    facts = told(holding(strange_tensors()), "scalar")
    special = {"Layout", "Scheme", "View", "Wrapper", "Subclass", "Holds", "Inference", "Fake"}
    assert not special & facts.keys()


def test_a_distributed_tensor() -> None:
    with two_ranks():
        facts = told(holding({"spread": distributed_tensor()}), "spread")
    assert facts["Shape"] == "4 × 3"
    assert facts["Placements"] == "S(0)"
    assert facts["Mesh"] == "dp 2 on cpu"
    assert facts["Local part"] == "2 × 3"
    assert (facts["Logical size"], facts["Stored"]) == ("48 B", "24 B")
