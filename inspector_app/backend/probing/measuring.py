"""What is computed of samples: moments, zeros, histograms and saturation of many at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inspector_app.backend.histograms import Extremes, extremes
from inspector_app.backend.probing import bins
from inspector_app.backend.probing.records import Rows
from inspector_app.protocol.table import Int64

BROKEN = ("nan", "positive_infinity", "negative_infinity")
"""Columns that count what is not finite."""


class Measuring:
    """Fills in records whose extremes are known; belongs to whoever holds the batch."""

    def __init__(self) -> None:
        self.octaves = False  # bins of a power of two each, instead of equal ones
        self.limits: dict[int, tuple[float, float]] = {}  # of saturation, by key of series
        self._work = bins.Workspace(0, 0)

    def make_room(self, rows: int, size: int) -> None:
        """Up to so many samples of up to so many elements will come at once."""
        self._work = bins.Workspace(rows, size)

    def measure_finite(self, rows: Rows, samples: bins.Samples) -> None:
        """Fill in what is computed from the finite ones of samples (n, k)."""
        hidden = ~np.isfinite(samples)
        nothing = hidden.all(1)
        if nothing.any():
            some = rows[nothing]
            self.measure(some, samples[nothing][:, :0])
            rows[nothing] = some
        if not nothing.all():
            some, hidden = rows[~nothing], hidden[~nothing]
            lowest = some["minimum"][:, None].astype(samples.dtype)
            self.measure(some, np.where(hidden, lowest, samples[~nothing]), hidden)
            rows[~nothing] = some

    def measure(
        self, rows: Rows, samples: bins.Samples, hidden: NDArray[np.bool_] | None = None
    ) -> None:
        """Fill in what is computed from samples: (n,) records, (n, k) finite values.

        ``hidden`` values (n, k) do not count; their place is held by the minimum.
        """
        if not samples.shape[1]:
            for name in ("mean", "deviation", "norm", "saturated"):
                rows[name] = np.nan
            rows["zeros"] = rows["low"] = rows["exponent"] = 0
            rows["octaves"] = self.octaves
            rows["counts"] = 0
            return
        minimum, maximum = rows["minimum"], rows["maximum"]
        first, exponent = bins.linear_grid(minimum, maximum)
        # Divided by a power of two, squares neither overflow nor vanish.
        scaled = bins.divide(samples, exponent, self._work)
        number = np.full(len(rows), samples.shape[1])
        if hidden is not None:
            number -= np.count_nonzero(hidden, 1)
        mean = np.add.reduce(scaled, 1, where=True if hidden is None else ~hidden) / number
        rows["mean"] = np.clip(np.ldexp(mean, exponent, dtype=np.float64), minimum, maximum)
        rows["zeros"] = self._zeros(samples)
        if self.octaves:
            top = bins.octave_top(minimum, maximum)
            rows["low"], rows["exponent"] = 0.0, top
            rows["counts"] = bins.octave_counts(samples, top, self._work)
        else:
            rows["low"], rows["exponent"] = bins.left_edges(first, exponent), exponent
            rows["counts"] = bins.linear_counts(scaled, first, self._work)
        rows["octaves"] = self.octaves
        if hidden is not None:
            self._take_out(rows, samples.shape[1] - number, samples.dtype)
        scaled -= mean[:, None].astype(scaled.dtype)
        if hidden is not None:
            scaled[hidden] = 0
        squares = np.einsum("ij,ij->i", scaled, scaled) / number
        rows["deviation"] = np.ldexp(np.sqrt(squares), exponent, dtype=np.float64)
        finite = rows["count"] - sum(rows[name] for name in BROKEN)
        together = np.sqrt((squares + np.square(mean, dtype=np.float64)) * finite)
        rows["norm"] = np.ldexp(together, exponent)

        rows["saturated"] = np.nan
        if self.limits:
            self._saturate(rows, samples, hidden)

    def _take_out(self, rows: Rows, hidden: Int64, dtype: np.dtype[Any]) -> None:
        """Take so many minima (n,) out of the counts: they stood for what does not count.

        They are told to their bins as the samples of that dtype were.
        """
        minimum = rows["minimum"]
        rows["zeros"] -= np.where(minimum == 0, hidden, 0)
        samples = minimum[:, None].astype(dtype)
        work = bins.Workspace(len(rows), 1)  # the other one holds the samples
        if self.octaves:
            alone = bins.octave_counts(samples, rows["exponent"], work)
        else:
            first, exponent = bins.linear_grid(minimum, rows["maximum"])
            alone = bins.linear_counts(bins.divide(samples, exponent, work), first, work)
        rows["counts"] -= alone * hidden[:, None]

    def _saturate(
        self, rows: Rows, samples: bins.Samples, hidden: NDArray[np.bool_] | None
    ) -> None:
        """Shares of values that stand at the bounds of what puts them out."""
        for index, key in enumerate(rows["key"].tolist()):
            limits = self.limits.get(key)
            if limits is not None:
                sample = samples[index] if hidden is None else samples[index][~hidden[index]]
                outside = np.count_nonzero(sample <= limits[0]) + np.count_nonzero(
                    sample >= limits[1]
                )
                rows["saturated"][index] = outside / len(sample)

    def _zeros(self, samples: bins.Samples) -> Int64:
        """Number of zeros in each row."""
        marks = self._work.marks[: len(samples), : samples.shape[1]]
        np.equal(samples, 0, out=marks)
        return np.asarray(np.add.reduce(marks, 1, dtype=np.int64))


def bound(rows: Rows, places: list[int], samples: bins.Samples) -> None:
    """Fill in the extremes of records whose samples, (n, k) with k > 0, are all there is."""
    low, high = np.minimum.reduce(samples, 1), np.maximum.reduce(samples, 1)
    rows["minimum"][places], rows["maximum"][places] = low, high
    for index in np.flatnonzero(~(np.isfinite(low) & np.isfinite(high))).tolist():
        found = extremes(torch.from_numpy(samples[index]))
        for name, value in zip(Extremes._fields, found, strict=True):
            rows[name][places[index]] = value


def shift(rows: Rows, places: list[int], exponents: list[int]) -> None:
    """Multiply the values of some records by powers of two, which moves their bins as well."""
    powers = np.asarray(exponents, np.int32)
    for name in ("minimum", "maximum", "mean", "deviation", "norm", "low"):
        rows[name][places] = np.ldexp(rows[name][places], powers)
    rows["exponent"][places] += powers
