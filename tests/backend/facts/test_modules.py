"""What is said of modules: mode, what computes and packs their weights, hooks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.ao.nn.quantized import dynamic
from torch.nn.utils import parametrizations, parametrize, prune

from tests.backend.tree_models import told


def recorder(*args: object) -> None:
    """A hook."""


def test_mode() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(), nn.Sequential(nn.BatchNorm1d(1)))
    assert told(model, "")["Mode"] == "train"
    model[2].eval()
    assert told(model, "")["Mode"] == "train, 2 of 4 modules below in eval"
    model.eval()
    assert told(model, "")["Mode"] == "eval"
    model[0].train()
    assert told(model, "")["Mode"] == "eval, 1 of 4 modules below in train"
    assert told(model, "2")["Mode"] == "eval"


def test_a_module_without_a_mode_is_not_counted() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.scale = torch.ones(1)

    model = nn.Sequential(nn.ReLU())
    model._modules["forgot"] = Forgot()
    assert told(model, "")["Mode"] == "train"
    assert "Mode" not in told(model, "forgot")


def test_hooks_with_names() -> None:
    model = nn.Linear(1, 1)
    model.register_forward_hook(recorder)
    model.register_forward_hook(lambda *_: None)
    model.register_full_backward_hook(recorder)
    assert told(model, "")["Hooks"] == (
        "2 forward hooks (recorder, test_hooks_with_names.<locals>.<lambda>), "
        "1 backward hook (recorder)"
    )
    assert "Hooks" not in told(nn.Linear(1, 1), "")


def test_parametrizations() -> None:
    class Symmetric(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            raise AssertionError("a person's code ran")

    model = parametrizations.weight_norm(nn.Linear(3, 3))
    parametrize.register_parametrization(model, "bias", Symmetric(), unsafe=True)
    parametrize.register_parametrization(model, "bias", nn.Identity(), unsafe=True)
    assert told(model, "")["Parametrized"] == (
        "weight by WeightNorm\nbias by Symmetric and Identity"
    )
    original = told(model, "parametrizations.weight.original0")
    assert original["Parametrization"] == "weight is computed from it, by WeightNorm"


@pytest.mark.filterwarnings("ignore")
def test_the_old_style() -> None:
    model = nn.Sequential(
        nn.utils.weight_norm(nn.Linear(2, 2)), nn.utils.spectral_norm(nn.Linear(2, 2))
    )
    assert told(model, "0")["Computed"] == (
        "weight by WeightNorm, from weight_g and weight_v before each forward"
    )
    assert told(model, "1")["Computed"].startswith("weight by SpectralNorm, from weight_orig")
    assert told(model, "0.weight_v")["Parametrization"] == (
        "weight is computed from it, by WeightNorm"
    )
    assert told(model, "0.weight")["Computed"] == (
        "from weight_g and weight_v at each forward, by WeightNorm: writing it lasts until then"
    )


def test_pruning() -> None:
    model = prune.l1_unstructured(nn.Linear(4, 2), "weight", amount=2)
    prune.random_unstructured(model, "weight", amount=2)
    assert told(model, "")["Pruned"] == (
        "weight by L1Unstructured and RandomUnstructured, from weight_orig and weight_mask before "
        "each forward; 50.0% masked"
    )


@pytest.mark.filterwarnings("ignore")
def test_packed_weights() -> None:
    facts = told(dynamic.Linear(4, 3), "")
    weight, bias = facts["Packed"].splitlines()
    assert weight.startswith("weight: 3 × 4, qint8, per tensor affine, scale ")
    assert bias == "bias: 3, float32"
    assert "no optimizer sees them" in facts["Quantized"]
    layers = told(dynamic.LSTM(3, 2), "")["Packed"].splitlines()
    assert sum("8 × 3, qint8" in line for line in layers) == 1
    assert "Packed" not in told(nn.Linear(4, 3), "")


def test_what_is_not_there_yet() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 3), nn.Linear(3, 1, device="meta"))
    facts = told(model, "")
    assert facts["Lazy"] == "2 of 6 tensors get their shape from the first forward"
    assert facts["Meta"] == "2 of 6 tensors have a shape but no data"
    assert not {"Lazy", "Meta"} & told(model, "1").keys()
