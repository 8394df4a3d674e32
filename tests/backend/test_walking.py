"""Which rows the walk finds, and on models made to break it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from inspector_app.backend import walking
from inspector_app.backend.tree import build_tree, totals
from inspector_app.protocol.table import Flag, Role
from tests.backend.tree_models import FACTS, Registrations, flags_of, rows


def test_plain_containers_are_rows_where_they_hold_tensors() -> None:
    at = rows(build_tree(Registrations()))
    for path in ('parts["k"]', "parts[3]", "parts[3][0]", "named[0]", "queue[0]", "bias"):
        assert path in at
    for path in ("words", "parts[3][1]", "named[1]", "training"):
        assert path not in at


def test_numbers_of_torch_are_no_rows() -> None:
    assert set(rows(build_tree(nn.Linear(2, 2, bias=False)))) == {"", "weight"}

    class Mine(nn.Linear):
        pass

    found = set(rows(build_tree(Mine(2, 2, bias=False))))
    assert found == {"", "weight", "bias", "in_features", "out_features"}


def test_lists_of_what_is_registered_are_no_rows() -> None:
    assert not any("flat" in path for path in rows(build_tree(nn.LSTM(2, 2))))


def test_module_reached_twice_is_shown_again() -> None:
    shared = nn.Linear(2, 2)
    tree = build_tree(nn.Sequential(shared, nn.ReLU(), shared))
    assert Flag.REPEATED not in flags_of(tree, "0.weight")
    assert Flag.REPEATED in flags_of(tree, "2")
    assert Flag.REPEATED in flags_of(tree, "2.weight")
    at = rows(tree)
    assert tree.table.tie[at["2.weight"]] == tree.table.ids[at["0.weight"]]
    assert totals(tree).parameters == 6


def test_module_inside_itself_is_a_reference() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.add_module("loop", model)
    model[0].add_module("up", model)
    tree = build_tree(model)
    assert flags_of(tree, "loop") >= Flag.REFERENCE
    assert Flag.REFERENCE in flags_of(tree, "0.up")
    assert len(tree.table) == 6
    assert totals(tree).parameters == 6


def test_list_inside_itself_is_a_reference() -> None:
    model = nn.Module()
    ring: list[object] = [torch.ones(1)]
    ring.append(ring)
    model.ring = ring
    tree = build_tree(model)
    assert Flag.REFERENCE in flags_of(tree, "ring[1]")
    assert set(rows(tree)) == {"", "ring", "ring[0]", "ring[1]"}


def test_parent_held_in_a_list_is_a_reference() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].parent = [model]
    tree = build_tree(model)
    assert Flag.REFERENCE in flags_of(tree, "0.parent[0]")
    assert Flag.IN_MODEL in flags_of(tree, "0.parent[0]")


def test_registered_after_it_was_seen_in_a_list() -> None:
    inner = nn.Linear(2, 2)
    first = nn.Module()
    first.borrowed = [inner]
    model = nn.Sequential(first, inner)
    tree = build_tree(model)
    assert flags_of(tree, "0.borrowed[0].weight") & FACTS == FACTS
    assert Flag.IN_MODEL in flags_of(tree, "0.borrowed[0]")
    assert totals(tree).modules == 3
    assert totals(tree).parameters == 6


def test_repeated_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_REPEATED", 1000)
    model: nn.Module = nn.Linear(1, 1)
    for _ in range(40):  # 2**40 paths
        model = nn.Sequential(model, model)
    tree = build_tree(model)
    assert len(tree.table) < 5000
    assert totals(tree).modules == 41
    assert totals(tree).parameters == 2


def test_ten_thousand_levels() -> None:
    shared = nn.Linear(1, 1)
    model = nn.Sequential(shared)
    for _ in range(10_000):
        model = nn.Sequential(model, shared)
    tree = build_tree(model)
    assert tree.table.depth.max() == 10_002
    assert totals(tree).modules == 10_002
    while len(model) == 2:  # take it apart from above: torch frees it by recursion
        model = model[0]


def test_parametrized_code_never_runs() -> None:
    runs: list[int] = []

    class Noisy(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            runs.append(1)
            return weight + torch.randn(1)

    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    nn.utils.parametrize.register_parametrization(model[0], "weight", Noisy())
    parametrizations.spectral_norm(model[1]).train()
    runs.clear()
    vector = model[1].parametrizations.weight[0]._u.clone()
    state = torch.get_rng_state(), random.getstate()
    tree = build_tree(model)
    assert not runs
    assert torch.equal(model[1].parametrizations.weight[0]._u, vector)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert "0.parametrizations.weight.original" in rows(tree)
    assert "0.in_features" not in rows(tree)


class Hostile(nn.Module):
    """Raises at whatever is asked of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)

    def __getattribute__(self, name: str) -> object:
        if object.__getattribute__(self, "__dict__").get("armed"):
            raise RuntimeError(f"asked for {name}")
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        raise RuntimeError("asked for repr")

    def __len__(self) -> int:
        raise RuntimeError("asked for len")

    def __hash__(self) -> int:
        raise RuntimeError("asked for hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("asked for eq")


class HostileList(list[object]):
    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("iterated")

    def __len__(self) -> int:
        raise RuntimeError("asked for len")


class Proxy:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("asked for class")


class BadKey:
    def __repr__(self) -> str:
        raise RuntimeError("asked for repr")


def test_no_code_of_the_model_runs() -> None:
    model = Hostile()
    model.listed = HostileList([torch.ones(1)])
    model.__dict__["proxy"] = Proxy()
    model.keyed = {BadKey(): torch.ones(1)}
    model.__dict__["armed"] = True
    tree = build_tree(model)
    found = rows(tree)
    assert {"inner.weight", "listed[0]", "keyed[<BadKey 0>]"} <= set(found)
    assert "proxy" not in found


def test_without_super_init() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.scale = 3
            self.table = torch.ones(2)

    tree = build_tree(Forgot())
    assert set(rows(tree)) == {"", "scale", "table"}
    assert flags_of(tree, "table") == Flag.TENSOR


def test_names_of_every_kind() -> None:
    model = nn.Module()
    names = ["a.b", "line\nbreak", "\ud800", "x" * 100_000, "", "weight é"]
    for name in names:
        model._parameters[name] = nn.Parameter(torch.ones(1))
    model._modules[3] = nn.ReLU()  # type: ignore[index]
    tree = build_tree(model)
    assert [tree.table.name(p) for p in range(1, 7)] == names
    assert tree.table.name(7) == "<int>"


def test_attribute_that_shadows_a_parameter() -> None:
    model = nn.Linear(2, 2)
    model.__dict__["weight"] = torch.zeros(3)
    tree = build_tree(model)
    table = tree.table
    found = [(table.path(p), Role(int(table.role[p])).word) for p in range(len(table))]
    assert found.count(("weight", "parameter")) == 1
    assert found.count(("weight", "attribute")) == 1
