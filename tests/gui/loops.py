"""Training loops as a window hears of them."""

from __future__ import annotations

from typing import Any

from inspector_app.protocol.messages import TrainingState


def loop_in(step: int, **other: Any) -> TrainingState:
    """One that goes on, of which every step is measured, but for what is told otherwise."""
    usual = {
        "paused": False,
        "held": False,
        "safe_point": "after each optimizer.step()",
        "step_seconds": 0.02,
        "overhead": 0.031,
        "budget": None,
        "every": 1,
        "thinned": "",
    }
    return TrainingState(step=step, **{**usual, **other})
