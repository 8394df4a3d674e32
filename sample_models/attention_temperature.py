"""Self-attention whose sharpness is learnt, one temperature for each head.

Queries and keys have unit length, so that only the temperature says how sharply a head looks: after
Henry et al., Query-Key Normalization for Transformers (2020).  It is stored as a logarithm and so
stays positive whatever the optimizer does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TemperatureAttention(nn.Module):
    """All tokens look at all: (batch, length, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided among {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # a bias would cancel in the softmax
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        # (heads, 1, 1), to be broadcast over pairs of tokens.
        self.log_temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as sharp as dot products of standard normal vectors divided by sqrt(size) are."""
        size = self.query.out_features // self.heads
        nn.init.constant_(self.log_temperature, -0.5 * math.log(size))

    def _by_head(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, heads, length, width / heads)."""
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Mixture of the values of all tokens."""
        query = F.normalize(self._by_head(self.query(x)), dim=-1)
        key = F.normalize(self._by_head(self.key(x)), dim=-1)
        scores = query @ key.transpose(-2, -1) / self.log_temperature.exp()
        mixed = scores.softmax(-1) @ self._by_head(self.value(x))
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return out


class SetClassifier(nn.Module):
    """Sets of points (batch, length, inputs) -> logits (batch, classes)."""

    def __init__(self, inputs: int, width: int, heads: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.norm = nn.LayerNorm(width)
        self.attention = TemperatureAttention(width, heads)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each set, whatever the order of its points."""
        x = self.embed(x)
        x = x + self.attention(self.norm(x))
        logits: Tensor = self.head(x.mean(1))
        return logits


def build_model(
    inputs: int = 6, width: int = 32, heads: int = 4, classes: int = 3
) -> SetClassifier:
    """A freshly initialised model."""
    return SetClassifier(inputs, width, heads, classes)


def example_inputs(batch: int = 16, length: int = 10, inputs: int = 6) -> tuple[Tensor]:
    """Arguments of one call of the model: sets of standard normal points."""
    return (torch.randn(batch, length, inputs),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
