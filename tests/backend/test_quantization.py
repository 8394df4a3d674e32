"""Quantized tensors and packed weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.ao.nn import quantized
from torch.ao.nn.quantized import dynamic

from inspector_app.backend.quantization import may_pack, packed_tensors, packs, scheme_of

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("module", "weights"),
    [
        (lambda: dynamic.Linear(4, 3), [(3, 4)]),
        (lambda: dynamic.LSTM(3, 2), [(8, 3), (8, 2)]),
        (lambda: dynamic.GRUCell(3, 2), [(6, 3), (6, 2)]),
        (lambda: quantized.Linear(4, 3), [(3, 4)]),
        (lambda: quantized.Conv2d(2, 3, 3), [(3, 2, 3, 3)]),
        (lambda: quantized.Embedding(5, 4), [(5, 4)]),
    ],
)
def test_what_is_packed(module: object, weights: list[tuple[int, ...]]) -> None:
    made = module()
    assert packs(made)
    found = [tensor for _, tensor in packed_tensors(made)]
    assert [tuple(t.shape) for t in found if t.is_quantized] == weights
    assert all(t.dtype == torch.float32 for t in found if not t.is_quantized)


@pytest.mark.parametrize(
    "module",
    [nn.Linear(2, 2), quantized.FloatFunctional(), quantized.Quantize(0.1, 0, torch.qint8)],
)
def test_what_packs_nothing(module: nn.Module) -> None:
    assert not packs(module)
    assert list(packed_tensors(module)) == []


def test_a_persons_class_is_not_unpacked() -> None:
    class Mine(dynamic.Linear):
        pass

    assert may_pack(dynamic.Linear)
    assert not may_pack(Mine)
    assert not packs(Mine(2, 2))


def test_schemes() -> None:
    ones = torch.ones(2, 3)
    assert scheme_of(ones) == {}
    assert scheme_of(torch.quantize_per_tensor(ones, 0.5, 2, torch.quint8)) == {
        "Scheme": "per tensor affine",
        "Scale": "0.5",
        "Zero point": "2",
    }
    scales, zeros = torch.tensor([0.5, 0.25]), torch.tensor([0, 1])
    assert scheme_of(torch.quantize_per_channel(ones, scales, zeros, 0, torch.qint8)) == {
        "Scheme": "per channel affine, along dimension 0",
        "Scale": "0.25 to 0.5 (2 channels)",
        "Zero point": "0 to 1 (2 channels)",
    }
