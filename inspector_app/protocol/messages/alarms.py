"""Alarms: what in the records of probes deserves a look, and the rules by which that is found."""

from __future__ import annotations

from typing import Literal

from inspector_app.protocol.messages.base import Plain, Request

AlarmKind = Literal["nan", "vanishing", "exploding", "dead", "saturated"]


class AlarmRules(Plain, frozen=True, kw_only=True):
    """When an alarm is raised; None switches a kind off.

    What the numbers are compared with is told in :mod:`inspector_app.backend.probing.alarms`.
    """

    nan: bool = True
    vanishing: float | None = 1e-7  # the largest magnitude in a gradient is smaller
    exploding: float | None = 100.0  # a magnitude, or the norm of a gradient, is larger
    dead: float | None = 0.5  # at least this share of the units
    saturated: float | None = 0.5  # at least this share of the values
    pause: tuple[AlarmKind, ...] = ()  # kinds that let a training loop stand


class Alarm(Plain, frozen=True, kw_only=True):
    """One kind of alarm of one series: (key, kind) tells which, and a newer one replaces it."""

    key: int  # of the series
    kind: AlarmKind
    row: int  # -1 for a scalar
    path: str  # of the tensor, as sentences name it
    first_step: int
    last_step: int
    count: int  # records
    worst: float  # most NaN and infinities, smallest or largest value, largest share
    origin: int  # "nan": key of the series where it appeared first in its step; else ``key``
    sentence: str
    paused: bool  # it let the loop stand


class SetAlarmRules(Request, frozen=True, kw_only=True):
    """Judge records by these rules from now on -> Done.  Answered at once.

    ``clear`` forgets the alarms so far.  Kinds that pause are refused where the loop cannot stand.
    """

    rules: AlarmRules
    clear: bool = False
