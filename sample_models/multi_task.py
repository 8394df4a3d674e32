"""One trunk and a head for each task, after Caruana, Multitask Learning (1997).

The heads stand in an ``nn.ModuleDict``: a plain dict would hide them from the optimizer, from
``.to()`` and from ``state_dict()``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TASKS = {"kind": 4, "mood": 2, "price": 1}  # outputs of each head; one output is a number


class MultiTask(nn.Module):
    """Points (batch, inputs) -> one output (batch, n) by the name of each task."""

    def __init__(self, inputs: int, width: int, tasks: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.heads = nn.ModuleDict({name: nn.Linear(width, n) for name, n in tasks.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of the tasks that classify, values of those that measure."""
        features = self.trunk(x)
        return {name: head(features) for name, head in self.heads.items()}


def build_model(
    inputs: int = 12, width: int = 24, tasks: Mapping[str, int] | None = None
) -> MultiTask:
    """A freshly initialised model; ``tasks`` gives the outputs of each head."""
    return MultiTask(inputs, width, TASKS if tasks is None else tasks)


def example_inputs(batch: int = 32, inputs: int = 12) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal points."""
    return (torch.randn(batch, inputs),)


def loss(output: Mapping[str, Tensor]) -> Tensor:
    """Sum of the losses of all tasks against fixed targets, for a backward pass to start from."""
    losses = []
    for values in output.values():
        batch, outputs = values.shape
        targets = torch.arange(batch, device=values.device) % max(outputs, 2)
        losses.append(
            F.mse_loss(values[:, 0], targets.to(values.dtype))
            if outputs == 1
            else F.cross_entropy(values, targets)
        )
    return torch.stack(losses).sum()
