"""A multilayer perceptron that learns to tell three kinds of points apart.

With the defaults it has 10 * 8 + 8 + 8 * 3 + 3 = 115 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """One hidden layer with a rectifier: (batch, inputs) -> logits (batch, outputs)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.activation = nn.ReLU()
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each example."""
        logits: Tensor = self.output(self.activation(self.hidden(x)))
        return logits


def build_model(inputs: int = 10, hidden: int = 8, outputs: int = 3) -> MLP:
    """A freshly initialised model."""
    return MLP(inputs, hidden, outputs)


def example_inputs(batch: int = 32, inputs: int = 10) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal points."""
    return (torch.randn(batch, inputs),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
