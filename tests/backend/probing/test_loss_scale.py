"""What a loss is scaled by, and gradients freed of it, with as few questions as can be."""

from __future__ import annotations

import math

import pytest
import torch

from inspector_app.backend.probing.loss_scale import LossScale
from tests.backend.probing import fake_device
from tests.backend.probing.fake_device import There


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


class Elsewhere(States):
    """One whose scale is on an accelerator."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self._scale = There(torch.tensor(scale))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1000.0, 65536.0])
def test_on_an_accelerator_nobody_waits_for_the_scale(dtype, factor):
    scaler = Elsewhere(factor)
    scale = LossScale(scaler)
    gradient = torch.tensor([3e-3, -7.0, 0.0, math.inf]).to(dtype)
    fake_device.waits.clear()
    for step in range(3):
        scale.ask()
        values, exponent = scale.taken_out(There(gradient))
        scale.forget()
        scaler.update(factor)
        assert scale.updates == step + 1
    assert fake_device.waits == []
    assert (scaler.asked, exponent, scale.scaled) == (0, 0, True)
    expected = gradient.double() / factor
    torch.testing.assert_close(values.inner.double(), expected, rtol=2e-7, atol=0.0)


def test_a_gradient_that_is_not_there_needs_the_scale_here():
    scaler = Elsewhere(4.0)
    assert LossScale(scaler).taken_out(torch.ones(3))[1] == 2
    assert scaler.asked == 1
