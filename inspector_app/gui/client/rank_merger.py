"""Records of several ranks on their way into the mirror: what waits for whom, and how long.

A step is merged when every rank has sent all of it.  A rank that is late holds it up for two
seconds, then the step goes on without what that rank has not sent.  Needs numpy only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.gui.client.records_parts import cut, joined
from inspector_app.protocol.merging import Merged, RankRecords, merge_ranks
from inspector_app.protocol.messages import Records, Series

PATIENCE = 2.0  # seconds that a step waits for ranks that have not sent it
MOST_HELD = 4096  # records of a rank that may wait for the others before no more are wanted
_LARGEST_STEP = 16_384  # records of a rank that are merged even if their step goes on
_AT_ONCE = 512  # records merged in one go, but for a step that has more
_NOT_OWN = 1 << 20  # keys from here on are of series that the own rank does not have


class _Rank:
    """What one rank has sent and is not merged yet."""

    def __init__(self) -> None:
        self.waiting: list[Records] = []  # in the order in which they came
        self.held = 0  # records that wait
        self.complete = -1  # this step and all before it have been sent
        self.running = 0  # step that ran when the last answer was given
        self.series: Records | None = None  # no records, with the series known last
        self.paths: Mapping[int, str] = {}
        self.gone = False

    def add(self, records: Records, whole: bool) -> None:
        if len(records.step):
            self.waiting.append(records)
            self.held += len(records.step)
            self.complete = max(self.complete, int(records.step.max()) - 1)
        if whole:  # of what ran when the answer before was given, nothing is missing
            self.complete = max(self.complete, self.running - 1)
        if records.training is not None:
            self.running = records.training.step
        self.series = cut(records, slice(0, 0))

    def take(self, until: int) -> RankRecords:
        """What waits of the steps up to ``until``."""
        assert self.series is not None
        taken: list[Records] = []
        kept: list[Records] = []
        for part in self.waiting:
            due = part.step <= until
            if due.any():
                taken.append(cut(part, due))
            if not due.all():
                kept.append(cut(part, ~due))
        self.waiting = kept
        self.held = sum(len(part.step) for part in kept)
        return RankRecords(joined([*taken, self.series]), self.paths)


class RankMerger:
    """Takes what ranks send, gives it back merged, step after step.

    ``own`` is the rank that the window is attached to: rows and keys are its own.  Rows of which it
    has measured nothing are left out.  ``late`` counts records whose step had been given before
    they came.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._ranks = {own: _Rank()}
        self._done = -1  # this step and all before it have been given
        self._next = 0  # sequence number
        self._reached: deque[tuple[float, int]] = deque()  # when the first rank had sent a step
        self._overdue = -1  # step that waits for nobody any more
        self._keys: dict[tuple[int, str, str], int] = {}
        self.late = 0

    def expect(self, rank: int) -> None:
        """Nothing is given before this rank has sent something, or is gone."""
        self._ranks.setdefault(rank, _Rank())

    def gone(self, rank: int) -> None:
        """It sends no more; what it has sent counts."""
        self._ranks[rank].gone = True

    def end(self) -> None:
        """Nobody sends any more: what waits is due."""
        for one in self._ranks.values():
            one.gone = True

    def add(
        self, rank: int, records: Records, paths: Mapping[int, str], now: float, whole: bool
    ) -> None:
        """What a rank has sent at ``now`` (seconds of any clock).

        ``paths`` are those of the rows of its series; ``whole`` says that it had no more to send.
        """
        sender = self._ranks[rank]
        first = sender.series is None
        fresh: NDArray[np.bool_] = records.step > self._done
        if not fresh.all():
            self.late += int(np.count_nonzero(~fresh))
            records = cut(records, fresh)
        sender.paths = paths
        sender.add(records, whole)
        top = max(one.complete for one in self._ranks.values())
        if first:  # what waited for this one waits from now on
            self._reached.clear()
            self._reached.append((now, top))
        elif not self._reached or top > self._reached[-1][1]:
            self._reached.append((now, top))

    def ahead(self, rank: int) -> bool:
        """Whether so much of a rank waits for the others that more is not wanted now."""
        one = self._ranks[rank]
        return one.held > MOST_HELD and int(one.waiting[0].step[0]) <= one.complete

    def take(self, now: float) -> Merged | None:
        """Merge the steps that are due, some at a time; None where there is none."""
        if any(one.series is None for one in self._ranks.values() if not one.gone):
            return None
        senders = [one for one in self._ranks.values() if one.series is not None]
        waiting = [part.step for one in senders for part in one.waiting]
        steps = np.sort(np.concatenate(waiting)) if waiting else np.empty(0, np.int64)
        until = self._due(now, steps)
        due = int(np.searchsorted(steps, until, "right"))
        if due > _AT_ONCE:
            until = max(int(steps[0]), int(steps[_AT_ONCE]) - 1)
        self._done = max(self._done, until)
        if any(one.held > _LARGEST_STEP for one in senders):
            until = int(steps[-1])
        if not len(steps) or steps[0] > until or self._ranks[self._own].series is None:
            return None
        return self._numbered(merge_ranks([one.take(until) for one in senders]))

    def _due(self, now: float, steps: NDArray[np.int64]) -> int:
        """The last step that waits for nobody."""
        while self._reached and self._reached[0][0] <= now - PATIENCE:
            self._overdue = self._reached.popleft()[1]
        there = [one.complete for one in self._ranks.values() if not one.gone]
        if there:
            return max(min(there), self._overdue)
        return int(steps[-1]) if len(steps) else self._done

    def _numbered(self, merged: Merged) -> Merged:
        """The same with keys that stay, those of the own rank, and numbers that go on."""
        own = self._ranks[self._own].series
        assert own is not None
        known = {(one.row, one.kind, one.leaf): one.key for one in own.series}
        series: list[Series] = []
        for one in merged.records.series:
            name = (one.row, one.kind, one.leaf)
            key = self._keys.setdefault(name, known.get(name, _NOT_OWN + len(self._keys)))
            series.append(Series(key=key, row=one.row, leaf=one.leaf, kind=one.kind))
        keys = np.asarray([one.key for one in series], np.int32)
        first, count = self._next, len(merged.ranks)
        self._next += count
        records = msgspec.structs.replace(
            merged.records,
            series=series,
            key=keys[merged.records.key],
            first=first,
            next=self._next,
            sequence=np.arange(first, self._next, dtype=np.int64),
        )
        return Merged(records, merged.ranks)


def ranks_of_newest_step(merged: Merged) -> tuple[int, int] | None:
    """Fewest and most ranks that a record of the newest step stands for; None where none was made.

    Numbers that a loop logs do not count: often one rank logs them, and in steps of their own.
    """
    records = merged.records
    scalars = [one.key for one in records.series if one.kind == "scalar"]
    measured = ~np.isin(records.key, scalars)
    if not measured.any():
        return None
    numbers = merged.ranks[measured & (records.step == records.step[measured].max())]
    return int(numbers.min()), int(numbers.max())
