"""Dead and saturated units, against what was put into the tensors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import RecordRing
from inspector_app.backend.probing.units import EVERY, LOOKS, saturation_limits


@pytest.fixture
def probes():
    with ProbeSet(RecordRing(1 << 20)) as probes:
        yield probes


def column(probes: ProbeSet, module: nn.Module, batches: list[torch.Tensor], name: str) -> list:
    """A column of the records of ``module``, run once a step."""
    probes.watch(0, module, "m")
    for batch in batches:
        probes.begin_step()
        module(batch)
        probes.flush()
    return getattr(probes.records(), name).tolist()


def with_dead(shape: tuple[int, ...], dimension: int, dead: list[int], seed: int) -> torch.Tensor:
    """Positive and negative values; these places of a dimension hold none but negative ones."""
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    tensor = torch.from_numpy(values)
    tensor.index_fill_(dimension, torch.tensor(dead, dtype=torch.int64), -1.0)
    return tensor


@pytest.mark.parametrize(
    ("shape", "dimension", "dead", "share"),
    [
        ((64, 10), 1, [0, 3, 9], 0.3),
        ((4, 16, 8), 2, [1, 2], 0.25),  # batch, tokens, width
        ((4, 16, 5, 5), 1, [7], 1 / 16),
        ((2, 4, 3, 5, 5), 1, [0, 1, 2, 3], 1.0),
        ((300, 20), 1, [5], 1 / 20),  # more elements than a sample has
    ],
)
def test_units_that_are_zero_in_all_batches_are_dead(probes, shape, dimension, dead, share):
    batches = [with_dead(shape, dimension, dead, seed) for seed in range(LOOKS + 2)]
    found = column(probes, nn.ReLU(), batches, "dead")
    assert all(math.isnan(value) for value in found[: LOOKS - 1])
    assert found[-1] == pytest.approx(share)


def test_channels_of_a_convolution_of_one_dimension(probes):
    layer = nn.Conv1d(3, 4, 1, bias=False)
    with torch.no_grad():
        layer.weight[2] = 0
    batches = [torch.randn(5, 3, 9) for _ in range(LOOKS + 2)]
    assert column(probes, layer, batches, "dead")[-1] == 0.25


def test_a_unit_that_awakes_once_is_not_dead(probes):
    batches = [with_dead((64, 4), 1, [1], seed) for seed in range(LOOKS + 1)]
    batches[4][17, 1] = 0.5
    assert column(probes, nn.ReLU(), batches, "dead")[-1] == 0.0


def test_later_on_every_fourth_firing_is_looked_at(probes):
    lively = [with_dead((64, 4), 1, [], seed) for seed in range(LOOKS + 1)]
    dying = [with_dead((64, 4), 1, [1], seed) for seed in range(EVERY * (LOOKS + 1))]
    found = column(probes, nn.ReLU(), [*lively, *dying], "dead")
    assert found[len(lively) : len(lively) + EVERY * (LOOKS - 1)] == [0.0] * EVERY * (LOOKS - 1)
    assert found[-1] == 0.25


def test_outputs_without_zeros_have_no_dead_units(probes):
    batches = [torch.randn(8, 4) for _ in range(2)]
    assert column(probes, nn.Tanh(), batches, "dead") == [0.0, 0.0]


def test_signed_outputs_and_nan(probes):
    batch = torch.tensor([[0.0, -1.0, math.nan], [0.0, 0.0, 0.0]])
    found = column(probes, nn.Identity(), [batch] * (LOOKS + 1), "dead")
    assert found[-1] == pytest.approx(1 / 3)


def test_minus_infinity_is_not_zero(probes):
    batch = torch.tensor([[0.0, -math.inf, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0]])
    found = column(probes, nn.Identity(), [batch] * (LOOKS + 1), "dead")
    assert found[-1] == pytest.approx(1 / 4)


def test_units_live_and_die_in_each_call_on_their_own(probes):
    relu = nn.ReLU()
    probes.watch(1, relu, "relu")
    calls = [
        with_dead((64, 8), 1, [0, 1, 2, 3], 0),
        with_dead((64, 16), 1, [5], 1),
        torch.ones(64, 4),
    ]
    for _ in range(LOOKS + 1):
        probes.begin_step()
        for one in calls:
            relu(one)
        probes.end_step()
    dead = probes.records().dead[-3:]
    assert dead.tolist() == [0.5, 1 / 16, 0.0]


@pytest.mark.parametrize("dtype", [torch.int64, torch.float8_e4m3fn, torch.complex64])
def test_other_dtypes_are_not_looked_at(probes, dtype):
    batch = torch.zeros(3, 3).to(dtype)
    found = column(probes, nn.Identity(), [batch] * (LOOKS + 1), "dead")
    assert math.isnan(found[-1])
    assert probes.failures == []


def test_inference_mode_and_a_changing_width(probes):
    with torch.inference_mode():
        column(probes, nn.ReLU(), [torch.zeros(4, 3)] * (LOOKS + 1), "dead")
    found = column(probes, nn.ReLU(), [torch.zeros(4, 5)] * (LOOKS + EVERY), "dead")
    assert probes.failures == []
    assert found[-1] == 1.0


# -- saturation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "values", "share"),
    [
        (nn.Sigmoid(), [-9.0, 0.0, 1.0, 9.0], 0.5),
        (nn.Tanh(), [-9.0, 0.0, 1.0, 1.5], 0.25),
        (nn.Hardtanh(-2, 2), [-3.0, 3.0, 1.9, 0.0], 0.5),
        (nn.ReLU6(), [-1.0, 0.0, 7.0, 1.0], 0.25),  # zero is not its bound, but dead
        (nn.Softsign(), [1e3, 0.0, 1.0, 2.0], 0.25),
        (nn.Hardsigmoid(), [-9.0, 9.0, 9.0, 0.0], 0.75),
    ],
)
def test_values_at_the_bounds_are_saturated(probes, layer, values, share):
    assert column(probes, layer, [torch.tensor([values])], "saturated") == [share]


def test_what_has_no_bounds_is_not_saturated(probes):
    assert saturation_limits(nn.ReLU()) is None
    assert math.isnan(column(probes, nn.ReLU(), [torch.full((2, 2), 1e9)], "saturated")[0])


def test_large_and_broken_outputs(probes):
    batch = torch.full((100, 100), 20.0)
    batch[:50] = 0.0
    assert column(probes, nn.Tanh(), [batch], "saturated")[0] == pytest.approx(0.5, abs=0.03)
    batch[:] = math.nan
    assert math.isnan(column(probes, nn.Tanh(), [batch], "saturated")[-1])


def test_each_phase_is_counted_on_its_own(probes):
    """A unit dead while the model trains is dead, whatever it does in evaluation."""
    model = nn.Sequential(nn.ReLU())
    probes.watch(0, model[0], "0")
    for seed in range(LOOKS + 1):
        probes.begin_step()
        for evaluates, dead in ((False, [1, 2]), (True, [2])):
            model.train(not evaluates)
            probes.begin_forward(evaluates)
            model(with_dead((16, 4), 1, dead, seed))
        probes.flush()
    found = probes.records()
    assert found.call.tolist() == [0, 0] * (LOOKS + 1)
    assert found.dead[-2:].tolist() == [0.5, 0.25]


def test_what_is_computed_anew_is_counted_on_its_own(probes):
    model = nn.Sequential(nn.ReLU())
    probes.watch(0, model[0], "0")
    for seed in range(LOOKS + 1):
        probes.begin_step()
        probes.begin_forward()
        inputs = with_dead((16, 4), 1, [3], seed).requires_grad_()
        checkpoint(model, inputs, use_reentrant=True).sum().backward()
        probes.flush()
    found = probes.records().dead.tolist()
    assert all(math.isnan(value) for value in found[:-2])  # two looks a step are not one more
    assert found[-2:] == [0.25, 0.25]
