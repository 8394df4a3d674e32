"""Exact statistics of one tensor, however large: in chunks, with progress and cancel."""

from __future__ import annotations

import math
from collections.abc import Iterator

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


def measure(tensor: torch.Tensor, job: Job = NO_JOB, *, row: int = -1) -> Statistics:
    """Statistics over all elements; moments in float64, complex numbers by their magnitude.

    Two passes: the bins need the extremes first.  Integers beyond 2**53 are rounded.  ``row``
    stands in the answer.  Raises RefusedError for a tensor whose values cannot be read, Cancelled
    between two chunks.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad():
        if reason := why_unreadable(tensor):
            raise RefusedError(f"There is nothing to measure: {reason}.")
        return _measured(in_memory_order(tensor.detach()), job, row)


def _measured(values: torch.Tensor, job: Job, row: int) -> Statistics:
    count = values.numel()
    nan = positive = negative = zeros = 0
    low, high = math.inf, -math.inf
    done = 0
    for chunk in chunks(values, CHUNK):
        job.check()
        part = as_real(chunk)
        found = extremes(part)
        nan += found.nan
        positive += found.positive_infinity
        negative += found.negative_infinity
        zeros += part.numel() - int(part.count_nonzero())
        # NaN (a chunk without finite elements) is smaller and larger than nothing.
        low = found.minimum if found.minimum < low else low
        high = found.maximum if found.maximum > high else high
        done += chunk.numel()
        job.progress(done, 2 * count, _LABEL)
    any_finite = nan + positive + negative < count
    tally = Tally(low, high) if any_finite else Tally(0.0, 1.0)
    clean = nan + positive + negative == 0
    for chunk in chunks(values, CHUNK):
        job.check()
        floats = as_floats(as_real(chunk))
        tally.add(floats if clean else floats[np.isfinite(floats)])
        done += chunk.numel()
        job.progress(done, 2 * count, _LABEL)
    return Statistics(
        row=row,
        count=count,
        nan=nan,
        positive_infinity=positive,
        negative_infinity=negative,
        zeros=zeros,
        minimum=low if any_finite else None,
        maximum=high if any_finite else None,
        mean=tally.mean if any_finite else None,
        deviation=tally.deviation if any_finite else None,
        norm=tally.norm if any_finite else None,
        low=tally.low,
        high=tally.high,
        counts=tally.counts,
    )
