"""Looks at trees by path, torch's own totals and names beside ours, and models for both."""

from __future__ import annotations

import collections

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.describing import describe_row
from inspector_app.backend.tree import Tree, build_tree, totals
from inspector_app.protocol.table import Flag, Role

FACTS = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED


def rows(tree: Tree) -> dict[str, int]:
    """Positions by path; a path may stand for one row only."""
    paths = tree.table.paths
    assert len(set(paths)) == len(paths), [p for p in paths if paths.count(p) > 1]
    return {path: position for position, path in enumerate(paths)}


def flags_of(tree: Tree, path: str) -> Flag:
    return Flag(int(tree.table.flags[rows(tree)[path]]))


def role_of(tree: Tree, path: str) -> Role:
    return Role(int(tree.table.role[rows(tree)[path]]))


def check_against_torch(model: nn.Module) -> Tree:
    """Names, order and sums as torch itself tells them."""
    tree = build_tree(model)
    table = tree.table
    module_rows = [
        p
        for p in range(len(table))
        if table.role[p] == Role.MODULE and not table.has(p, Flag.REPEATED | Flag.REFERENCE)
    ]
    named = list(model.named_modules())
    assert [(table.path(p), id(tree.objects[p])) for p in module_rows] == [
        (name, id(module)) for name, module in named
    ]
    assert all(table.has(p, Flag.IN_MODEL) for p in module_rows)
    for role, flag, all_named in (
        (Role.PARAMETER, Flag.IN_PARAMETERS, model.named_parameters(remove_duplicate=False)),
        (Role.BUFFER, Flag.MOVED, model.named_buffers(remove_duplicate=False)),
    ):
        ours = {
            table.path(p): tree.objects[p]
            for p in range(len(table))
            if table.role[p] == role and table.has(p, flag)
        }
        theirs = dict(all_named)
        assert sorted(ours) == sorted(theirs)
        assert all(ours[name] is theirs[name] for name in ours)
    saved = {table.path(p) for p in range(len(table)) if table.has(p, Flag.SAVED)}
    assert saved - {table.path(p) for p in np.flatnonzero(table.role == Role.ATTRIBUTE)} == {
        key for key in model.state_dict() if not key.endswith("_extra_state")
    }
    sums = totals(tree)
    assert sums.modules == len(named)
    assert sums.parameters == sum(p.numel() for p in model.parameters())
    assert sums.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sums.buffers == sum(b.numel() for b in model.buffers())
    storages = {
        t.untyped_storage()._cdata: t.untyped_storage().nbytes()
        for t in [*model.parameters(), *model.buffers()]
    }
    assert sums.bytes == sum(storages.values())
    return tree


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7, bias=False)
        self.head.weight = self.embed.weight


class Registrations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.registered = nn.Linear(2, 2)
        self.lost = [nn.Linear(2, 3), nn.Linear(3, 2)]
        self.__dict__["alias"] = self.registered.weight
        self.mask = torch.ones(4)
        self.parts = {"k": torch.zeros(2), 3: (torch.zeros(1), "text")}
        self.words = ["no", "tensors"]
        self.width = 12
        self.rate = 0.5
        self.bias = None
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("passing", torch.zeros(1), persistent=False)
        self.register_parameter("absent", None)
        self.named = collections.namedtuple("Pair", "a b")(torch.zeros(1), 2)
        self.queue = collections.deque([torch.zeros(1)])


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    """Small nests of modules, some shared, some in plain lists."""
    made: list[nn.Module] = [nn.Linear(1, 1)]
    for _ in range(draw(st.integers(1, 8))):
        module = nn.Module()
        for index in range(draw(st.integers(0, 3))):
            child = draw(st.sampled_from(made))
            if draw(st.booleans()):
                module.add_module(f"m{index}", child)
            else:
                setattr(module, f"l{index}", [child, torch.ones(1)])
        made.append(module)
    return made[-1]


def told(model: nn.Module, path: str) -> dict[str, str]:
    """The facts of one row by label; several of one label in several lines."""
    tree = build_tree(model)
    found: dict[str, str] = {}
    for fact in describe_row(tree, int(tree.table.ids[rows(tree)[path]])).facts:
        before = found.get(fact.label)
        found[fact.label] = fact.value if before is None else f"{before}\n{fact.value}"
    return found
