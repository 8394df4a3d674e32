"""A session inside of a training process: joining it, pausing its loop."""

from __future__ import annotations

from inspector_app.protocol.messages.base import Plain, Request


class TrainingState(Plain, frozen=True, kw_only=True):
    """Where a training loop stands, and what watching it costs."""

    step: int  # the one that runs, from 1 on
    paused: bool  # it will stand at the next safe point
    held: bool  # it stands there now
    safe_point: str  # where that is, in words
    step_seconds: float  # of a step without probes; 0 before it is known
    overhead: float  # share that probes take of it, with the answers to windows
    budget: float | None  # share that they may take
    every: int  # one of so many steps is measured
    thinned: str  # what is thinned out, in words; "" for nothing
    rate: int = 30  # how often a second a window may ask for records, which is how often it draws
    sample: int = 2_048  # elements that are looked at of a tensor, where not all are asked for
    rank: int = 0
    ranks: int = 1
    ended: bool = False  # the loop has closed its session


class Attach(Request, frozen=True, kw_only=True):
    """Join the session of a training process -> Opened.  Answered at once.

    It tells of the model as it was last looked at; :class:`LookAgain` tells what is new since.
    """


class LookAgain(Request, frozen=True, kw_only=True):
    """Walk a live model anew, at a safe point: its program may have changed it -> Edited."""


class Pause(Request, frozen=True, kw_only=True):
    """Let the training loop stand at its next safe point -> Done.  Answered at once."""


class Resume(Request, frozen=True, kw_only=True):
    """Let it go on -> Done.  Answered at once."""


class StepOnce(Request, frozen=True, kw_only=True):
    """Let it make one step and stand again -> Done.  Answered at once."""


class SetBudget(Request, frozen=True, kw_only=True):
    """The share of a step that probes may take, None for no limit -> Done.  Answered at once."""

    share: float | None
