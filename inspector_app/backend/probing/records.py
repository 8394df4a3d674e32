"""A bounded store of records: what probes measured, in the order in which they fired.

The thread that runs the model appends, the server's thread reads.  The oldest records make room
for new ones; sequence numbers never repeat, so a reader sees what it missed as a gap.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS, Records

#: One record; the columns up to ``maximum`` are known when a probe fires, the others after it.
ROW = np.dtype(
    [("step", np.int64), ("micro", np.int32), ("key", np.int32), ("call", np.int32)]
    + [("phase", np.uint8)]
    + [(name, np.int64) for name in ("count", "sampled")]
    + [(name, np.int64) for name in ("nan", "positive_infinity", "negative_infinity")]
    + [("minimum", np.float64), ("maximum", np.float64)]
    + [("zeros", np.int64)]
    + [(name, np.float64) for name in ("mean", "deviation", "norm", "low", "dead", "saturated")]
    + [("exponent", np.int32), ("octaves", np.bool_)]
    + [("counts", np.int64, (BINS,))]
)
Rows = NDArray[Any]  # of dtype ROW


class RecordRing:
    """Records in memory of a fixed size, about 650 bytes each.

    The memory is reserved at once and becomes real as it fills.
    """

    def __init__(self, budget_bytes: int = 64_000_000) -> None:
        self.capacity = max(1, budget_bytes // ROW.itemsize)
        self._rows = np.empty(self.capacity, ROW)
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

    def extend(self, rows: Rows) -> None:
        """Store records in their order."""
        for start in range(0, len(rows), self.capacity):
            self._store(rows[start : start + self.capacity])

    def _store(self, rows: Rows) -> None:
        with self._lock:
            first = self._next
            # Given up before it is overwritten: a reader that is copying it must learn of it.
            self._first = max(self._first, first + len(rows) - self.capacity)
            self._rows[np.arange(first, first + len(rows)) % self.capacity] = rows
            self._next = first + len(rows)

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
            name: np.ascontiguousarray(rows[name]) for name in ROW.names or ()
        }
        return Records(series=[], first=first, next=stop, sequence=numbers, **columns)
