"""Whole tensors of a running model, kept to be looked at and saved."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages.base import Plain, Request, Result
from inspector_app.protocol.messages.probes import ProbeKind


class Captured(Plain, frozen=True, kw_only=True):
    """A tensor that is kept, or waited for."""

    number: int  # its own in the session
    row: int
    leaf: str
    kind: ProbeKind
    call: int
    state: Literal["waiting", "kept", "failed"]
    step: int = 0  # as long as it is waited for: the one that was chosen, 0 for the next
    micro: int = 0
    phase: int = 0  # of Phase
    shape: tuple[int, ...] = ()
    dtype: str = ""
    bytes: int = 0
    sentence: str = ""  # why it failed


class CapturedValues(Result, frozen=True, kw_only=True):
    """Some values of a captured tensor, row-major; complex numbers by their magnitude."""

    number: int
    start: int  # place of the first one
    total: int  # elements of the tensor
    values: NDArray[np.float64]


class Saved(Result, frozen=True, kw_only=True):
    """A file was written."""

    path: str
    bytes: int


class Capture(Request, frozen=True, kw_only=True):
    """Keep the tensor of the next firing, or of one in a chosen step -> Done.  Answered at once.

    The row must be watched, with this kind; ``leaf`` is the tensor's path in the output and
    ``call`` the number of the module's call within the forward.  ``micro`` is the forward within
    the step and ``phase`` one of :mod:`inspector_app.protocol.phases`; -1 stands for any.  A
    ``step`` other than 0 must be to come.  What becomes of it stands in ``Records.captures``.
    """

    row: int
    kind: ProbeKind = "output"
    leaf: str = ""
    call: int = 0
    micro: int = -1
    phase: int = -1
    step: int = 0


class GetCapturedValues(Request, frozen=True, kw_only=True):
    """Up to ``count`` values from place ``start`` on -> CapturedValues.  Answered at once."""

    number: int
    start: int = 0
    count: int = 4096


class MeasureCaptured(Request, frozen=True, kw_only=True):
    """-> Statistics of all of its values."""

    number: int


class SaveCaptured(Request, frozen=True, kw_only=True):
    """Write it as ``.safetensors`` or ``.npy``, as the path ends -> Saved."""

    number: int
    path: str


class DropCaptured(Request, frozen=True, kw_only=True):
    """Let go of it -> Done.  Answered at once."""

    number: int
