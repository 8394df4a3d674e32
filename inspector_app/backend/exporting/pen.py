"""Writing a draft: every byte at its place, and on its way to the disk while others are hashed."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.jobs import Job
from inspector_app.backend.pieces import Piece
from inspector_app.backend.replacing import Draft, writing_to

_STRIDE = 16 << 20  # bytes that are sent to the disk together
_WRITE = 2  # SYNC_FILE_RANGE_WRITE


def _of_linux(name: str, *arguments: Any) -> Callable[..., int] | None:
    """A function of the system that Python does not offer; None where there is none."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function.argtypes = arguments
    return function


# Elsewhere fsync does all of the work at the end.
_sync_file_range = _of_linux(
    "sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
)
_mincore = _of_linux("mincore", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


class Pen:
    """Writes one draft; errors of the disk come as RequestError."""

    def __init__(self, draft: Draft) -> None:
        self.descriptor = draft.descriptor
        self.path = draft.path
        self._asked = draft.asked
        self.notes: list[str] = []
        self._sent = 0  # bytes that are on their way to the disk

    def put(self, block: Bytes | bytes, offset: int) -> None:
        """Write bytes at a place."""
        view = memoryview(block) if isinstance(block, bytes) else block.data
        with writing_to(self._asked):
            while len(view):
                count = os.pwrite(self.descriptor, view, offset)
                view, offset = view[count:], offset + count
        if offset - self._sent >= _STRIDE:
            if _sync_file_range is not None:
                _sync_file_range(self.descriptor, self._sent, offset - self._sent, _WRITE)
            self._sent = offset

    def put_piece(self, piece: Piece, offset: int) -> None:
        """Write a piece at a place."""
        self.put(piece.block, offset)

    def sync(self) -> None:
        """Wait until all is on the disk."""
        with writing_to(self._asked):
            os.fsync(self.descriptor)

    def forget(self) -> None:
        """Let all be on the disk and nothing in memory, so that reading reads the disk.

        Where the system keeps it in memory all the same, ``notes`` says so.
        """
        self.sync()
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):  # a file system without a cache
                os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        if self._in_memory():
            self.notes.append(
                f"{self._asked} was compared in memory, not on the disk: the system keeps files "
                "there in memory"
            )

    def _in_memory(self) -> bool:
        """Whether the first or the last page can be had without reading the disk."""
        if _mincore is None:
            return False  # the system does not tell
        size = os.fstat(self.descriptor).st_size
        last = (size - 1) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        return any(_is_resident(self.descriptor, place) for place in (0, max(0, last)))


def _is_resident(descriptor: int, offset: int) -> bool:
    with mmap.mmap(descriptor, 1, access=mmap.ACCESS_READ, offset=offset) as page:
        view = np.frombuffer(page, np.uint8)
        answer = ctypes.create_string_buffer(1)
        failed = _mincore is None or _mincore(view.ctypes.data, 1, answer)
        del view  # or the page could not be closed
    return not failed and bool(answer.raw[0] & 1)


class Progress:
    """Bytes of an export that were hashed, written and read back, of all that will be."""

    def __init__(self, job: Job, total: int) -> None:
        self._job = job
        self._total = total
        self._done = 0
        self.label = ""

    def moved(self, size: int) -> None:
        """Count ``size`` bytes; raises Cancelled."""
        self._done += size
        self._job.check()
        self._job.progress(self._done, self._total, self.label)
