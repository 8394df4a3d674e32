"""The newest records of many cells in columns, so that all are drawn at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from widgets.histogram_cells import Record, bar_heights, mean_places

_BINS = 64  # that there is room for at first

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


class RecordColumns(NamedTuple):
    """Records as columns of shape (n,), ``counts`` (n, bins); what they mean is said in Record.

    Where not ``finite`` there is no finite value, and the counts are not read.
    """

    low: Floats
    high: Floats
    counts: Integers
    mean: Floats
    deviation: Floats
    nan: Integers
    infinite: Integers
    step: Integers
    octaves: Flags
    finite: Flags
    notes: Sequence[tuple[str, ...]]
    details: Sequence[str]

    @classmethod
    def of(cls, record: Record) -> RecordColumns:
        """A single one."""
        values = record.low, record.high, record.mean, record.deviation
        low, high, mean, deviation = (np.array([value]) for value in values)
        numbers = record.nan, record.infinite, record.step
        nan, infinite, step = (np.array([number]) for number in numbers)
        return cls(
            low=low,
            high=high,
            counts=np.asarray(record.counts)[None],
            mean=mean,
            deviation=deviation,
            nan=nan,
            infinite=infinite,
            step=step,
            octaves=np.array([record.octaves]),
            finite=np.array([len(record.counts) > 0]),
            notes=[record.notes],
            details=[record.detail],
        )


class PlotData(NamedTuple):
    """What is drawn of cells with as many bins: heights (n, bins), the others (n,)."""

    places: Places
    heights: NDArray[np.float32]  # shares of the highest
    means: Floats  # shares of the width


class CellRecords:
    """At most one record of each of ``size`` cells, in memory that is taken once."""

    def __init__(self, size: int) -> None:
        self._there = np.zeros(size, np.bool_)
        self._troubled = np.zeros(size, np.bool_)  # with values that are not finite
        self._counts = np.zeros((size, _BINS), np.int64)
        self._bins = np.zeros(size, np.intp)
        self._values = np.zeros((4, size))  # low, high, mean, deviation
        self._numbers = np.zeros((3, size), np.int64)  # NaN, infinite, step
        self._octaves = np.zeros(size, np.bool_)
        self._notes: list[tuple[str, ...]] = [()] * size
        self._details = [""] * size

    def put(self, places: Places, new: RecordColumns) -> None:
        """Let these be the records of some cells; everything is copied."""
        bins = new.counts.shape[1]
        if bins > self._counts.shape[1]:
            more = bins - self._counts.shape[1]
            self._counts = np.pad(self._counts, ((0, 0), (0, more)))
        self._counts[places, :bins] = new.counts
        self._bins[places] = np.where(new.finite, bins, 0)
        self._values[:, places] = new.low, new.high, new.mean, new.deviation
        self._numbers[:, places] = new.nan, new.infinite, new.step
        self._octaves[places] = new.octaves
        self._troubled[places] = (new.nan > 0) | (new.infinite > 0)
        self._there[places] = True
        for place, notes, detail in zip(places.tolist(), new.notes, new.details, strict=True):
            self._notes[place] = notes
            self._details[place] = detail

    def take(self, place: int) -> None:
        """Forget the record of a cell."""
        self._there[place] = self._troubled[place] = False
        self._bins[place] = 0

    def keep(self, old: CellRecords, places: Places, from_places: Places) -> None:
        """Take over what another has at some of its places."""
        self._counts = np.zeros((len(self._there), old._counts.shape[1]), np.int64)
        for mine, others in zip(self._columns(), old._columns(), strict=True):
            mine[..., places] = others[..., from_places]
        self._counts[places] = old._counts[from_places]
        for place, former in zip(places.tolist(), from_places.tolist(), strict=True):
            self._notes[place] = old._notes[former]
            self._details[place] = old._details[former]

    def _columns(self) -> tuple[NDArray[np.generic], ...]:
        """Those of which the last extent is that of the cells."""
        flags = self._there, self._troubled, self._octaves
        return (*flags, self._bins, self._values, self._numbers)

    def record(self, place: int) -> Record | None:
        """All about one cell; None where it has no record."""
        if not self._there[place]:
            return None
        low, high, mean, deviation = self._values[:, place].tolist()
        nan, infinite, step = self._numbers[:, place].tolist()
        counts = self._counts[place, : self._bins[place]].copy()
        notes, detail = self._notes[place], self._details[place]
        octaves = bool(self._octaves[place])
        return Record(
            low, high, counts, mean, deviation, nan, infinite, step, notes, detail, octaves
        )

    def plots(self, places: Places, logarithmic: bool) -> Iterator[PlotData]:
        """What is drawn of some cells, in parts with as many bins; without what has none."""
        numbers = self._bins[places]
        for bins in np.unique(numbers[numbers > 0]).tolist():
            alike = places[numbers == bins]
            low, high, mean, _ = self._values[:, alike]
            means = mean_places(low, high, mean, self._octaves[alike], bins)
            yield PlotData(alike, bar_heights(self._counts[alike, :bins], logarithmic), means)

    def states(self, places: Places) -> NDArray[np.int8]:
        """(n,) equal where two records differ in numbers only: not in what is finite of them."""
        states: NDArray[np.int8] = self._there[places].astype(np.int8)
        states += 2 * self._troubled[places]
        states += 4 * (self._bins[places] > 0)
        return states

    def drawn(self, places: Places) -> Flags:
        """(n,) which of them have a finite value to be drawn."""
        drawn: Flags = self._bins[places] > 0
        return drawn
