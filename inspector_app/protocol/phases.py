"""The three kinds of forwards that are told apart, of the bits that each record carries."""

from __future__ import annotations

from inspector_app.protocol.messages import Phase

TRAINING, EVALUATION, RECOMPUTE = range(3)


def phase_of(bits: int) -> int:
    """Of :class:`Phase`."""
    if bits & Phase.RECOMPUTE and not bits & Phase.BACKWARD:
        return RECOMPUTE  # a gradient comes once, wherever its output was computed
    return EVALUATION if bits & Phase.EVALUATION else TRAINING
