"""The walk over registered modules against torch's own, and where torch's own would not end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.modules import (
    modules_of,
    set_training_flag,
    tensors_of,
    training_flag,
)


def test_the_same_as_named_modules():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Transformer(8, 2, 1, 1, 16, batch_first=True), shared, shared)
    model[0].register_module("nothing", None)
    assert list(modules_of(model)) == list(model.named_modules())


def test_the_same_tensors_as_torch_under_each_name():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    model[2].weight = model[1].weight
    found = [(path, id(tensor)) for path, tensor in tensors_of(model)]
    expected = [(p, id(t)) for p, t in model.named_parameters(remove_duplicate=False)]
    expected += [(p, id(t)) for p, t in model.named_buffers()]
    assert sorted(found) == sorted(expected)


def test_a_module_inside_itself():
    model = nn.Sequential(nn.Identity())
    model[0].add_module("up", model)
    assert [path for path, _ in modules_of(model)] == ["", "0"]


def test_great_depth():
    model = nn.Sequential()
    top = model
    for _ in range(5_000):
        below = nn.Sequential()
        model.add_module("0", below)
        model = below
    assert sum(1 for _ in modules_of(top)) == 5_001
    while len(top):  # taken apart by hand: freeing it whole would recurse
        inner = vars(top)["_modules"].pop("0")
        top = inner


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("build", [lambda: nn.Linear(2, 2), lambda: torch.jit.script(nn.ReLU())])
def test_the_training_flag_is_read_and_set_past_any_override(build):
    class Stubborn(nn.Module):
        def train(self, mode=True):
            raise AssertionError

    for module in (build(), Stubborn()):
        assert training_flag(module) is True
        set_training_flag(module, False)
        assert training_flag(module) is False
        assert not module.training


def test_a_half_constructed_module_has_no_training_flag():
    class Half(nn.Module):
        def __init__(self):
            pass

    assert training_flag(Half()) is None
