"""Layers that learn the shape of their input from the first forward.

Until then their parameters have no shape, cannot be counted, initialised or exported; the first
forward makes them ordinary ones.  See
https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LazyClassifier(nn.Module):
    """Images (batch, channels, height, width) of any size -> logits (batch, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.LazyConv2d(width, 3, padding=1)
        self.norm = nn.LazyBatchNorm2d()
        # Its input is channels * height * width: what lazy layers spare one from working out.
        self.head = nn.LazyLinear(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image; the first call settles all shapes."""
        features = F.max_pool2d(F.relu(self.norm(self.convolution(x))), 2)
        logits: Tensor = self.head(features.flatten(1))
        return logits


def build_model(width: int = 8, classes: int = 3) -> LazyClassifier:
    """A model that has not seen an input yet."""
    return LazyClassifier(width, classes)


def example_inputs(batch: int = 8, channels: int = 3, size: int = 12) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal images."""
    return (torch.randn(batch, channels, size, size),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
