"""Alarms: records that deserve a look, found where they are made, so that a slow window loses none.

What the thresholds of :class:`AlarmRules` are compared with:

* *nan*: NaN and infinities, counted over all elements.  The first series in a step that holds any,
  in the order in which probes fired, is the origin of all others in that step.
* *vanishing*: the largest magnitude of a gradient, which is exact; a root mean square would call a
  gradient small for being sparse.  A gradient that is zero everywhere is told apart by its sentence
  (the output is unused, multiplied by zero, or all units behind it are dead); one that is frozen
  has no record and so no alarm.
* *exploding*: the largest magnitude of outputs, parameters and updates; of gradients the Euclidean
  norm, which no magnitude exceeds.  Inputs (which may be indices of tokens) and scalars are not
  judged.
* *dead*, *saturated*: the shares of a record's columns of these names.

Each series has at most one alarm of a kind, which counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector_app.backend.probing.records import Rows
from inspector_app.protocol.messages import Alarm, AlarmKind, AlarmRules, Floats, ProbeKind, Series

MAX_ALARMS = 1_000  # the one that has been quiet the longest makes room
_JUDGED, _GRADIENT = 1, 2
_GROUPS: dict[ProbeKind, int] = {
    "output": _JUDGED,
    "value": _JUDGED,
    "update": _JUDGED,
    "gradient": _GRADIENT,
    "parameter gradient": _GRADIENT,
    "optimizer gradient": _GRADIENT,
}
_WORDS: dict[ProbeKind, str] = {
    "output": "The output of {}",
    "input": "The input of {}",
    "gradient": "The output gradient of {}",
    "value": "{}",
    "parameter gradient": "The gradient of {}",
    "optimizer gradient": "The optimizer's gradient of {}",
    "update": "The update of {}",
    "scalar": "{}",
}


@dataclass(slots=True)
class _Entry:
    """An alarm that counts on."""

    first_step: int
    origin: int
    worst: float
    elements: int = 0  # of the record that is worst
    last_step: int = 0
    count: int = 0
    paused: bool = False
    version: int = 0


@dataclass(slots=True)
class _Found:
    """Records of one kind: their places, and how bad each is."""

    kind: AlarmKind
    marks: NDArray[np.bool_]
    values: Floats
    places: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.places = np.flatnonzero(self.marks).tolist()


class Alarms:
    """Judges records; every method may be called from any thread."""

    def __init__(self) -> None:
        #: Lets the training loop stand, and tells whether it will; None where there is none.
        self.pause: Callable[[], bool] | None = None
        self._rules = AlarmRules()
        self._version = 0
        self._lock = threading.Lock()
        self._entries: dict[tuple[int, AlarmKind], _Entry] = {}
        self._series: dict[int, tuple[Series, str]] = {}
        self._groups = np.zeros(64, np.uint8)  # by key of series
        self._origin = (-1, -1)  # step and key of the last first NaN

    @property
    def rules(self) -> AlarmRules:
        """The rules in force."""
        return self._rules

    @property
    def prompt(self) -> bool:
        """Whether each step must be judged as soon as it is over, since an alarm may pause."""
        return bool(self._rules.pause) and self.pause is not None

    def set_rules(self, rules: AlarmRules, clear: bool = False) -> None:
        """Judge by these from now on; ``clear`` forgets what was found."""
        with self._lock:
            self._rules = rules
            if clear:
                self._entries.clear()
                self._version += 1

    def register(self, series: Series, path: str) -> None:
        """A series whose records may come; ``path`` is that of its row."""
        with self._lock:
            self._series[series.key] = series, f"{path}{series.leaf}"
            if series.key >= len(self._groups):
                self._groups = np.resize(self._groups, 2 * series.key)
            self._groups[series.key] = _GROUPS.get(series.kind, 0)

    def since(self, version: int) -> tuple[list[Alarm], int]:
        """Alarms that changed after ``version``, oldest change first, and the version now."""
        with self._lock:
            changed = [item for item in self._entries.items() if item[1].version > version]
            changed.sort(key=lambda item: item[1].version)
            return [self._told(*key, entry) for key, entry in changed], self._version

    # -- judging ---------------------------------------------------------------------------------

    def judge(self, rows: Rows, scaled: bool = False) -> None:
        """Look at records in the order in which they fired.

        ``scaled``: gradients were made with a scaled loss, whose overflows the scaler deals with;
        they are told, and pause nothing.
        """
        with self._lock:
            found = [one for one in self._find(rows) if one.places]
            if not found:
                return
            self._version += 1
            pausing: list[_Entry] = []
            for one in found:
                pausing += self._note(one, rows, scaled)
            if pausing and self.pause is not None and self.pause():
                for entry in pausing:
                    entry.paused = True
            while len(self._entries) > MAX_ALARMS:
                del self._entries[min(self._entries, key=lambda key: self._entries[key].version)]

    def _find(self, rows: Rows) -> list[_Found]:
        rules, group = self._rules, self._groups[rows["key"]]
        largest = np.fmax(np.abs(rows["minimum"]), np.abs(rows["maximum"]))
        broken = rows["nan"] + rows["positive_infinity"] + rows["negative_infinity"]
        gradient = group == _GRADIENT
        found = []
        if rules.nan:
            found.append(_Found("nan", broken > 0, broken.astype(np.float64)))
        if rules.vanishing is not None:
            marks = gradient & (broken == 0) & (largest < rules.vanishing)
            found.append(_Found("vanishing", marks, largest))
        if rules.exploding is not None:
            size = np.where(gradient, np.fmax(rows["norm"], largest), largest)
            found.append(_Found("exploding", (group > 0) & (size > rules.exploding), size))
        if rules.dead is not None:
            found.append(_Found("dead", rows["dead"] >= rules.dead, rows["dead"]))
        if rules.saturated is not None:
            share = rows["saturated"]
            found.append(_Found("saturated", share >= rules.saturated, share))
        return found

    def _note(self, found: _Found, rows: Rows, scaled: bool) -> list[_Entry]:
        """Count these records; returns the alarms for which the loop is to stand."""
        kind, pausing = found.kind, list[_Entry]()
        keys, steps, counts = rows["key"], rows["step"], rows["count"]
        may_pause = kind in self._rules.pause
        for place in found.places:
            key, step, value = int(keys[place]), int(steps[place]), float(found.values[place])
            origin = key
            if kind == "nan":
                if step > self._origin[0]:
                    self._origin = step, key
                origin = self._origin[1]
            entry = self._entries.get((key, kind))
            if entry is None:
                entry = self._entries[key, kind] = _Entry(step, origin, value)
            worse = value < entry.worst if kind == "vanishing" else value > entry.worst
            if worse or not entry.count:
                entry.worst, entry.elements = value, int(counts[place])
            entry.last_step, entry.version = step, self._version
            entry.count += 1
            overflow = scaled and kind == "nan" and self._groups[key] == _GRADIENT
            if may_pause and not entry.paused and not overflow:
                pausing.append(entry)
        return pausing

    # -- words -----------------------------------------------------------------------------------

    def _told(self, key: int, kind: AlarmKind, entry: _Entry) -> Alarm:
        series, path = self._series[key]
        return Alarm(
            key=key,
            kind=kind,
            row=series.row,
            path=path,
            first_step=entry.first_step,
            last_step=entry.last_step,
            count=entry.count,
            worst=entry.worst,
            origin=entry.origin,
            sentence=self._sentence(key, kind, entry),
            paused=entry.paused,
        )

    def _name(self, key: int) -> str:
        series, path = self._series[key]
        return _WORDS[series.kind].format(path)

    def _sentence(self, key: int, kind: AlarmKind, entry: _Entry) -> str:
        name, worst = self._name(key), entry.worst
        if kind == "nan":
            which = f"{name} holds NaN or infinity in {worst:,.0f} of {entry.elements:,} values"
            if entry.origin == key:
                return f"{which}: nothing before it in step {entry.first_step:,} does."
            first = self._name(entry.origin)
            first = first[0].lower() + first[1:] if first.startswith("The ") else first
            return f"{which}; in step {entry.first_step:,} they came first in {first}."
        if kind == "vanishing":
            if not worst:
                return f"{name} is zero everywhere: nothing reaches it from the loss."
            return f"{name} is nowhere larger than {worst:.2g}."
        if kind == "exploding":
            how = "has the norm" if self._groups[key] == _GRADIENT else "reaches"
            return f"{name} {how} {worst:.3g}."
        if kind == "dead":
            return f"{name} is zero in {worst:.0%} of its units, for all of several batches."
        return f"{name} stands at its bounds in {worst:.0%} of its values."
