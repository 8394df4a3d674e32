"""How large samples of tensors are, and how far what they tell may be off."""

from __future__ import annotations

import math

SAMPLES = (2_048, 512)
"""Elements that are looked at of a tensor, from the largest sample to the smallest."""


def sample_error(sampled: int) -> float:
    """How far a cumulative share of a sample may be from the true one, with 95 % confidence.

    Of ``sampled`` elements, one or more (Dvoretzky-Kiefer-Wolfowitz inequality; Massart 1990).
    """
    return math.sqrt(math.log(2 / 0.05) / (2 * sampled))
