"""Ranges of bytes: which are the same, which meet, and how much they cover together.

A range is a place as :class:`inspector_app.backend.tensors.Memory` names it: ``space``, ``start``
and ``size`` in bytes, here as three columns over many tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from inspector_app.protocol.table import Int32, Int64

Meet = Callable[[list[int], list[int]], bool]  # whether two such tensors share a byte
_PAIRS = 20_000  # compared one by one; beyond, ranges that overlap are taken to share a byte


def _close(space: Int64, start: Int64, size: Int64) -> Int64:
    """Indices of ranges that may touch another one: too many perhaps, never too few."""
    if len(space) and (space == space[0]).all():
        order = np.argsort(start, kind="stable")
    else:
        order = np.lexsort((start, space))
    space, start = space[order], start[order]
    reach = np.maximum.accumulate(start + size[order])
    close = np.zeros(len(order), np.bool_)
    close[1:] = (space[1:] == space[:-1]) & (
        (start[1:] < reach[:-1]) | (start[1:] == start[:-1])  # the second: of no bytes at all
    )
    close[:-1] |= close[1:]
    near: Int64 = order[close]
    return near


def ranks(space: Int64, start: Int64, stop: Int64) -> tuple[Int64, Int64]:
    """``start`` and ``stop`` as numbers in the same order, those of each space apart."""
    spaces, points = np.concatenate((space, space)), np.concatenate((start, stop))
    order = np.lexsort((points, spaces))
    new = (np.diff(points[order]) != 0) | (np.diff(spaces[order]) != 0)
    numbers = np.zeros(len(points), np.int64)
    numbers[order[1:]] = np.cumsum(new)
    return numbers[: len(space)], numbers[len(space) :]


class Places:
    """Which of n ranges are the same, and which overlap others in part."""

    def __init__(self, space: Int64, start: Int64, size: Int64) -> None:
        # Most models have no ties: one sort tells, and the rest is about the few that are close.
        near = _close(space, start, size)
        near = near[np.lexsort((near, size[near], start[near], space[near]))]
        self._near = near
        self._space, self._start, self._size = space[near], start[near], size[near]
        same = np.ones(max(len(near) - 1, 0), np.bool_)
        for column in (self._space, self._start, self._size):
            same &= column[1:] == column[:-1]
        self._new = np.concatenate((np.ones(min(len(near), 1), np.bool_), ~same))
        self._starts = np.flatnonzero(self._new)  # the first of each range

    def same(self) -> list[list[int]]:
        """Indices of those that have the same range, in order, two or more each."""
        groups = np.split(self._near, self._starts[1:])
        return [group.tolist() for group in groups if len(group) > 1]

    def overlapping(self, meet: Meet) -> Int64:
        """Indices of those that share a byte with one of another range.

        ``meet`` is asked about two ranges that overlap: the indices of all that have the one, and
        of all that have the other.
        """
        first = np.flatnonzero(self._new & (self._size > 0))  # of each range that has bytes
        start = self._start[first]
        start, stop = ranks(self._space[first], start, start + self._size[first])
        reach = np.maximum.accumulate(stop)
        shares = np.zeros(len(first), np.bool_)
        shares[1:] = start[1:] < reach[:-1]
        begins = np.flatnonzero(~shares)
        shares[:-1] |= start[1:] < stop[:-1]
        if not shares.any():
            return np.empty(0, np.int64)
        groups = [group.tolist() for group in np.split(self._near, self._starts[1:])]
        numbers = (np.cumsum(self._new) - 1)[first].tolist()
        budget = _PAIRS
        for cluster in np.split(np.arange(len(first)), begins[1:]):
            budget -= len(cluster) * (len(cluster) - 1) // 2
            if len(cluster) > 1 and budget >= 0:
                shares[cluster] = False
                for one, other in _overlapping_pairs(cluster, start, stop):
                    if not (shares[one] and shares[other]) and meet(
                        groups[numbers[one]], groups[numbers[other]]
                    ):
                        shares[[one, other]] = True
        known = np.zeros(len(self._near), np.bool_)
        known[first] = shares
        found: Int64 = self._near[known[self._starts[np.cumsum(self._new) - 1]]]
        return found


def _overlapping_pairs(cluster: Int64, start: Int64, stop: Int64) -> Iterator[tuple[int, int]]:
    """Pairs of a cluster, which is in order of ``start``."""
    for place, one in enumerate(cluster.tolist()):
        for other in cluster[place + 1 :].tolist():
            if start[other] >= stop[one]:
                break
            yield one, other


def tied(places: Places, positions: Int64, ids: Int32) -> Int32:
    """The ``tie`` column of rows with these ids; ``places`` are of those at ``positions``."""
    tie = np.full(len(ids), -1, np.int32)
    for group in places.same():
        tie[positions[group]] = ids[positions[group[0]]]
    return tie


def distinct_bytes(space: Int64, start: Int64, size: Int64) -> int:
    """Bytes that some ranges cover, each counted once."""
    order = np.lexsort((start, space))
    space, start, size = space[order], start[order], size[order]
    end = start + size
    overlap = np.flatnonzero((space[1:] == space[:-1]) & (start[1:] < end[:-1]))
    if not len(overlap):
        return int(size.sum())
    shared = np.isin(space, np.unique(space[overlap]))
    return int(size[~shared].sum()) + sum(
        stop - begin for begin, stop in _joined(space[shared], start[shared], end[shared])
    )


def _joined(space: Int64, start: Int64, end: Int64) -> Iterator[tuple[int, int]]:
    """Ranges in order of their place, cut where the ones before reach into them."""
    current, reach = None, 0
    for place, first, last in zip(space.tolist(), start.tolist(), end.tolist(), strict=True):
        if place != current:
            current, reach = place, first
        yield max(first, reach), max(last, first, reach)
        reach = max(reach, last)
