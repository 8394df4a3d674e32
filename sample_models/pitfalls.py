"""Each classic mistake of registration, once.

Everything here runs and nothing complains, which is what makes these mistakes classic.  Open it to
see how the tree tells them: what no optimizer sees, what ``.to()`` leaves behind, what
``state_dict()`` does not save.  Each comment names the cure.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pitfalls(nn.Module):
    """Points (batch, width) -> logits (batch, classes)."""

    weights: Tensor
    seen: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        # A list of modules: none of them is registered. Cure: nn.ModuleList.
        self.layers = [nn.Linear(width, width), nn.Linear(width, width)]

        # A dict of modules: the same. Cure: nn.ModuleDict.
        self.branches = {"left": nn.Linear(width, width)}

        # A list of parameters: the same. Cure: nn.ParameterList.
        self.shifts = [nn.Parameter(torch.zeros(width))]

        # A tensor that requires a gradient is no parameter. Cure: nn.Parameter around it.
        self.scale = torch.ones(width, requires_grad=True)

        # Arithmetic makes a plain tensor of a parameter, and so does .to() with another dtype.
        # Cure: nn.Parameter around the result.
        self.gain = nn.Parameter(torch.ones(width)) * 0.5

        # A constant as a plain attribute stays behind when the model moves, and is not saved.
        # Cure: register_buffer.
        self.offset = torch.linspace(-0.1, 0.1, width)

        # A parameter registered as a buffer is moved and saved, but never trained. Cure: assign it
        # as an attribute.
        self.register_buffer("weights", nn.Parameter(torch.ones(width)))

        # A buffer that counts, but is not persistent: gone after loading. Cure: persistent=True.
        self.register_buffer("seen", torch.zeros(()), persistent=False)

        # Two parameters on one piece of memory: frozen under one name, it still moves under the
        # other. Cure: one Parameter under both names.
        self.forth = nn.Linear(width, width, bias=False)
        self.back = nn.Linear(width, width, bias=False)
        self.back.weight = nn.Parameter(self.forth.weight.detach())

        # Registered and never used: it has no gradient, and training in parallel waits for it.
        # Cure: leave it out.
        self.unused = nn.Linear(width, width)

        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each example, through all of the above but what is never used."""
        self.seen += len(x)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        x = self.branches["left"](x) + self.shifts[0]
        x = x * self.scale * self.gain.detach() * self.weights + self.offset
        logits: Tensor = self.head(self.back(torch.tanh(self.forth(x))))
        return logits


def build_model(width: int = 8, classes: int = 3) -> Pitfalls:
    """A freshly initialised model."""
    return Pitfalls(width, classes)


def example_inputs(batch: int = 32, width: int = 8) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal points."""
    return (torch.randn(batch, width),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
