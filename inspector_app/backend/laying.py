"""What comparing a checkpoint with a model comes to: what is loaded, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inspector_app.backend.state_slots import Slot
from inspector_app.protocol.messages import StateDifference


@dataclass(frozen=True)
class Load:
    """One tensor of the file that is written into one of the model."""

    name: str  # in the file
    slot: Slot
    dtype: torch.dtype  # of the values in the file
    shape: tuple[int, ...]
    nbytes: int  # in the file

    @property
    def tensor(self) -> Tensor:
        """What is written to."""
        assert self.slot.tensor is not None
        return self.slot.tensor


@dataclass
class Laying:
    """How a checkpoint lies on a model.

    ``loads``: each tensor of the model once, in the order of ``state_dict()``.  ``given``:
    positions of rows whose values the file gives, those that hold them already included.
    """

    prefix: str
    keys: int  # of the model's state dict
    loads: list[Load] = field(default_factory=list)
    lossy: int = 0  # keys whose conversion loses digits
    matching: int = 0  # keys loaded as they are, or without loss
    differences: list[StateDifference] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fits(self) -> int:
        """Keys that "load what fits" would load."""
        return self.matching + self.lossy

    @property
    def size(self) -> int:
        """Bytes that are read."""
        return sum(load.nbytes for load in self.loads)


def described(dtype: str, shape: Sequence[int] | None) -> str:
    """A tensor as a line of the table of differences shows it."""
    return dtype if shape is None else f"{dtype} {list(shape)}"
