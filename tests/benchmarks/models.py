"""The one builder of the large model that every measurement speaks of."""

from __future__ import annotations

import torch
from torch import nn

LAYERS = 60
EXPERTS = 256
PARAMETERS = LAYERS * EXPERTS * 3
MODULES = 1 + LAYERS + LAYERS + LAYERS * EXPERTS + LAYERS * EXPERTS * 3


class Expert(nn.Module):
    """A gated feed-forward of three Linear, without bias as large models have them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)


class Layer(nn.Module):
    """A layer that is nothing but its experts."""

    def __init__(self, width: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Expert(width, hidden) for _ in range(experts))


def build_model(
    layers: int = LAYERS, experts: int = EXPERTS, width: int = 1024, hidden: int = 512
) -> nn.Module:
    """A mixture of experts on the meta device: 61,561 modules and 46,080 parameters."""
    with torch.device("meta"):
        return nn.Sequential(*(Layer(width, hidden, experts) for _ in range(layers)))
