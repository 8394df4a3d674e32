"""What a module's output holds, and where."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch

from inspector_app.backend.probing.leaves import MAX_LEAVES, leaves


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] = ()
    loss: torch.Tensor | None = None


Pair = namedtuple("Pair", ["left", "right"])


def test_paths_of_leaves():
    one = torch.ones(1)
    for output, paths in [
        (one, [""]),
        ((one, [one, None, "text"]), ["[0]", "[1][0]"]),
        ({"k": one, "a.b": one, 3: (one,)}, ['["k"]', '["a.b"]', "[3][0]"]),
        (OrderedDict(x=one), ['["x"]']),
        (Pair(one, Pair(one, 5)), [".left", ".right.left"]),
        (Output(one, (one, one)), [".logits", ".hidden[0]", ".hidden[1]"]),
        ([Output(one)], ["[0].logits"]),
        (torch.ones(2, 2).max(0), ["[0]", "[1]"]),
        (None, []),
        (3.0, []),
        ("text", []),
    ]:
        assert [path for path, _ in leaves(output)] == paths


def test_outputs_of_transformers_models():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    one = torch.ones(1)
    output = outputs.CausalLMOutput(logits=one, hidden_states=(one, one))
    paths = [path for path, _ in leaves(output)]
    assert paths == [".logits", ".hidden_states[0]", ".hidden_states[1]"]


def test_walking_an_output_ends():
    one = torch.ones(1)
    cycle: list[Any] = [one]
    cycle.append(cycle)
    assert [path for path, _ in leaves(cycle)] == ["[0]"]
    shared = [one]
    assert [path for path, _ in leaves([shared, shared])] == ["[0][0]", "[1][0]"]
    deep: Any = one
    for _ in range(5_000):
        deep = [deep]
    assert list(leaves([deep, one])) == [("[1]", one)]
    assert len(list(leaves([one] * (MAX_LEAVES + 5)))) == MAX_LEAVES
