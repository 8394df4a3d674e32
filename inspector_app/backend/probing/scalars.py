"""Numbers that a person's training loop logs."""

from __future__ import annotations

from typing import SupportsFloat

import numpy as np
import torch


def as_number(value: object) -> torch.Tensor:
    """A tensor of one element; raises ValueError with the reason where there is none.

    What is on an accelerator stays there, so that nobody waits for it.
    """
    if isinstance(value, torch.Tensor | np.ndarray):
        tensor = torch.as_tensor(value).detach()
        if tensor.numel() != 1:
            raise ValueError(f"it has {tensor.numel():,} values, not one")
        number = tensor.reshape(1)
        return number.double() if number.is_cpu and not number.is_complex() else number
    if not isinstance(value, SupportsFloat):
        raise ValueError(f"it is no number but of the type {type(value).__name__}")
    return torch.tensor([float(value)], dtype=torch.float64, device="cpu")
