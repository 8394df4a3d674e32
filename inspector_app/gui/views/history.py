"""What the window mirrors of the ring of records, read as history of one series or of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.gui.client.choice import Column as Keys
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


def own_keys(records: Records) -> NDArray[np.int32]:
    """(n,) the key of each record's series, whatever a person chose."""
    return records.key


def history_of(answers: Sequence[Records], key: int, keys: Keys = own_keys) -> SeriesHistory:
    """The history of one series in some answers."""
    chosen = [(answer, np.flatnonzero(keys(answer) == key)) for answer in answers]
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
    """(n,) of the finite elements, from their norm; NaN where there is none."""
    finite = records.count - records.nan - infinite_of(records)
    return np.where(finite > 0, records.norm / np.sqrt(np.maximum(finite, 1)), np.nan)


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


OF_SOME = frozenset({"Dead units, share", "Saturated, share"})
"""Those that not every record has; NaN says no more than that."""


def keys_with(answers: Sequence[Records], metric: str, keys: Keys = own_keys) -> set[int]:
    """Series that have a value of a metric."""
    read = METRICS[metric]
    found = [keys(answer)[~np.isnan(read(answer))] for answer in answers]
    return set(np.unique(np.concatenate(found)).tolist()) if found else set()


def curve_of(
    answers: Sequence[Records], key: int, metric: str, keys: Keys = own_keys
) -> tuple[NDArray[np.int64], Numbers]:
    """(n,) steps and values of one metric of one series, where it has such values."""
    read = METRICS[metric]
    steps, values = [np.empty(0, np.int64)], [np.empty(0)]
    for answer in answers:
        there = keys(answer) == key
        if metric in OF_SOME:
            there &= ~np.isnan(read(answer))
        rows = np.flatnonzero(there)
        if len(rows):
            steps.append(answer.step[rows])
            values.append(np.asarray(read(answer)[rows], np.float64))
    return np.concatenate(steps), np.concatenate(values)


def newest_of(
    store: RecordsStore, keys: set[int], step: int | None = None
) -> dict[int, tuple[Records, int]]:
    """Of each series its newest record shown, none after ``step``: an answer and a place in it."""
    if step is None:
        newest = ((key, store.newest(key)) for key in keys)
        return {key: place for key, place in newest if place is not None}
    wanted = np.array(sorted(keys), np.int64)
    missing = np.ones(len(wanted), np.bool_)
    found: dict[int, tuple[Records, int]] = {}
    for answer in reversed(store.answers):
        if not missing.any():
            break
        places = places_of(store.keys(answer), wanted)
        rows = np.flatnonzero((places >= 0) & (answer.step <= step))
        rows = rows[missing[places[rows]]]
        last = np.full(len(wanted), -1)
        np.maximum.at(last, places[rows], rows)
        new = np.flatnonzero(last >= 0)
        missing[new] = False
        found |= {
            key: (answer, row)
            for key, row in zip(wanted[new].tolist(), last[new].tolist(), strict=True)
        }
    return found


class StepTable(NamedTuple):
    """The newest steps, oldest first, of some series; NaN where nothing was measured."""

    steps: NDArray[np.int64]  # (n,)
    root_mean_square: Numbers  # (n, series)
    largest: Numbers
    broken: NDArray[np.bool_]  # where some values are not finite


def newest_steps(
    store: RecordsStore, keys: Sequence[int], most: int, step: int | None = None
) -> StepTable:
    """At most so many of the newest steps shown of some series, none after ``step``."""
    order = np.argsort(keys)
    wanted = np.asarray(keys, np.int64)[order]
    steps = np.empty(0, np.int64)
    chosen: list[tuple[Records, NDArray[np.intp], NDArray[np.intp]]] = []  # rows, their series
    for answer in reversed(store.answers):
        if len(steps) == most and answer.step.max() < steps[0]:
            break
        places = places_of(store.keys(answer), wanted)
        there = (places >= 0) & (True if step is None else answer.step <= step)
        rows = np.flatnonzero(there)
        steps = np.union1d(steps, answer.step[rows])[-most:]
        chosen.append((answer, rows, order[places[rows]]))
    shape = (len(steps), len(keys))
    table = StepTable(steps, np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool))
    for answer, rows, series in reversed(chosen):  # the newest of a step is written last
        kept = answer.step[rows] >= (steps[0] if len(steps) else 0)
        rows, series = rows[kept], series[kept]
        where = np.searchsorted(steps, answer.step[rows]), series
        table.root_mean_square[where] = root_mean_square_of(answer)[rows]
        table.largest[where] = largest_of(answer)[rows]
        table.broken[where] = (answer.nan + infinite_of(answer))[rows] > 0
    return table


def places_of(keys: NDArray[np.int32], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """(n,) where each key stands in the sorted ``wanted``; -1 for those that do not."""
    if not len(wanted):
        return np.full(len(keys), -1)
    places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.where(wanted[places] == keys, places, -1)
