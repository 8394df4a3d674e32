"""A bounded store of records: what probes measured, in the order in which they fired.

The thread that runs the model appends, the server's thread reads.  The oldest records make room
for new ones; sequence numbers never repeat, so a reader sees what it missed as a gap.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from inspector_app.backend.histograms import QuickStatistics
from inspector_app.protocol.messages import BINS, Records

_INTEGERS = ("count", "sampled", "nan", "positive_infinity", "negative_infinity")
_FLOATS = ("minimum", "maximum", "mean", "deviation")
_ROW = np.dtype(
    [("step", np.int64), ("key", np.int32), ("call", np.int32)]
    + [(name, np.int64) for name in _INTEGERS]
    + [(name, np.float64) for name in _FLOATS]
    + [("counts", np.int64, (BINS,))]
)


class RecordRing:
    """Records in memory of a fixed size, about 620 bytes each.

    The memory is reserved at once and becomes real as it fills.
    """

    def __init__(self, budget_bytes: int = 64_000_000) -> None:
        self.capacity = max(1, budget_bytes // _ROW.itemsize)
        self._rows = np.empty(self.capacity, _ROW)
        self._lock = threading.Lock()
        self._first = 0
        self._next = 0

    @property
    def first(self) -> int:
        """Sequence number of the oldest record held (that of the next one where none is)."""
        return self._first

    @property
    def next(self) -> int:
        """Sequence number that the next record will get."""
        return self._next

    def append(self, step: int, key: int, call: int, measured: QuickStatistics) -> int:
        """Store one record and return its sequence number; takes some microseconds."""
        row = (step, key, call, *measured)
        with self._lock:
            sequence = self._next
            # Given up before it is overwritten: a reader that is copying it must learn of it.
            self._first = max(self._first, sequence + 1 - self.capacity)
            self._rows[sequence % self.capacity] = row
            self._next = sequence + 1
        return sequence

    def clear(self) -> None:
        """Drop all records; sequence numbers go on."""
        with self._lock:
            self._first = self._next

    def since(self, sequence: int, limit: int = 4096) -> Records:
        """Up to ``limit`` records from ``sequence`` on, oldest first, without their series.

        Copies outside of the lock, so that the model never waits for it, and leaves out what was
        overwritten meanwhile.
        """
        with self._lock:
            start = min(max(sequence, self._first), self._next)
            stop = min(start + max(limit, 0), self._next)
        numbers = np.arange(start, stop, dtype=np.int64)
        rows = self._rows[numbers % self.capacity]
        with self._lock:
            first = self._first
        kept = numbers >= first
        numbers, rows = numbers[kept], rows[kept]
        columns: dict[str, Any] = {
            name: np.ascontiguousarray(rows[name]) for name in _ROW.names or ()
        }
        return Records(series=[], first=first, next=stop, sequence=numbers, **columns)
