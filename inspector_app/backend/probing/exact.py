"""Zeros, moments and histogram of all elements of a tensor, for those who ask for them.

Where numba is installed float32 takes one pass after that for the extremes, and 16-bit floats one
pass that counts each of their 65,536 codes (see :mod:`inspector_app.backend.probing.compiled`).
All else goes through numpy in chunks.

Moments are those of the values divided by the width of a bin, less a shift near their mean (Chan,
Golub and LeVeque 1983), so that squares neither overflow nor cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inspector_app.backend.histograms import (
    Extremes,
    as_floats,
    as_real,
    extremes,
    values_of_codes,
)
from inspector_app.backend.probing import bins
from inspector_app.backend.probing.compiled import loops
from inspector_app.backend.statistics import CHUNK, chunks
from inspector_app.protocol.messages import BINS, Floats
from inspector_app.protocol.table import Int64

_CODED = (torch.bfloat16, torch.float16)
_BEGINNING = 4_096  # elements whose mean is the shift
_WITHIN = 120  # exponents of a width that float32 can divide by
_NORMAL = 1_000  # exponents whose powers of two are normal in float64
_WHOLE = 1 << 22  # numbers of bins up to which float32 has all whole numbers


@dataclass(slots=True)
class Whole:
    """Columns of a record, over all finite elements."""

    zeros: int
    mean: float
    deviation: float
    norm: float
    low: float
    exponent: int
    counts: Int64  # (BINS,)
    saturated: float


class _Sums:
    """Counts by bin, and moments of values divided by the bins' width, less ``shift``."""

    def __init__(self, first: float, exponent: int) -> None:
        self.first = first  # bin of the first count, from zero
        self.exponent = exponent
        self.shift = first + BINS / 2
        self.counts: Int64 = np.zeros(BINS, np.int64)
        self.elements = 0
        self.zeros = 0
        self._total = 0.0
        self._squares = 0.0

    def add(self, values: Floats, weights: Int64 | None = None) -> None:
        """Count finite values, each as often as its weight says."""
        scaled = _scaled(values, self.exponent)
        places = (np.floor(scaled) - self.first).astype(np.intp)
        found = np.bincount(places, weights=weights, minlength=BINS)
        self.counts += found.astype(np.int64)
        scaled -= self.shift
        times = np.ones(len(values), np.int64) if weights is None else weights
        weighted = scaled * times
        self._total += float(np.add.reduce(weighted))
        self._squares += float(np.add.reduce(weighted * scaled))
        self.zeros += int(np.add.reduce(times[values == 0]))
        self.elements += int(np.add.reduce(times))

    def add_codes(self, values: Floats, times: Int64) -> None:
        """Count what 16-bit codes stand for, each so many times."""
        scaled = _scaled(values, self.exponent)
        self.shift = float(np.add.reduce(scaled * times)) / float(np.add.reduce(times))
        self.add(values, times)

    def add_array(self, values: torch.Tensor, measure: Callable[..., Any]) -> None:
        """Count a contiguous float32 tensor of finite values by a compiled loop."""
        array = values.numpy()
        beginning = _scaled(array[:_BEGINNING].astype(np.float64), self.exponent)
        shift = np.float32(np.add.reduce(beginning) / len(beginning))
        inverse = np.float32(math.ldexp(1.0, -self.exponent))
        self.shift, self.elements = float(shift), len(array)
        self._total, self._squares, self.zeros = measure(
            array, inverse, np.int32(self.first), shift, self.counts
        )

    def moments(self) -> tuple[float, float, float]:
        """Mean, deviation and norm; NaN of nothing."""
        if not self.elements:
            return math.nan, math.nan, math.nan
        apart = self._total / self.elements
        variance = max(0.0, self._squares / self.elements - apart * apart)
        mean = apart + self.shift
        norm = math.sqrt(self.elements * (variance + mean * mean))
        with np.errstate(over="ignore"):
            told = np.ldexp([mean, math.sqrt(variance), norm], self.exponent)
        return float(told[0]), float(told[1]), float(told[2])


def _scaled(values: Floats, exponent: int) -> Floats:
    """``values / 2**exponent``; a product takes a fifth of the time of ``ldexp``."""
    if abs(exponent) <= _NORMAL:
        return values * math.ldexp(1.0, -exponent)
    return np.asarray(np.ldexp(values, -exponent))


def prepare() -> None:
    """Compile the loops, where numba is installed: takes seconds, once a process."""
    for dtype in (torch.float32, torch.bfloat16):
        measure(torch.zeros(3, dtype=dtype, device="cpu"))


def measure(
    values: torch.Tensor, *, octaves: bool = False, limits: tuple[float, float] | None = None
) -> tuple[Extremes, Whole]:
    """Of a tensor that is not empty, real and in the order of the memory.

    ``limits`` are those of saturation.
    """
    compiled = loops()
    if values.dim() != 1 or not values.is_contiguous() or not values.is_cpu:
        compiled = None
    codes = times = None
    if compiled is not None and values.dtype in _CODED:
        codes, times, found = _coded(values, compiled.count_codes)
    else:
        found = extremes(values)
    any_finite = not math.isnan(found.minimum)
    low, high = (np.array([bound if any_finite else 0.0]) for bound in found[:2])
    first, exponent = bins.linear_grid(low, high)
    sums = _Sums(float(first[0]), int(exponent[0]))
    all_finite = not (found.nan or found.positive_infinity or found.negative_infinity)
    fits = all_finite and abs(sums.exponent) <= _WITHIN and abs(sums.first) < _WHOLE
    if codes is not None and times is not None:
        if any_finite:
            sums.add_codes(codes, times)
    elif compiled is not None and values.dtype is torch.float32 and fits:
        sums.add_array(values, compiled.measure)
    else:
        for floats in _finite(values, all_finite):
            sums.add(floats)
    mean, deviation, norm = sums.moments()
    edge, width, counts = float(bins.left_edges(first, exponent)[0]), sums.exponent, sums.counts
    if octaves:
        top = bins.octave_top(low, high)
        work = bins.Workspace(1, 0)
        parts = (bins.octave_counts(part[None], top, work)[0] for part in _finite(values))
        edge, width, counts = 0.0, int(top[0]), sum(parts, np.zeros(BINS, np.int64))
    saturated = math.nan
    if limits is not None and sums.elements:
        outside = sum(
            np.count_nonzero(part <= limits[0]) + np.count_nonzero(part >= limits[1])
            for part in _finite(values)
        )
        saturated = outside / sums.elements
    whole = Whole(
        zeros=sums.zeros,
        mean=min(max(mean, found.minimum), found.maximum) if any_finite else math.nan,
        deviation=deviation,
        norm=norm,
        low=edge,
        exponent=width,
        counts=counts,
        saturated=saturated,
    )
    return found, whole


def _coded(
    values: torch.Tensor, count_codes: Callable[..., Int64]
) -> tuple[Floats, Int64, Extremes]:
    """The finite values that occur in a tensor of 16-bit floats, how often each does, extremes."""
    table = count_codes(values.view(torch.int16).numpy().view(np.uint16))
    (used,) = np.nonzero(table)
    times, held = table[used], values_of_codes(values.dtype)[used]
    finite = np.isfinite(held)
    odd, often = held[~finite], times[~finite]
    held, times = held[finite], times[finite]
    found = Extremes(
        float(held.min()) if len(held) else math.nan,
        float(held.max()) if len(held) else math.nan,
        *(int(often[mark].sum()) for mark in (np.isnan(odd), odd == math.inf, odd == -math.inf)),
    )
    return held, times, found


def _finite(values: torch.Tensor, all_finite: bool = False) -> Iterator[Floats]:
    """The finite elements in chunks, in float64."""
    for chunk in chunks(values, CHUNK):
        floats = as_floats(as_real(chunk))
        yield floats if all_finite else floats[np.isfinite(floats)]
