"""What the window mirrors of the ring of records, read as history of one series or of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.protocol.messages import BINS, Records

Numbers = NDArray[np.float64]
Column = Callable[[Records], NDArray[np.generic]]


class SeriesHistory(NamedTuple):
    """All records of one series that are mirrored, oldest first; (n,) each."""

    steps: NDArray[np.int64]
    low: Numbers
    exponent: NDArray[np.int32]
    octaves: NDArray[np.bool_]
    counts: NDArray[np.int64]  # (n, BINS)
    nan: NDArray[np.int64]
    infinite: NDArray[np.int64]


def history_of(answers: Sequence[Records], key: int) -> SeriesHistory:
    """The history of one series in some answers."""
    chosen = [(answer, np.flatnonzero(answer.key == key)) for answer in answers]
    chosen = [(answer, rows) for answer, rows in chosen if len(rows)]

    def column(read: Column, kind: type, shape: tuple[int, ...] = ()) -> NDArray[np.generic]:
        parts = [read(answer)[rows] for answer, rows in chosen]
        return np.concatenate(parts) if parts else np.empty((0, *shape), kind)

    return SeriesHistory(
        steps=column(lambda r: r.step, np.int64),  # type: ignore[arg-type]
        low=column(lambda r: r.low, np.float64),  # type: ignore[arg-type]
        exponent=column(lambda r: r.exponent, np.int32),  # type: ignore[arg-type]
        octaves=column(lambda r: r.octaves, np.bool_),  # type: ignore[arg-type]
        counts=column(lambda r: r.counts, np.int64, (BINS,)),  # type: ignore[arg-type]
        nan=column(lambda r: r.nan, np.int64),  # type: ignore[arg-type]
        infinite=column(infinite_of, np.int64),  # type: ignore[arg-type]
    )


def infinite_of(records: Records) -> NDArray[np.int64]:
    """(n,) infinite elements of either sign."""
    total: NDArray[np.int64] = records.positive_infinity + records.negative_infinity
    return total


def largest_of(records: Records) -> Numbers:
    """(n,) largest magnitude among the finite elements; NaN where there is none."""
    largest: Numbers = np.maximum(np.abs(records.minimum), np.abs(records.maximum))
    return largest


def root_mean_square_of(records: Records) -> Numbers:
    """(n,) from the norm, which is estimated for all elements."""
    rms: Numbers = records.norm / np.sqrt(np.maximum(records.count, 1))
    return rms


METRICS: dict[str, Column] = {
    "Norm": lambda r: r.norm,
    "Root mean square": root_mean_square_of,
    "Mean": lambda r: r.mean,
    "Deviation": lambda r: r.deviation,
    "Largest magnitude": largest_of,
    "Zeros, share": lambda r: r.zeros / np.maximum(r.sampled, 1),
    "NaN and Inf, elements": lambda r: r.nan + infinite_of(r),
    "Dead units, share": lambda r: r.dead,
    "Saturated, share": lambda r: r.saturated,
}
"""What a curve can show of a series, by its name in the window."""


def curve_of(
    answers: Sequence[Records], key: int, metric: str
) -> tuple[NDArray[np.int64], Numbers]:
    """(n,) steps and values of one metric of one series."""
    read = METRICS[metric]
    steps, values = [np.empty(0, np.int64)], [np.empty(0)]
    for answer in answers:
        rows = np.flatnonzero(answer.key == key)
        if len(rows):
            steps.append(answer.step[rows])
            values.append(np.asarray(read(answer)[rows], np.float64))
    return np.concatenate(steps), np.concatenate(values)


def newest_of(
    store: RecordsStore, keys: set[int], step: int | None = None
) -> dict[int, tuple[Records, int]]:
    """Of each series its newest record, none after ``step``: an answer and a place in it."""
    if step is None:
        newest = ((key, store.newest(key)) for key in keys)
        return {key: place for key, place in newest if place is not None}
    found: dict[int, tuple[Records, int]] = {}
    for answer in reversed(store.answers):
        if len(found) == len(keys):
            break
        for place in np.flatnonzero(answer.step <= step)[::-1].tolist():
            key = int(answer.key[place])
            if key in keys and key not in found:
                found[key] = (answer, place)
    return found
