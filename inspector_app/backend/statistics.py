"""Exact statistics of tensors, however large: in chunks, with progress and cancel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from inspector_app.backend.histograms import (
    Tally,
    as_floats,
    as_real,
    extremes,
    in_memory_order,
    why_unreadable,
)
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Statistics
from inspector_app.protocol.ranges import bin_range

CHUNK = 1 << 16  # elements: half a megabyte as float64, so that the passes stay in the cache
_LABEL = "Measuring"


def chunks(tensor: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Views of at most ``size`` elements that together hold each element once."""
    count = tensor.numel()
    if count <= size:
        if count:
            yield tensor
        return
    extents = tensor.shape
    dimension = next(d for d, extent in enumerate(extents) if extent > 1)
    step = max(1, size * extents[dimension] // count)
    for start in range(0, extents[dimension], step):
        length = min(step, extents[dimension] - start)
        yield from chunks(tensor.narrow(dimension, start, length), size)


@dataclass(frozen=True)
class _Counted:
    """What one pass over the values tells; extremes over finite ones, None where there is none."""

    nan: int
    positive: int  # infinities
    negative: int
    zeros: int
    minimum: float | None
    maximum: float | None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Minimum and maximum, where there are any."""
        if self.minimum is None or self.maximum is None:
            return None
        return self.minimum, self.maximum


class _Passes:
    """Counts chunks of all passes together, for progress and cancel."""

    def __init__(self, total: int, job: Job) -> None:
        self._total = total
        self._job = job
        self._done = 0

    def over(self, values: torch.Tensor) -> Iterator[torch.Tensor]:
        """The chunks of ``values``."""
        for chunk in chunks(values, CHUNK):
            self._job.check()
            yield chunk
            self._done += chunk.numel()
            self._job.progress(self._done, self._total, _LABEL)


def measure(tensor: torch.Tensor, job: Job = NO_JOB, *, row: int = -1) -> Statistics:
    """Statistics over all elements; moments in float64, complex numbers by their magnitude.

    Two passes: the bins need the extremes first.  Integers beyond 2**53 are rounded.  ``row``
    stands in the answer.  Raises RefusedError for a tensor whose values cannot be read, Cancelled
    between two chunks.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad():
        values = _readable(tensor)
        passes = _Passes(2 * values.numel(), job)
        counted = _count(values, passes)
        return _statistics(values, counted, None, passes, row)


def measure_both(
    before: torch.Tensor, after: torch.Tensor, job: Job = NO_JOB, *, row: int = -1
) -> tuple[Statistics, Statistics]:
    """Statistics of two tensors as of :func:`measure`, to be compared.

    Their bins have the same edges, around all values of both, unless one of them has no finite
    value.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad():
        both = [_readable(before), _readable(after)]
        passes = _Passes(2 * sum(values.numel() for values in both), job)
        counted = [_count(values, passes) for values in both]
        bounds = [one.bounds for one in counted]
        edges = None
        if bounds[0] is not None and bounds[1] is not None:
            edges = bin_range(min(bounds[0][0], bounds[1][0]), max(bounds[0][1], bounds[1][1]))
        first, second = (
            _statistics(values, one, edges, passes, row)
            for values, one in zip(both, counted, strict=True)
        )
        return first, second


def _readable(tensor: torch.Tensor) -> torch.Tensor:
    """The values in the order of the memory; raises RefusedError where they cannot be read."""
    if reason := why_unreadable(tensor):
        raise RefusedError(f"There is nothing to measure: {reason}.")
    return in_memory_order(tensor.detach())


def _count(values: torch.Tensor, passes: _Passes) -> _Counted:
    nan = positive = negative = zeros = 0
    low, high = math.inf, -math.inf
    for chunk in passes.over(values):
        part = as_real(chunk)
        found = extremes(part)
        nan += found.nan
        positive += found.positive_infinity
        negative += found.negative_infinity
        zeros += part.numel() - int(part.count_nonzero())
        # NaN (a chunk without finite elements) is smaller and larger than nothing.
        low = found.minimum if found.minimum < low else low
        high = found.maximum if found.maximum > high else high
    any_finite = nan + positive + negative < values.numel()
    bounds = (low, high) if any_finite else (None, None)
    return _Counted(nan, positive, negative, zeros, *bounds)


def _statistics(
    values: torch.Tensor,
    counted: _Counted,
    edges: tuple[float, float] | None,
    passes: _Passes,
    row: int,
) -> Statistics:
    bounds = counted.bounds
    tally = Tally(*(bounds or (0.0, 1.0)), edges)
    clean = counted.nan + counted.positive + counted.negative == 0
    for chunk in passes.over(values):
        floats = as_floats(as_real(chunk))
        tally.add(floats if clean else floats[np.isfinite(floats)])
    return Statistics(
        row=row,
        count=values.numel(),
        nan=counted.nan,
        positive_infinity=counted.positive,
        negative_infinity=counted.negative,
        zeros=counted.zeros,
        minimum=counted.minimum,
        maximum=counted.maximum,
        mean=tally.mean if bounds else None,
        deviation=tally.deviation if bounds else None,
        norm=tally.norm if bounds else None,
        low=tally.low,
        high=tally.high,
        counts=tally.counts,
    )
