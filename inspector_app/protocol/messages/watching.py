"""Watching rows, and what probes measured."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages.alarms import Alarm, AlarmRules
from inspector_app.protocol.messages.base import Request, Result, Selection
from inspector_app.protocol.messages.capturing import Captured
from inspector_app.protocol.messages.probes import ProbeKind, Series
from inspector_app.protocol.messages.training import TrainingState
from inspector_app.protocol.table import Int32, Int64

Floats = NDArray[np.float64]
Watchable = Literal["modules", "leaves", "parameters"]


class Watching(Result, frozen=True, kw_only=True):
    """Modules (rows) that are watched now, and the series known so far."""

    rows: list[int]
    series: list[Series]
    exact: list[int] = []  # those of which all elements are measured, not a sample


class Records(Result, frozen=True, kw_only=True):
    """Records of the ring from one sequence number on, oldest first; ``n`` may be 0.

    Records below ``first`` are gone; what is missing between is a gap.  Histograms have linear
    bins, ``2**exponent`` wide from ``low`` on, or octave bins, whose outermost ones end at
    ``2**exponent`` (see :mod:`inspector_app.protocol.ranges`).
    """

    series: list[Series]
    first: int  # oldest sequence number the ring still holds
    next: int  # ask from here the next time
    sequence: Int64  # (n,)
    step: Int64  # (n,) number of the step: the outermost forward, or the optimizer's step
    micro: Int32  # (n,) number of the outermost forward within the step, from 0 on; those with
    # the model in evaluation mode are counted apart
    key: Int32  # (n,) of the series
    call: Int32  # (n,) how often the module had fired in that forward, or while it recomputed
    phase: NDArray[np.uint8]  # (n,) of Phase
    count: Int64  # (n,) elements
    sampled: Int64  # (n,) elements that zeros, moments and histogram were made of
    nan: Int64  # (n,)
    positive_infinity: Int64
    negative_infinity: Int64
    minimum: Floats  # (n,) exact, over finite elements; NaN where there is none
    maximum: Floats
    zeros: Int64  # (n,) of the sample
    mean: Floats  # (n,) of the sample
    deviation: Floats
    norm: Floats  # (n,) Euclidean, estimated for all finite elements
    low: Floats  # (n,) left edge of the first linear bin
    dead: Floats  # (n,) share of units that put out nothing but zeros; NaN where not known
    saturated: Floats  # (n,) share of the sample at the bounds of a bounded output; NaN elsewhere
    exponent: Int32  # (n,)
    octaves: NDArray[np.bool_]  # (n,)
    counts: Int64  # (n, BINS) finite elements of the sample
    failures: list[str] = []  # sentences of probes that were disarmed by an error
    training: TrainingState | None = None  # of the loop that runs, where one does
    alarms: list[Alarm] = []  # those that changed since the version asked from
    alarms_version: int = 0  # ask from here the next time
    alarm_rules: AlarmRules = AlarmRules()  # in force
    captures: list[Captured] = []  # all that are held or waited for


class Watch(Request, frozen=True, kw_only=True):
    """Measure every row selected (the rows themselves, not those below) -> Watching.

    Of a module "output", "input" and "gradient" can be measured, of a parameter the others; kinds
    that do not fit a row are passed over, and a row that none fits is an error.
    ``exact`` makes zeros, moments and histogram of all elements, or with False of a sample; None
    leaves that as it is, for a row that is watched anew as well.
    """

    rows: list[int]
    kinds: tuple[ProbeKind, ...] = ("output",)
    exact: bool | None = None


class PlanWatch(Request, frozen=True, kw_only=True):
    """Which modules or parameters are at or below a selection -> Planned.

    "leaves" are modules that have none below them.  Nothing is watched yet.
    """

    selection: Selection
    which: Watchable = "modules"


class SetExact(Request, frozen=True, kw_only=True):
    """Make zeros, moments and histograms of these rows of all elements, or of samples -> Watching.

    Answered at once; it stays with a row while that is not watched.
    """

    rows: list[int]
    exact: bool = True


class SetBins(Request, frozen=True, kw_only=True):
    """Count into octaves from now on, or into equal bins -> Done."""

    octaves: bool


class Unwatch(Request, frozen=True, kw_only=True):
    """Remove the hooks of these modules; all with None -> Watching."""

    rows: list[int] | None = None


class GetRecords(Request, frozen=True, kw_only=True):
    """Records from ``since`` on -> Records.  Answered at once, even while a job runs."""

    since: int = 0
    limit: int = 4096
    alarms_since: int = 0  # version of the alarms that are known
