"""In what way tensors share memory, and what storage they lie in."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tests.backend.tree_models import Tied, told


class Shared(nn.Module):
    """One array in every way that it can be shared."""

    def __init__(self) -> None:
        super().__init__()
        base = torch.zeros(100)
        self.a = nn.Parameter(base[:10])
        self.same = self.a
        self.twin = nn.Parameter(self.a.detach())
        self.part = nn.Parameter(base[5:20])
        self.beside = nn.Parameter(base[20:30])
        array = np.zeros(4, np.float32)
        self.lent = nn.Parameter(torch.from_numpy(array))
        self.lent_again = nn.Parameter(torch.from_numpy(array))


def test_the_same_object() -> None:
    assert told(Tied(), "head.weight")["Tied to"] == "embed.weight: the same object"


def test_each_kind_of_tie_is_told_apart() -> None:
    model = Shared()
    assert told(model, "a")["Tied to"] == (
        "same: the same object\ntwin: another tensor on the same storage and range"
    )
    assert told(model, "lent")["Tied to"] == (
        "lent_again: another storage on the same bytes, lent by numpy or another library"
    )
    assert "Tied to" not in told(model, "part")
    assert "Tied to" not in told(model, "beside")


def test_a_wrapper_is_tied_without_a_storage_of_its_own() -> None:
    tensor = torch.ones(3).to_sparse()
    model = nn.Module()
    model._buffers["one"], model._buffers["other"] = tensor, tensor
    assert told(model, "one")["Tied to"] == "other: the same object"


def test_overlaps_name_the_rows_and_bytes() -> None:
    model = Shared()
    facts = told(model, "part")
    assert facts["Overlaps"] == "a (20 B), same (20 B), twin (20 B)"
    assert told(model, "a")["Overlaps"] == "part (20 B)"
    assert "Overlaps" not in told(model, "beside")


def test_a_part_of_a_larger_storage() -> None:
    model = Shared()
    facts = told(model, "part")
    assert facts["Size"] == "60 B"
    assert facts["Storage"] == "400 B, of which this is a part from byte 20 on"
    assert "Storage" not in told(model, "lent")


def test_logical_and_stored_bytes() -> None:
    model = nn.Module()
    model.register_buffer("wide", torch.zeros(1).expand(1000))
    model.register_buffer("turned", torch.zeros(6).reshape(2, 3).t())
    facts = told(model, "wide")
    assert (facts["Logical size"], facts["Stored"]) == ("4 kB", "4 B")
    facts = told(model, "turned")
    assert (facts["Size"], facts["Strides"]) == ("24 B", "(1, 3), not contiguous")


def test_on_meta() -> None:
    facts = told(nn.Linear(2, 3, device="meta"), "weight")
    assert facts["Size, once it has data"] == "24 B"
