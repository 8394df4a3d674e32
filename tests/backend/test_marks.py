"""What is special about rows, as words."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.nn.quantized import dynamic
from torch.nn.utils import parametrizations

from inspector_app.backend.marks import Marks
from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag
from tests.backend.strange_tensors import holding, strange_tensors
from tests.backend.tree_models import Tied, rows


def marks_of(tree: Tree, *, told: bool = False) -> dict[str, list[str]]:
    """Words of all rows that have some."""
    marks = Marks(tree, SubtreeSums(tree.table))
    read = marks.told if told else marks.of
    return {path: words for path, position in rows(tree).items() if (words := read(position))}


def test_frozen_and_tied() -> None:
    model = nn.Sequential(Tied(), nn.Linear(1, 1))
    model[0].requires_grad_(False)
    assert marks_of(build_tree(model)) == {
        "": ["partly frozen"],
        **{path: ["frozen"] for path in ("0", "0.embed", "0.head")},
        **{path: ["frozen", "tied"] for path in ("0.embed.weight", "0.head.weight")},
    }


def test_a_tie_names_its_first_row() -> None:
    told = marks_of(build_tree(Tied()), told=True)
    assert told == {"embed.weight": ["tied"], "head.weight": ["tied to embed.weight"]}


def test_eval_stands_where_it_begins() -> None:
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.ReLU()).eval(), nn.ReLU())
    tree = build_tree(model)
    assert marks_of(tree) == {path: ["eval"] for path in ("0", "0.0", "0.1")}
    assert marks_of(tree, told=True) == {"0": ["eval"]}
    assert marks_of(build_tree(model.eval()), told=True) == {"": ["eval"]}


@pytest.mark.filterwarnings("ignore")
def test_modules_of_every_kind() -> None:
    model = nn.Sequential(
        nn.LazyLinear(2), parametrizations.orthogonal(nn.Linear(2, 2)), dynamic.Linear(2, 2)
    )
    found = marks_of(build_tree(model))
    assert found["0"] == ["hooks"]  # torch's own, which make it lazy
    assert found["0.weight"] == ["lazy"]
    assert found["1"] == ["parametrized"]
    assert found["1.parametrizations.weight.original"] == ["parametrized"]
    assert found["2"] == ["quantized"]


def test_layouts_and_overlaps() -> None:
    found = marks_of(build_tree(holding(strange_tensors())))
    assert found["sparse_csr"] == ["sparse csr"]
    assert found["nested"] == ["nested"]
    assert found["mkldnn"] == ["mkldnn"]
    assert found["quantized"] == ["quantized"]
    base = torch.zeros(4)
    model = nn.ParameterList([base[:3], base[1:]])
    assert marks_of(build_tree(model)) == {"0": ["overlaps"], "1": ["overlaps"]}


def test_initial_values() -> None:
    tree = build_tree(nn.Linear(1, 1))
    flags = tree.table.flags | np.uint32(Flag.INITIAL)
    table = msgspec.structs.replace(tree.table, flags=flags)
    found = marks_of(dataclasses.replace(tree, table=table))
    assert found["weight"] == ["initial"]


def test_registration_is_told() -> None:
    shared = nn.Linear(1, 1)
    model = nn.Sequential(shared, shared)
    model.mask = torch.ones(1)
    model.register_buffer("passing", torch.ones(1), persistent=False)
    model.add_module("loop", model)
    told = marks_of(build_tree(model), told=True)
    assert told["mask"] == ["not registered"]
    assert told["passing"] == ["not saved"]
    assert told["1"] == ["shown before"]
    assert told["loop"] == ["stands above"]
