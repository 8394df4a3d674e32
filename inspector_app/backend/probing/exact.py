"""Zeros, moments and histogram of all elements of a tensor, for those who ask for them.

After a pass for the extremes, what float32 can hold takes one pass of a compiled loop where numba
is installed (see :mod:`inspector_app.backend.probing.compiled`).  All else goes through numpy in
chunks.

Moments are those of the values divided by the width of a bin, less a shift near their mean (Chan,
Golub and LeVeque 1983), so that squares neither overflow nor cancel.

Extremes, zeros and what is not finite are counted exactly.  Counts of bins are exact, too, but that
the compiled loop takes for zero what float32 does when it is divided by the width.  The mean is
within 1e-5 of the largest magnitude; deviation and norm are within 1e-4 of themselves, the
deviation where that is less than 1e-5 of the largest magnitude, within that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

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
_KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}  # as the loops call them
_SHORT = (torch.bool, torch.uint8, torch.int8, torch.int16)  # whole numbers that float32 holds
_AT_ONCE = 1 << 30  # elements that the loop can count at once
_NO_FLOATS, _NO_WORDS = np.empty(0, np.float32), np.empty(0, np.int32)
_WITHIN = 100  # exponents of a width that float32 can divide by, and still add up
_NORMAL = 1_000  # exponents whose powers of two are normal in float64
_WHOLE = 1 << 16  # numbers of bins up to which float32 holds those of a pair exactly


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

    def add(self, values: Floats) -> None:
        """Count finite values."""
        scaled = _scaled(values, self.exponent)
        places = (np.floor(scaled) - self.first).astype(np.intp)
        self.counts += np.bincount(places, minlength=BINS)
        scaled -= self.shift
        self._total += float(np.add.reduce(scaled))
        self._squares += float(np.add.reduce(scaled * scaled))
        self.zeros += int(np.count_nonzero(values == 0))
        self.elements += len(values)

    def add_compiled(self, values: torch.Tensor, loops: ModuleType) -> None:
        """Count a contiguous tensor of finite float32, bfloat16 or float16 by a compiled loop."""
        if not values.numel():
            return
        coded = values.dtype in _CODED
        # Values are taken in twos; two codes stand in a word of the memory.
        count = values.numel()
        start = values.data_ptr() % 4 // 2 if coded else 0
        stop = start + (count - start) // 2 * 2
        single = _NO_FLOATS
        if stop - start < count:
            single = torch.cat((values[:start], values[stop:])).to(torch.float32).numpy()
            values = values[start:stop]
        floats, words = _NO_FLOATS, _NO_WORDS
        if coded:
            words = _codes(values).view(np.int32)
        else:
            floats = values.numpy()
        self.shift, total, squares, zeros = loops.measure(
            floats,
            words,
            single,
            _KINDS[values.dtype],
            np.float32(math.ldexp(1.0, -self.exponent)),
            np.int32(self.first),
            np.float32(self.shift if self.elements else math.nan),
            self.counts,
        )
        self._total += total
        self._squares += squares
        self.zeros += zeros
        self.elements += count

    def moments(self) -> tuple[float, float, float]:
        """Mean, deviation and norm; NaN of nothing."""
        if not self.elements:
            return math.nan, math.nan, math.nan
        apart = self._total / self.elements
        variance = max(0.0, self._squares / self.elements - apart * apart)
        mean = apart + self.shift
        norm = math.sqrt(self.elements * (variance + mean * mean))
        return self._unscaled(mean), self._unscaled(math.sqrt(variance)), self._unscaled(norm)

    def _unscaled(self, value: float) -> float:
        try:
            return math.ldexp(value, self.exponent)
        except OverflowError:
            return math.copysign(math.inf, value)


def _scaled(values: Floats, exponent: int) -> Floats:
    """``values / 2**exponent``; a product takes a fifth of the time of ``ldexp``."""
    if abs(exponent) <= _NORMAL:
        return values * math.ldexp(1.0, -exponent)
    return np.asarray(np.ldexp(values, -exponent))


def measure(
    values: torch.Tensor, *, octaves: bool = False, limits: tuple[float, float] | None = None
) -> tuple[Extremes, Whole]:
    """Of a tensor that is not empty, real and in the order of the memory.

    ``limits`` are those of saturation.
    """
    fits = values.is_cpu and values.dtype in (torch.float32, *_CODED, *_SHORT)
    compiled = loops() if fits else None
    found, zeros = _extremes(values, compiled)
    any_finite = not math.isnan(found.minimum)
    minimum, maximum = (found.minimum, found.maximum) if any_finite else (0.0, 0.0)
    sums = _Sums(*bins.grid(minimum, maximum))
    all_finite = not (found.nan or found.positive_infinity or found.negative_infinity)
    if compiled is not None and abs(sums.exponent) <= _WITHIN and abs(sums.first) < _WHOLE:
        for part in _finite_parts(values, all_finite):
            sums.add_compiled(part, compiled)
    else:
        for floats in _finite(values, all_finite):
            sums.add(floats)
    mean, deviation, norm = sums.moments()
    edge, width, counts = bins.left_edge(sums.first, sums.exponent), sums.exponent, sums.counts
    if octaves:
        low, high = np.array([minimum]), np.array([maximum])
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
        zeros=sums.zeros if zeros is None else zeros,
        mean=min(max(mean, found.minimum), found.maximum) if any_finite else math.nan,
        deviation=deviation,
        norm=norm,
        low=edge,
        exponent=width,
        counts=counts,
        saturated=saturated,
    )
    return found, whole


def _codes(values: torch.Tensor) -> NDArray[np.int16]:
    """The codes of 16-bit floats, in their memory."""
    codes: NDArray[np.int16] = values.view(torch.int16).numpy()
    return codes


def _extremes(values: torch.Tensor, compiled: ModuleType | None) -> tuple[Extremes, int | None]:
    """Of 16-bit floats in one pass with their zeros, where that is compiled."""
    if compiled is not None and values.dtype in _CODED and _is_flat(values):
        least, greatest, zeros = compiled.ends(_codes(values))
        known = values_of_codes(values.dtype)
        low, high = float(known[least]), float(known[greatest])
        if math.isfinite(low) and math.isfinite(high):
            return Extremes(low, high, 0, 0, 0), zeros
    return extremes(values), None


def _is_flat(values: torch.Tensor) -> bool:
    return values.dim() == 1 and values.is_contiguous()


def _finite_parts(values: torch.Tensor, all_finite: bool) -> Iterator[torch.Tensor]:
    """The finite elements in contiguous parts that the compiled loop takes, without a copy if so.

    Those of what float32 holds.
    """
    if all_finite and _is_flat(values) and values.dtype not in _SHORT:
        yield from chunks(values, _AT_ONCE)
        return
    for chunk in chunks(values, CHUNK):
        floats = chunk.to(torch.float32)
        yield floats.reshape(-1) if all_finite else floats[floats.isfinite()]


def _finite(values: torch.Tensor, all_finite: bool = False) -> Iterator[Floats]:
    """The finite elements in chunks, in float64."""
    for chunk in chunks(values, CHUNK):
        floats = as_floats(as_real(chunk))
        yield floats if all_finite else floats[np.isfinite(floats)]
