"""What a loss is scaled by, and gradients freed of it, with as few questions as can be."""

from __future__ import annotations

import math

import pytest
import torch

from inspector_app.backend.probing.loss_scale import LossScale


class Scaler:
    """Not torch's: it has no states, and its scale cannot be seen but by asking."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.asked = 0

    def get_scale(self) -> float:
        self.asked += 1
        return self.scale


class States(Scaler):
    """As torch's own one."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self.update(scale)

    def update(self, scale: float) -> None:
        self.scale = scale
        self._per_optimizer_states: dict[int, int] = {}


def test_without_a_scaler_a_gradient_is_as_it_is():
    scale, gradient = LossScale(), torch.ones(3)
    scale.ask()
    scale.forget()
    assert scale.taken_out(gradient) == (gradient, 0)
    assert (scale.value, scale.updates) == (1.0, 0)


def test_it_is_asked_once_and_after_each_update():
    scaler = States(4.0)
    scale = LossScale(scaler)
    assert [scale.now() for _ in range(5)] == [4.0] * 5
    assert scaler.asked == 1
    scaler.update(4.0)
    assert [scale.now() for _ in range(5)] == [4.0] * 5
    assert (scaler.asked, scale.updates) == (2, 2)


def test_another_scaler_is_asked_once_a_step():
    scaler = Scaler(4.0)
    scale = LossScale(scaler)
    for value in (4.0, 2.0, 2.0):
        scaler.scale = value
        assert [scale.now(), scale.now()] == [value, value]
        scale.forget()
    assert (scaler.asked, scale.updates) == (3, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
@pytest.mark.parametrize("factor", [1000.0, 0.3, 65536.0, 2.0**-20])
def test_what_is_left_is_a_power_of_two(dtype, factor):
    gradient = torch.tensor([3e-3, -7.0, 0.0, math.inf]).to(dtype)
    values, exponent = LossScale(Scaler(factor)).taken_out(gradient)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    expected = gradient.to(wide)[:3] / factor
    torch.testing.assert_close(values.to(wide)[:3] * 2.0**-exponent, expected, rtol=2e-7, atol=0.0)
    assert values.abs()[3] == math.inf


@pytest.mark.parametrize("factor", [0.0, math.inf, math.nan])
def test_a_scale_that_nothing_can_be_divided_by(factor):
    gradient = torch.ones(3)
    assert LossScale(Scaler(factor)).taken_out(gradient) == (gradient, 0)
