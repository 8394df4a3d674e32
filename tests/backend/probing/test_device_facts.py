"""Exact facts without a branch on a value."""

from __future__ import annotations

import math

import pytest
import torch

from inspector_app.backend.histograms import extremes
from inspector_app.backend.probing import device_facts
from inspector_app.backend.probing.device_facts import write_facts

INF, NAN = math.inf, math.nan


def written(values: torch.Tensor) -> tuple[list[int], list[float]]:
    kinds = torch.full((3,), 99, dtype=torch.int64)
    ends = torch.full((2,), 99.0, dtype=torch.float64)
    write_facts(values, kinds, ends)
    return kinds.tolist(), ends.tolist()


@pytest.mark.parametrize("part", [2, 1 << 24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "values",
    [[1.0, -2.0, 3.5], [NAN, 2.0, INF, INF, -INF], [-0.0], [INF, 5.0, 5.0, NAN], [-3.0] * 7],
)
def test_floats(values, dtype, part, monkeypatch):
    monkeypatch.setattr(device_facts, "_PART", part)
    tensor = torch.tensor(values, dtype=dtype)
    found = extremes(tensor)
    assert written(tensor) == ([*found[2:]], [*found[:2]])


def test_nothing_finite_turns_the_ends_round(monkeypatch):
    monkeypatch.setattr(device_facts, "_PART", 2)
    assert written(torch.tensor([NAN, INF, -INF])) == ([1, 1, 1], [INF, -INF])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_whole_numbers(dtype):
    assert written(torch.tensor([1, 0, 1, 1]).to(dtype)) == ([0, 0, 0], [0.0, 1.0])


def test_several_dimensions():
    assert written(torch.arange(24.0).view(2, 3, 4)[:, :, ::2]) == ([0, 0, 0], [0.0, 22.0])
