"""Probes: what they measure, when they fired, and how they stand."""

from __future__ import annotations

from enum import IntFlag
from typing import Literal

from inspector_app.protocol.messages.base import Plain, Request, Result

ProbeKind = Literal[
    "output",
    "input",
    "gradient",  # of the output
    "value",  # of a parameter
    "parameter gradient",  # as it is accumulated
    "optimizer gradient",  # as the optimizer sees it: unscaled, clipped
    "update",  # what the optimizer adds, relative to the root mean square of the parameter
    "scalar",  # a number that the training loop logs; its name is the leaf
]


class Phase(IntFlag):
    """When a probe fired."""

    TRAIN = 1  # the module was in train mode
    RECOMPUTE = 2  # activation checkpointing computed it anew in the backward
    BACKWARD = 4  # a gradient
    EVALUATION = 8  # the module was not in train mode, nor was the model as a whole


class Series(Plain, frozen=True, kw_only=True):
    """What one probe measures: a tensor in the output of one module."""

    key: int
    row: int
    leaf: str  # path inside the output: "" for a bare tensor, "[0]", ".logits", ...
    kind: ProbeKind = "output"


class ProbeState(Plain, frozen=True, kw_only=True):
    """How the probe of one watched row stands.

    "armed": no step has ended since; "never fired": one has, and the probe did not fire;
    "stopped": an error disarmed it.  ``reason`` says why something is not measured and what helps;
    a probe that fired has one where its gradient never comes.
    """

    row: int
    state: Literal["armed", "fired", "never fired", "stopped"]
    fired: int = 0  # times
    reason: str = ""
    exact: bool = False  # all elements are measured, not a sample
    share: float | None = None  # of the time of a step that it takes; None before it is known


class ProbeStates(Result, frozen=True, kw_only=True):
    """Of every row that is watched."""

    states: list[ProbeState]


class GetProbeStates(Request, frozen=True, kw_only=True):
    """-> ProbeStates.  Answered at once; meant to be asked about once a second."""
