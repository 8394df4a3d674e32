"""The window's mirror of the backend's ring of records, in memory that is taken once.

Answers come in sizes that differ, thirty times a second and for days: kept as they came, they
would leave holes in the memory that nothing fits into.  So records are copied into blocks, and the
oldest block is used again once there is no more room.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from inspector_app.gui.client.choice import EACH, Choice, Column, Reading, Seen, without_call
from inspector_app.gui.client.records_parts import columns_of, cut
from inspector_app.protocol.messages import Records, Series

KEPT = 65_536  # records mirrored
_BLOCK = 1024  # records that are let go of together
_MOST_SHARE = 8  # one of so many parts at most is let go of at once


@dataclass(frozen=True)
class Gap:
    """Sequence numbers ``first`` to ``stop`` - 1 were evicted before they could be fetched."""

    first: int
    stop: int


class _Block:
    """Room for some records, and the part of it that is filled as one :class:`Records`."""

    def __init__(self, like: Records, size: int) -> None:
        self._columns: dict[str, np.ndarray[Any, Any]] = {}
        for name, value in columns_of(like).items():
            self._columns[name] = np.empty((size, *value.shape[1:]), value.dtype)
        self.size = size
        self.lent = False  # its memory is read elsewhere, and is not used again
        self.used = 0
        self.part = like

    def fill(self, records: Records, first: int) -> int:
        """Copy records from place ``first`` on; returns how many there was room for."""
        count = min(len(records.sequence) - first, self.size - self.used)
        for name, column in self._columns.items():
            column[self.used : self.used + count] = getattr(records, name)[first : first + count]
        self.used += count
        return count

    def show(self, like: Records) -> None:
        """Let ``part`` be what is filled, without a copy; what is no column is as in ``like``."""
        columns = {name: column[: self.used] for name, column in self._columns.items()}
        self.part = msgspec.structs.replace(like, **columns)


class RecordsStore:
    """The newest records, at most ``kept`` and at least three quarters of them, and their gaps.

    What it gives out are views of its memory, which is used again: copy what is to last, or let
    it be lent.  ``keys`` of records are those that they are shown under, see :meth:`choose`.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._size = max(1, min(_BLOCK, kept // _MOST_SHARE))
        self._free: list[_Block] = []
        self._blocks: deque[_Block] = deque()
        self._parts: deque[Records] = deque()  # of each block what is filled
        self.generation = 0  # of what it shows: it was cleared, or others were chosen
        self.choice = Choice()
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new session counts from 0."""
        self.generation += 1
        self._free += [block for block in self._blocks if not block.lent]
        self._blocks.clear()
        self._parts.clear()
        self.series: dict[int, Series] = {}
        self.gaps: list[Gap] = []
        self.seen = Seen()
        self.reading = Reading(self.choice, self.seen)
        self.next = 0
        self.size = 0  # records
        self._newest: dict[int, tuple[_Block, int]] = {}

    def choose(self, choice: Choice) -> None:
        """Show other records than so far."""
        former, self.choice = self.reading, choice
        self.reading = Reading(choice, self.seen)
        if self.reading.rule != former.rule:
            self.generation += 1
            self._newest = {}
            for block in self._blocks:
                self._note(block, 0)

    @property
    def keys(self) -> Column:
        """Of records, the keys (n,) that they are shown under."""
        return self.reading.keys

    @property
    def answers(self) -> deque[Records]:
        """All records, in the order they came, in parts of some."""
        return self._parts

    def lend(self) -> list[Records]:
        """All records as they are now, for as long as somebody holds them, without a copy."""
        for block in self._blocks:
            block.lent = True
        return list(self._parts)

    def add(self, records: Records) -> None:
        """Mirror one answer."""
        known = self.seen.version
        self.seen.add(records)
        if self.seen.version != known:
            self.choose(self.choice)
        self.series = {series.key: series for series in records.series}
        if records.first > self.next:
            self.gaps.append(Gap(self.next, records.first))
        self.next = max(self.next, records.next)
        first, count = 0, len(records.sequence)
        while first < count:
            block = self._with_room(records)
            place = block.used
            added = block.fill(records, first)
            block.show(records)
            self._parts[-1] = block.part
            self._note(block, place)
            self.size += added
            first += added
        if self._parts:
            oldest = int(self._parts[0].sequence[0])
            self.gaps = [gap for gap in self.gaps if gap.stop > oldest]

    def _note(self, block: _Block, place: int) -> None:
        """From this place of a block on, records are newer than those before."""
        records = cut(block.part, slice(place, None)) if place else block.part
        apart = self.reading.call == EACH
        for offset, key in enumerate(self.keys(records).tolist(), place):
            if key >= 0:
                self._newest[key] = (block, offset)
                if apart:
                    self._newest[without_call(key)] = (block, offset)

    def since(self, sequence: int, until: int | None = None) -> list[Records]:
        """Records from a sequence number on, and below another one, in parts of some."""
        found: list[Records] = []
        for part in reversed(self._parts):
            first = int(np.searchsorted(part.sequence, sequence))
            if first == len(part.sequence):
                break
            last = len(part.sequence)
            if until is not None:
                last = int(np.searchsorted(part.sequence, until))
            if first < last:
                whole = last - first == len(part.sequence)
                found.append(part if whole else cut(part, slice(first, last)))
            if first:
                break
        return found[::-1]

    def newest(self, key: int) -> tuple[Records, int] | None:
        """The newest shown of a series or a variant of it: a part and the place in it.

        None where it is gone.
        """
        if key not in self._newest:
            return None
        block, place = self._newest[key]
        return block.part, place

    def _with_room(self, like: Records) -> _Block:
        """The last block, or another one once that is full."""
        if self._blocks and self._blocks[-1].used < self._size:
            return self._blocks[-1]
        while self._blocks and self.size + self._size > self._kept:
            self._let_go()
        block = self._free.pop() if self._free else _Block(like, self._size)
        block.used = 0
        self._blocks.append(block)
        self._parts.append(like)  # its own comes once it is filled
        return block

    def _let_go(self) -> None:
        block = self._blocks.popleft()
        self._parts.popleft()
        self.size -= block.used
        if not block.lent:
            self._free.append(block)
        self._newest = {
            key: (held, place) for key, (held, place) in self._newest.items() if held is not block
        }
