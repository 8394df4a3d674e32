"""The tree against torch's own totals and names, and what it says of registration."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from hypothesis import given
from torch import nn

from inspector_app.backend.tree import build_tree, totals
from inspector_app.protocol.table import Flag, Role
from tests.backend.tree_models import (
    FACTS,
    Registrations,
    Tied,
    check_against_torch,
    flags_of,
    models,
    role_of,
    rows,
)

ORDINARY = {
    "mlp": lambda: nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3)),
    "norms": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LayerNorm(4)),
    "lstm": lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True),
    "transformer": lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    "tied": Tied,
    "frozen": lambda: nn.Linear(3, 4).requires_grad_(False),
    "lists": lambda: nn.ModuleDict(
        {
            "a": nn.ModuleList([nn.Linear(2, 2)]),
            "b": nn.ParameterDict({"x": nn.Parameter(torch.ones(2))}),
            "c": nn.ParameterList([torch.ones(3), torch.ones(1)]),
        }
    ),
    "meta": lambda: nn.Linear(1000, 1000, device="meta"),
    "half": lambda: nn.Linear(4, 4).to(torch.bfloat16),
    "empty": lambda: nn.Identity(),
    "zero-sized": lambda: nn.ParameterList([torch.empty(0), torch.empty(3, 0)]),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_agrees_with_torch(name: str) -> None:
    check_against_torch(ORDINARY[name]())


@given(models())
def test_any_model_agrees_with_torch(model: nn.Module) -> None:
    tree = build_tree(model)
    sums = totals(tree)
    assert sums.modules == len(list(model.modules()))
    assert sums.parameters == sum(p.numel() for p in model.parameters())
    registered = {id(p) for p in model.parameters()}
    for position, value in enumerate(tree.objects):
        if tree.table.has(position, Flag.TENSOR):
            expected = id(value) in registered
            assert tree.table.has(position, Flag.IN_PARAMETERS) == expected


def test_facts_of_tensors() -> None:
    model = nn.Linear(3, 2, dtype=torch.float64)
    model.register_buffer("steps", torch.tensor(3), persistent=False)
    tree = build_tree(model)
    table, at = tree.table, rows(tree)
    weight = at["weight"]
    assert table.shape(weight) == (2, 3)
    assert table.dtype(weight) == "float64"
    assert table.device(weight) == "cpu"
    assert (table.count[weight], table.bytes[weight]) == (6, 48)
    assert table.class_name(weight) == "Parameter"
    assert flags_of(tree, "weight") == (Flag.TENSOR | Flag.REQUIRES_GRAD | Flag.CAN_TRAIN | FACTS)
    assert flags_of(tree, "steps") == Flag.TENSOR | Flag.MOVED
    assert table.shape(at["steps"]) == ()
    assert tree.object_at(int(table.ids[weight])) is model.weight


def test_registration_in_three_facts() -> None:
    tree = build_tree(Registrations())
    facts = {path: flags_of(tree, path) & FACTS for path in rows(tree)}
    assert facts["registered.weight"] == FACTS
    assert facts["kept"] == Flag.MOVED | Flag.SAVED
    assert facts["passing"] == Flag.MOVED
    assert facts["mask"] == Flag(0)
    assert facts["lost[0].weight"] == Flag(0)
    assert facts["alias"] == FACTS  # the object is registered, by another name
    assert Flag.IN_MODEL in flags_of(tree, "registered")
    assert Flag.IN_MODEL not in flags_of(tree, "lost[0]")


def test_roles_say_how_the_owner_holds_a_row() -> None:
    tree = build_tree(Registrations())
    assert role_of(tree, "lost") == Role.ATTRIBUTE
    assert role_of(tree, "lost[1]") == Role.ATTRIBUTE
    assert role_of(tree, "lost[1].bias") == Role.PARAMETER
    assert role_of(tree, "alias") == Role.ATTRIBUTE
    assert role_of(tree, "absent") == Role.ATTRIBUTE
    assert role_of(tree, "width") == Role.ATTRIBUTE
    assert role_of(tree, "kept") == Role.BUFFER


def test_parameter_registered_as_buffer_is_a_buffer() -> None:
    model = nn.Module()
    model.register_buffer("b", nn.Parameter(torch.ones(2)))
    tree = build_tree(model)
    assert flags_of(tree, "b") & (FACTS | Flag.CAN_TRAIN) == Flag.MOVED | Flag.SAVED
    assert totals(tree).parameters == 0


def test_lazy_modules_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    tree = build_tree(model)
    weight = rows(tree)["0.weight"]
    assert Flag.LAZY in flags_of(tree, "0.weight")
    assert tree.table.shape(weight) is None
    assert tree.table.count[weight] == 0
    assert isinstance(model[0], nn.LazyLinear)
    assert totals(tree).parameters == 0
    model(torch.zeros(2, 5))
    assert totals(build_tree(model)).parameters == 5 * 3 + 3 + 3 + 3


@pytest.mark.filterwarnings("ignore")
def test_scripted_and_traced_models() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    plain = totals(build_tree(model))
    for compiled in (
        torch.jit.script(model),
        torch.jit.trace(model.eval(), torch.ones(2, 3)),
    ):
        tree = build_tree(compiled)
        assert {"0.weight", "1.running_mean"} <= set(rows(tree))
        assert totals(tree).parameters == plain.parameters
        assert totals(tree).bytes == plain.bytes


def test_the_collector_is_left_as_it_was() -> None:
    build_tree(nn.Linear(1, 1))
    assert gc.isenabled()
    gc.disable()
    try:
        build_tree(nn.Linear(1, 1))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_walk_keeps_nothing_alive() -> None:
    class Own(nn.Module):
        pass

    model = nn.Sequential(Own())
    gone = weakref.ref(model), weakref.ref(Own)
    build_tree(model)
    del model, Own
    gc.collect()
    assert gone[0]() is None
    assert gone[1]() is None
