"""Records of several ranks as if one process had seen the tensors of all.

What is exact stays exact: numbers, minimum and maximum, and the histograms, whose bins are powers
of two and so are whole groups of the finer ones (see :class:`~inspector_app.protocol.messages.\
Records`).  Mean and deviation are pooled by the numbers of finite elements (Chan, Golub and LeVeque
1979), which is right whatever the shares that were sampled; the histogram is that of all samples
together.  A unit is dead in all ranks only where it is so in each, which shares do not always tell.

Needs numpy only: the window merges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS, Floats, Records, Series
from inspector_app.protocol.table import Int32, Int64

_ADDED = ("count", "sampled", "nan", "positive_infinity", "negative_infinity", "zeros")
_IDENTITY = ("step", "micro", "call", "phase", "octaves")
_HALF = BINS // 2
_SMALLEST = -1074  # exponent of the smallest double
_LEAST = -(1 << 61)  # beyond the number of any bin


class RankRecords(NamedTuple):
    """What one rank has sent, and the paths of its rows: ids may differ from rank to rank."""

    records: Records
    paths: Mapping[int, str]


class Merged(NamedTuple):
    """Records of all ranks together.

    Keys and sequence numbers are their own; rows are those of the first rank.  ``ranks`` (n,) says
    how many ranks have measured a record: fewer than all where one thins out otherwise.
    """

    records: Records
    ranks: Int32


def merge_ranks(ranks: Sequence[RankRecords]) -> Merged:
    """Merge what was measured of the same tensor, in the same call of the same step.

    Series of rows that the first rank does not have are left out.  Raises ValueError for no rank.
    """
    if not ranks:
        raise ValueError("There is no rank to merge.")
    series, keys = _common_series(ranks)
    chosen = [known[one.records.key] >= 0 for one, known in zip(ranks, keys, strict=True)]

    def column(name: str) -> NDArray[Any]:
        pieces = [getattr(one.records, name)[kept] for one, kept in zip(ranks, chosen, strict=True)]
        return np.concatenate(pieces)

    parts = zip(ranks, keys, chosen, strict=True)
    key = np.concatenate([known[one.records.key[kept]] for one, known, kept in parts])
    same = np.stack([column("step"), column("micro"), key, *map(column, _IDENTITY[2:])])
    identity, group = np.unique(same.astype(np.int64), axis=1, return_inverse=True)
    pool = _Pool(group.reshape(-1), identity.shape[1])
    low, exponent, counts = _histograms(pool, column, identity[-1] == 1)
    columns: dict[str, Any] = {name: pool.sum(column(name)) for name in _ADDED}
    columns |= _moments(pool, column)
    merged = Records(
        series=series,
        first=0,
        next=pool.number,
        sequence=np.arange(pool.number, dtype=np.int64),
        step=identity[0],
        micro=identity[1].astype(np.int32),
        key=identity[2].astype(np.int32),
        call=identity[3].astype(np.int32),
        phase=identity[4].astype(np.uint8),
        octaves=identity[5].astype(np.bool_),
        minimum=pool.smallest(column("minimum")),
        maximum=pool.largest(column("maximum")),
        dead=_dead(pool, column("dead")),
        saturated=_saturated(pool, column("saturated"), column("count")),
        low=low,
        exponent=exponent,
        counts=counts,
        failures=list(dict.fromkeys(text for one in ranks for text in one.records.failures)),
        **columns,
    )
    return Merged(merged, pool.sum(np.ones(len(key), np.int32)).astype(np.int32))


def _common_series(ranks: Sequence[RankRecords]) -> tuple[list[Series], list[Int64]]:
    """Series of all ranks as the first one names them; for each rank, key -> merged key or -1."""
    rows = {path: row for row, path in ranks[0].paths.items()} | {None: -1}
    found: dict[tuple[str | None, str, str], Series] = {}
    keys = []
    for one in ranks:
        known = np.full(max((s.key for s in one.records.series), default=-1) + 1, -1, np.int64)
        for series in one.records.series:
            path = None if series.row == -1 else one.paths.get(series.row, "\0")
            if path not in rows:
                continue
            name = (path, series.kind, series.leaf)
            if name not in found:
                found[name] = Series(
                    key=len(found), row=rows[path], leaf=series.leaf, kind=series.kind
                )
            known[series.key] = found[name].key
        keys.append(known)
    return list(found.values()), keys


class _Pool:
    """Reductions of columns (m,) over groups of records; results (n,)."""

    def __init__(self, group: Int64, number: int) -> None:
        self.group = group
        self.number = number

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        total = np.zeros((self.number, *values.shape[1:]), values.dtype)
        np.add.at(total, self.group, values)
        return total

    def smallest(self, values: Floats) -> Floats:
        """NaN where there is nothing else."""
        return self._best(np.fmin, values, np.nan)

    def largest(self, values: Floats) -> Floats:
        """NaN where there is nothing else."""
        return self._best(np.fmax, values, np.nan)

    def most(self, values: Int64, least: int) -> Int64:
        return self._best(np.maximum, values, least)

    def _best(self, better: np.ufunc, values: NDArray[Any], start: float) -> NDArray[Any]:
        found = np.full(self.number, start, values.dtype)
        better.at(found, self.group, values)
        return found


def _moments(pool: _Pool, column: Any) -> dict[str, Floats]:
    """Mean, deviation and norm of all ranks' elements, NaN where none was finite."""
    mean, deviation, norm = column("mean"), column("deviation"), column("norm")
    broken = column("nan") + column("positive_infinity") + column("negative_infinity")
    known = np.isfinite(mean)
    weight = np.where(known, column("count") - broken, 0).astype(np.float64)
    total = pool.sum(weight)
    # Divided by a power of two, squares neither overflow nor vanish.
    largest = np.where(known, np.maximum(np.abs(mean), np.maximum(deviation, norm)), 0.0)
    power = pool.most(np.frexp(largest)[1].astype(np.int64), _SMALLEST).astype(np.int32)
    down = -power[pool.group]
    mean, deviation, norm = (
        np.ldexp(np.where(known, values, 0.0), down) for values in (mean, deviation, norm)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        center = pool.sum(weight * mean) / total
        apart = np.where(weight > 0, mean - center[pool.group], 0.0)
        variance = pool.sum(weight * (deviation**2 + apart**2)) / total
    length = np.where(total > 0, np.sqrt(pool.sum(norm**2)), np.nan)
    return {
        "mean": np.ldexp(center, power),
        "deviation": np.ldexp(np.sqrt(variance), power),
        "norm": np.ldexp(length, power),
    }


def _dead(pool: _Pool, dead: Floats) -> Floats:
    """Share of units that are zero in all ranks; NaN where shares do not tell.

    They do where one rank has none, and where in all but one rank every unit is dead.
    """
    lowest = pool.smallest(dead)
    unknown = pool.sum(np.isnan(dead).astype(np.int64)) > 0
    alive = pool.sum((dead < 1).astype(np.int64))
    return np.where((lowest == 0) | ((alive <= 1) & ~unknown), lowest, np.nan)


def _saturated(pool: _Pool, saturated: Floats, count: Int64) -> Floats:
    """Share of the values at a bound; NaN where one rank does not know its own."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(pool.sum(saturated * count) / pool.sum(count), np.float64)


def _histograms(pool: _Pool, column: Any, octaves: NDArray[np.bool_]) -> tuple[Any, Any, Any]:
    """Left edges, exponents and counts (n, BINS) in bins that hold the values of all ranks."""
    counts, exponent = column("counts"), column("exponent").astype(np.int64)
    minimum, maximum = column("minimum"), column("maximum")
    least, most = pool.smallest(minimum), pool.largest(maximum)
    # A single value has a place among bins of any width.
    single = minimum == maximum
    single &= ~octaves[pool.group] | (minimum == 0)
    free = single & (least != most)[pool.group] | np.isnan(minimum)
    own = np.where(free, _SMALLEST, exponent)
    target = pool.most(own, _SMALLEST)
    target = np.where(octaves, target, np.maximum(target, _grid_exponent(least, most)))
    nothing = np.isnan(least)
    target[nothing] = 0
    power = target.astype(np.int32)
    apart = np.clip(target[pool.group] - own, 0, 62)[:, None]
    bins = np.arange(BINS)

    start = _whole(column("low"), exponent.astype(np.int32))
    same = pool.most(np.where(np.isnan(minimum), _LEAST, start), _LEAST)
    left = np.where(least == most, same, _whole(least, power))
    place = ((start[:, None] + bins) >> apart) - left[pool.group][:, None]
    alone = _whole(minimum, power[pool.group]) - left[pool.group]
    place = np.where(free[:, None], alone[:, None], place)
    # Octaves move towards the middle, where the bins of the smallest magnitudes take them in.
    negative = np.minimum(bins + apart, _HALF - 1)
    inward = np.where(bins < _HALF, negative, np.maximum(bins - apart, _HALF))
    place = np.where(octaves[pool.group][:, None], inward, place)
    merged = np.zeros((pool.number, BINS), np.int64)
    which, bin_ = np.nonzero(counts)
    into = np.clip(place[which, bin_], 0, BINS - 1)  # for who sends what cannot be
    np.add.at(merged, (pool.group[which], into), counts[which, bin_])
    with np.errstate(over="ignore"):
        edge = np.ldexp(np.where(octaves | nothing, 0, left).astype(np.float64), power)
    return np.maximum(edge, -np.finfo(np.float64).max), power, merged


def _grid_exponent(minimum: Floats, maximum: Floats) -> Int64:
    """Exponent of the narrowest bins that hold both; ``_SMALLEST`` for a single value."""
    spread = maximum / (BINS - 1) - minimum / (BINS - 1)  # divided first: no overflow
    known = np.isfinite(spread) & (spread > 0)
    exponent = np.frexp(np.where(known, spread, 1.0))[1].astype(np.int64)
    return np.where(known, np.maximum(exponent, _SMALLEST), _SMALLEST)


def _whole(values: Floats, exponent: Int32) -> Int64:
    """``floor(values / 2**exponent)``, 0 for NaN."""
    with np.errstate(over="ignore"):
        whole = np.floor(np.ldexp(np.where(np.isnan(values), 0.0, values), -exponent))
    return np.clip(whole, _LEAST, -_LEAST).astype(np.int64)
