"""Exact facts of a tensor, computed where it is: no value of it is needed on the host.

A branch on whether there are NaN would need one, so they are always counted.  That takes about ten
times the memory traffic of one sum.
"""

from __future__ import annotations

import math

import torch

_PART = 1 << 24  # elements measured together, which bounds what is allocated for it


def kinds_of(values: torch.Tensor) -> torch.Tensor:
    """Numbers of NaN, positive and negative infinities of floats, shape (3,)."""
    kinds = (values.isnan(), values == math.inf, values == -math.inf)
    return torch.stack([kind.sum() for kind in kinds])


def extremes_of(values: torch.Tensor) -> torch.Tensor:
    """Minimum and maximum of the finite values, shape (2,); infinite where there is none."""
    if not values.is_floating_point():
        return torch.stack(values.aminmax())
    inf = math.inf
    low = values.nan_to_num(nan=inf, posinf=inf, neginf=inf).amin()
    high = values.nan_to_num(nan=-inf, posinf=-inf, neginf=-inf).amax()
    return torch.stack((low, high))


def write_facts(values: torch.Tensor, kinds: torch.Tensor, extremes: torch.Tensor) -> None:
    """Enqueue both, into (3,) whole numbers and (2,) others."""
    parts = torch.split(values, _PART) if values.dim() == 1 else (values,)
    found = [extremes_of(part) for part in parts]
    if values.is_floating_point():
        counted = [kinds_of(part) for part in parts]
        kinds.copy_(counted[0] if len(parts) == 1 else torch.stack(counted).sum(0))
    else:
        kinds.zero_()
    if len(parts) == 1:
        extremes.copy_(found[0])
    else:
        lows, highs = torch.stack(found).unbind(1)
        extremes.copy_(torch.stack((lows.amin(), highs.amax())))
