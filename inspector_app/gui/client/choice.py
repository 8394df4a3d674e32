"""Which records are shown: those of which phase, which call of a module, which micro-step.

A loop that evaluates now and then, a module that is called several times in one forward, and
gradients accumulated over several forwards leave more than one record of a series in a step.
:class:`Seen` knows what there is, a :class:`Choice` is what a person wants of it, and a
:class:`Reading` gives each record the key that it is shown under.  Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import Records
from inspector_app.protocol.phases import EVALUATION, RECOMPUTE, TRAINING, phase_of

LAST, EACH = -1, -2
"""The last call (or micro-step) of a step, as it ended; each call as a series of its own."""
MOST_APART = 8  # calls of one module that may be series of their own
WORDS = {EVALUATION: "eval", RECOMPUTE: "recompute"}
NAMES = {TRAINING: "training", EVALUATION: "evaluation", RECOMPUTE: "recompute"}

_HIDDEN = -(2**31)
_PHASE_BIT, _CALL_BIT = 21, 23  # of a key: below them is that of the series
_CACHED = 256  # parts of a mirror

Column = Callable[[Records], NDArray[np.int32]]

_PHASES = np.array([phase_of(bits) for bits in range(16)], np.int32)


class Counts(NamedTuple):
    """What there is of one series in one phase."""

    calls: int  # of the module in one forward
    first: int  # micro-step
    last: int

    @property
    def micro_steps(self) -> int:
        """How many there are in a step; 1 where it is always the same one that is measured."""
        return 1 if self.first else self.last + 1


class Seen:
    """What was mirrored so far; ``version`` changes whenever there is something new."""

    def __init__(self) -> None:
        self.version = 0
        self.counts: dict[tuple[int, int], Counts] = {}  # phase and key
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)  # the same as sorted columns
        self._columns: NDArray[np.int64] = np.empty((3, 0), np.int64)

    @property
    def phases(self) -> list[int]:
        """Those that there are."""
        return sorted({phase for phase, _ in self.counts})

    def add(self, records: Records) -> None:
        """Take note of more records.  Numbers that a loop logs have no phase."""
        logged = [series.key for series in records.series if series.kind == "scalar"]
        there = ~np.isin(records.key, logged)
        if not there.any():
            return
        ids = _ids(records)[there]
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        call, micro = records.call[there][order], records.micro[there][order]
        self._take(
            ids[starts],
            np.stack(
                [
                    np.maximum.reduceat(call, starts) + 1,
                    np.minimum.reduceat(micro, starts),
                    np.maximum.reduceat(micro, starts),
                ]
            ),
        )

    def _take(self, ids: NDArray[np.int64], columns: NDArray[np.int32]) -> None:
        """Remember what is new; mostly nothing is, and that is found out at once."""
        places = np.searchsorted(self._ids, ids)
        there = places < len(self._ids)
        there[there] = self._ids[places[there]] == ids[there]
        known = self._columns[:, places[there]]
        new = ~there
        calls, first, last = columns[:, there]
        new[there] = (calls > known[0]) | (first < known[1]) | (last > known[2])
        if not new.any():
            return
        for one, *counted in zip(ids[new].tolist(), *columns[:, new].tolist(), strict=True):
            calls, first, last = counted
            place = one & 3, one >> 2
            former = self.counts.get(place, Counts(calls, first, last))
            self.counts[place] = Counts(
                max(calls, former.calls), min(first, former.first), max(last, former.last)
            )
        self.version += 1
        by_id = sorted((key << 2 | phase, counts) for (phase, key), counts in self.counts.items())
        self._ids = np.array([one for one, _ in by_id], np.int64)
        self._columns = np.array([counts for _, counts in by_id], np.int64).T


@dataclass(frozen=True)
class Choice:
    """What a person wants to see; ``phase`` None shows all, each as a series of its own."""

    phase: int | None = TRAINING
    call: int = LAST  # or EACH, or a number from 0 on
    micro: int = LAST  # or a number from 0 on


class Variant(NamedTuple):
    """A series as it is shown: under which key, and what tells it from its brothers."""

    key: int
    words: str = ""  # "eval, call 2"
    which: str = ""  # in full, also what is chosen of all: "evaluation, call 2 of 3, last batch"
    phase: int = TRAINING


class Firing(NamedTuple):
    """One that is chosen of a step; -1 stands for any."""

    phase: int
    call: int
    micro: int


ANY = Firing(-1, 0, -1)


class Reading:
    """A choice, applied to what there is.

    A phase is chosen only where there are several, a call or a micro-step only of series that
    have several, so that no choice hides what it does not speak of.
    """

    def __init__(self, choice: Choice, seen: Seen) -> None:
        self._seen = seen
        self.phases = phases = seen.phases
        self.several = len(phases) > 1
        known = choice.phase in phases
        self.phase = choice.phase if known and self.several else None
        self.apart = self.several and not known  # each phase is a series of its own
        shown = [
            counts for (phase, _), counts in seen.counts.items() if self.phase in (None, phase)
        ]
        self.calls = max((counts.calls for counts in shown), default=1)
        # Batches of an evaluation are no micro-steps: a number speaks of one phase.
        self._divided = phases[0] if self.phase is None and phases else self.phase
        counted = (one for (phase, _), one in seen.counts.items() if phase == self._divided)
        self.micro_steps = max((counts.micro_steps for counts in counted), default=1)
        self.call = choice.call if choice.call < self.calls > 1 else LAST
        self.micro = choice.micro if choice.micro < self.micro_steps > 1 else LAST
        self._keys: dict[tuple[int, int], NDArray[np.int32]] = {}

    @cached_property
    def rule(self) -> tuple[object, ...]:
        """What decides of keys: equal for two readings that read all records alike."""
        return self.phase, self.apart, self.call, self.micro, self._many_calls, self._many_micros

    @cached_property
    def _many_calls(self) -> tuple[int, ...]:
        """Ids of the series that a choice of a call speaks of."""
        if self.call == LAST:
            return ()
        return self._ids_where(lambda counts: self._speaks_of_calls(counts))

    @cached_property
    def _many_micros(self) -> tuple[int, ...]:
        if self.micro == LAST:
            return ()
        several = self._ids_where(lambda counts: counts.micro_steps > 1)
        return tuple(one for one in several if one & 3 == self._divided)

    def _speaks_of_calls(self, counts: Counts) -> bool:
        most = MOST_APART if self.call == EACH else self.calls
        return self.call != LAST and 1 < counts.calls <= most

    def _ids_where(self, wanted: Callable[[Counts], bool]) -> tuple[int, ...]:
        counted = self._seen.counts.items()
        return tuple(key << 2 | phase for (phase, key), counts in counted if wanted(counts))

    def keys(self, records: Records) -> NDArray[np.int32]:
        """(n,) the key that each record is shown under; those of no series are not shown."""
        if self.phase is None and not self.apart and self.call == self.micro == LAST:
            return records.key
        if not len(records.sequence):
            return records.key
        part = int(records.sequence[0]), len(records.sequence)
        if part not in self._keys:
            if len(self._keys) == _CACHED:
                self._keys.clear()
            self._keys[part] = self._computed(records)
        return self._keys[part]

    def _computed(self, records: Records) -> NDArray[np.int32]:
        phases = _PHASES[records.phase & 15]
        keys = records.key.astype(np.int32)
        hidden = np.zeros(len(keys), np.bool_)
        if self.phase is not None:
            hidden |= phases != self.phase
        elif self.apart:
            keys |= phases << _PHASE_BIT
        if self._many_calls:
            many = np.isin(_ids(records), self._many_calls)
            if self.call == EACH:
                keys += np.where(many, (records.call + 1) << _CALL_BIT, 0).astype(np.int32)
            else:
                hidden |= many & (records.call != self.call)
        if self._many_micros:
            many = np.isin(_ids(records), self._many_micros)
            hidden |= many & (records.micro != self.micro)
        keys[hidden] = _HIDDEN
        return keys

    def firings(self, key: int) -> list[Firing]:
        """Which firings of a step are chosen of a series, as far as it is known to have several."""
        phase = self.phase
        if phase is None:
            phase = self.phases[0] if self.phases else TRAINING
        counts = self._seen.counts.get((phase, key))
        if counts is None:
            return [ANY]
        calls = [counts.calls - 1]
        if self._speaks_of_calls(counts):
            calls = list(range(counts.calls)) if self.call == EACH else [self.call]
        micro = -1
        if counts.micro_steps > 1:
            if phase == self._divided and self.micro != LAST:
                micro = self.micro
            elif phase == TRAINING:
                micro = counts.last
        return [Firing(phase if self.several else -1, call, micro) for call in calls]

    def variants(self, key: int) -> list[Variant]:
        """How a series is shown: once, several times, or not at all where nothing fits."""
        counted = [(phase, self._seen.counts.get((phase, key))) for phase in self._seen.phases]
        there = [(phase, counts) for phase, counts in counted if counts is not None]
        if not there:  # nothing of it came so far
            return [Variant(key)]
        found: list[Variant] = []
        for phase, counts in there:
            if self.phase in (None, phase):
                found += self._of_phase(key, phase, counts)
        return sorted(found, key=lambda one: (one.key >> _CALL_BIT, one.phase))

    def _of_phase(self, key: int, phase: int, counts: Counts) -> list[Variant]:
        """One phase of a series, with each of its calls that is shown."""
        chosen = self.micro if phase == self._divided else LAST
        if 1 < counts.micro_steps <= chosen:
            return []
        word = "micro-step" if phase == TRAINING else "batch"
        micro = one_of(word, counts.micro_steps, chosen)
        if counts.micro_steps > 1 and chosen == LAST:
            micro = f"last {word}"  # their number may grow all the time
        named = [NAMES[phase]] if self.several else []
        short = [WORDS[phase]] if self.apart and phase != TRAINING else []
        key |= phase << _PHASE_BIT if self.apart else 0
        calls = [self.call]
        if not self._speaks_of_calls(counts):
            calls = [LAST]
        elif self.call == EACH:
            calls = list(range(counts.calls))
        found = []
        for call in calls:
            if call >= counts.calls:
                continue
            apart = self.call == EACH and call != LAST
            own = key + ((call + 1) << _CALL_BIT) if apart else key
            words = [*short, f"call {call + 1}"] if apart else short
            which = [*named, one_of("call", counts.calls, call), micro]
            found.append(Variant(own, ", ".join(words), ", ".join(filter(None, which)), phase))
        return found


def one_of(word: str, number: int, chosen: int) -> str:
    """In words: "call 2 of 3", "last of 3 calls", or "" where there is one only."""
    if number == 1:
        return ""
    if chosen == LAST:
        return f"last of {number:,} {word}{'es' if word == 'batch' else 's'}"
    return f"{word} {chosen + 1:,} of {number:,}"


def without_call(key: int) -> int:
    """The key of all calls together of what a key stands for."""
    return key & (1 << _CALL_BIT) - 1


def _ids(records: Records) -> NDArray[np.int64]:
    """(n,) one number for series and phase."""
    ids: NDArray[np.int64] = records.key.astype(np.int64) << 2 | _PHASES[records.phase & 15]
    return ids
