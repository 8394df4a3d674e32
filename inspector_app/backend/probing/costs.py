"""What each probe takes of a step."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

import numpy as np

from inspector_app.protocol.messages import Series
from inspector_app.protocol.table import Int32

_WITHIN = 0.5  # seconds of steps that shares are averages of, at least


class Costs:
    """Seconds of making records, shared out over their series, and those of the steps.

    What the hooks take is counted by the probes themselves.  The threads that measure add;
    :meth:`shares` may be called from any.
    """

    def __init__(self) -> None:
        self.bare = 0.0  # seconds of all steps, without their probes
        self._by_key = np.zeros(64)  # seconds
        self._lock = threading.Lock()  # of what follows
        self._then: tuple[float, dict[int, float]] = (0.0, {})  # ``bare``, and seconds by row
        self._shares: dict[int, float] = {}

    def add(self, keys: Int32, seconds: float) -> None:
        """Records of these series, one each, took so long together."""
        found = np.bincount(keys)
        if len(found) > len(self._by_key):
            self._by_key = np.append(self._by_key, np.zeros(2 * len(found) - len(self._by_key)))
        self._by_key[: len(found)] += found * (seconds / len(keys))

    def shares(self, hooks: Mapping[int, float], series: Iterable[Series]) -> dict[int, float]:
        """Share of a step that each row takes, on average since they were asked for last.

        ``hooks`` are the seconds of its own hook so far, by row.  Empty before it is known.
        """
        with self._lock:
            bare, (before, former) = self.bare, self._then
            if bare <= before or (self._shares and bare - before < _WITHIN):
                return self._shares
            total = dict(hooks)
            by_key = self._by_key
            for one in series:
                if one.row in total and one.key < len(by_key):
                    total[one.row] += float(by_key[one.key])
            self._shares = {
                row: max(0.0, seconds - former.get(row, 0.0)) / (bare - before)
                for row, seconds in total.items()
            }
            self._then = bare, total
            return self._shares
