"""Batch normalisation written out, after Ioffe and Szegedy, Batch Normalization (2015).

The learnt scale and shift are parameters; the running statistics are buffers, so that they move
with the model and are saved, but no optimizer sees them; ``eps`` is a plain number.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNormLite(nn.Module):
    """Normalises each feature over the batch: (batch, features) -> the same.

    In train mode it uses the statistics of the batch and moves the running ones towards them by
    ``momentum``; in eval mode it uses the running ones.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.gamma = nn.Parameter(torch.empty(features))
        self.beta = nn.Parameter(torch.empty(features))
        self.register_buffer("running_mean", torch.empty(features))
        self.register_buffer("running_var", torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as the plain normalisation, with the statistics of standard normal features."""
        nn.init.ones_(self.gamma)
        nn.init.zeros_(self.beta)
        nn.init.zeros_(self.running_mean)
        nn.init.ones_(self.running_var)

    def forward(self, x: Tensor) -> Tensor:
        """Each feature with mean beta and standard deviation gamma."""
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                # In place: the buffers stay the objects that the model registered. The variance
                # that later batches are judged by is the unbiased one (section 3.1 of the paper).
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(x.var(0, unbiased=True), self.momentum)
        normal = (x - mean) * torch.rsqrt(variance + self.eps)
        return self.gamma * normal + self.beta


class Classifier(nn.Module):
    """A perceptron with a normalised hidden layer: (batch, inputs) -> logits (batch, classes)."""

    def __init__(self, inputs: int, hidden: int, classes: int, eps: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden, bias=False)  # beta is its bias
        self.norm = BatchNormLite(hidden, eps)
        self.output = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each example."""
        logits: Tensor = self.output(F.relu(self.norm(self.hidden(x))))
        return logits


def build_model(
    inputs: int = 10, hidden: int = 16, classes: int = 3, eps: float = 1e-5
) -> Classifier:
    """A freshly initialised model."""
    return Classifier(inputs, hidden, classes, eps)


def example_inputs(batch: int = 32, inputs: int = 10) -> tuple[Tensor]:
    """Arguments of one call of the model: points that are anything but normalised."""
    return (5 + 3 * torch.randn(batch, inputs),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
