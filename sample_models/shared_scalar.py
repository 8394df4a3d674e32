"""One number, learnt once and used in two places.

Both residual branches are scaled by the same parameter, as in Bachlechner et al., ReZero is All
You Need (2020), but shared.  It has two names and one gradient: the sum of both uses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ScaledBranch(nn.Module):
    """A residual branch times a scale that it is given: (batch, width) -> the same."""

    def __init__(self, width: int, scale: nn.Parameter) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """The input and a little of what the branch makes of it."""
        return x + self.scale * torch.tanh(self.inner(x))


class SharedScalar(nn.Module):
    """Points (batch, inputs) -> logits (batch, classes)."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        scale = nn.Parameter(torch.tensor(0.1))  # 0-dimensional; not 0, so that gradients pass
        self.embed = nn.Linear(inputs, width)
        self.first = ScaledBranch(width, scale)
        self.second = ScaledBranch(width, scale)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each example."""
        logits: Tensor = self.head(self.second(self.first(self.embed(x))))
        return logits


def build_model(inputs: int = 10, width: int = 16, classes: int = 3) -> SharedScalar:
    """A freshly initialised model."""
    return SharedScalar(inputs, width, classes)


def example_inputs(batch: int = 32, inputs: int = 10) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal points."""
    return (torch.randn(batch, inputs),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
