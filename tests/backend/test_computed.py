"""Which tensors are computed from others, told without computing them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.prune import BasePruningMethod

from inspector_app.backend.computed import Computed, computed_by, is_made_by_parametrize


class Noisy(nn.Module):
    """A parametrization that must not run."""

    armed = False

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        assert not self.armed, "a person's code ran"
        return values[0]

    def right_inverse(self, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return value, value


class Mine(BasePruningMethod):
    """A way of pruning whose name cannot be asked for."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(default_mask)


def test_nothing() -> None:
    assert list(computed_by(nn.Linear(1, 1))) == []
    assert not is_made_by_parametrize(nn.Linear)


def test_parametrizations() -> None:
    model = parametrizations.weight_norm(nn.Linear(2, 2))
    noisy = Noisy()
    parametrize.register_parametrization(model, "bias", noisy)
    noisy.armed = True
    assert is_made_by_parametrize(type(model))
    assert list(computed_by(model)) == [
        Computed(
            "weight",
            ("WeightNorm",),
            ("parametrizations.weight.original0", "parametrizations.weight.original1"),
            "parametrization",
        ),
        Computed(
            "bias",
            ("Noisy",),
            ("parametrizations.bias.original0", "parametrizations.bias.original1"),
            "parametrization",
        ),
    ]


@pytest.mark.filterwarnings("ignore")
def test_hooks_of_the_old_style() -> None:
    assert list(computed_by(nn.utils.weight_norm(nn.Linear(2, 2), "bias", dim=0))) == [
        Computed("bias", ("WeightNorm",), ("bias_g", "bias_v"), "weight_norm")
    ]
    assert list(computed_by(nn.utils.spectral_norm(nn.Linear(2, 2)))) == [
        Computed(
            "weight", ("SpectralNorm",), ("weight_orig", "weight_u", "weight_v"), "spectral_norm"
        )
    ]


def test_pruning() -> None:
    model = nn.Linear(2, 2)
    Mine.apply(model, "bias")
    assert list(computed_by(model)) == [
        Computed("bias", ("Mine",), ("bias_orig", "bias_mask"), "pruning")
    ]
    prune.random_unstructured(model, "bias", amount=1)
    assert [found.by for found in computed_by(model)] == [("Mine", "RandomUnstructured")]
