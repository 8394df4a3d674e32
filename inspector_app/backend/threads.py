"""Our own small computations on one thread, the model's on all of them.

Torch splits every operation over more than 32,768 elements among its threads and waits for all of
them.  For a statistic of some microseconds the waiting costs more than the work, and on a machine
that is busy otherwise a thread that must be waited for may not run for milliseconds (a ResNet with
63 probes on two busy cores: 1.8 s a forward instead of 0.3 s).
"""

from __future__ import annotations

import threading

import torch


class _OneThread:
    """A context manager that may be nested and entered from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.get_num_threads()
                if self._before > 1:
                    torch.set_num_threads(1)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._before > 1:
                torch.set_num_threads(self._before)


#: Torch computes on one thread inside; the last one out restores the number of threads.
one_thread = _OneThread()
