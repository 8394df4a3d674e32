"""sha256 beside other work, and the hash of its contents that an exported file carries."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from inspector_app.backend.formats.safetensors_file import CODES, TensorEntry
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.notes import PAYLOAD

PIECE = 1 << 20  # bytes: a piece is written, read back, hashed and compared while in the cache
AHEAD = 4  # pieces that may wait for a hash
_THREADS = 2


class _Threads:
    """Threads of one's own inside ``with``."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, "hash")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=kind is not None)


class HashLane(_Threads):
    """One sha256 (or whatever else takes bytes) in a thread, at most ``AHEAD`` blocks behind.

    Hashing costs more than all else that is done with a byte, and needs no interpreter lock.
    """

    def __init__(self, beginning: bytes = b"", into: Callable[[Any], None] | None = None) -> None:
        super().__init__(1)
        self._hash = hashlib.sha256(beginning)
        self._into: Callable[[Any], None] = into or self._hash.update
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> HashLane:
        return self

    def update(self, block: bytes | memoryview | Bytes) -> None:
        """Hash ``block`` next; it must not be changed during the ``AHEAD`` calls that follow."""
        self.wait(AHEAD - 1)
        self._pending.append(self._threads.submit(self._into, block))

    def wait(self, left: int = 0) -> None:
        """Let all but ``left`` blocks be hashed; raises what went wrong."""
        while len(self._pending) > left:
            self._pending.popleft().result()

    def hexdigest(self) -> str:
        """The hash of all blocks so far."""
        self.wait()
        return self._hash.hexdigest()


def word_sum(block: Bytes) -> int:
    """A sum that tells, at the speed of memory, whether bytes have changed meanwhile."""
    whole = len(block) & ~7
    return int(np.add.reduce(block[:whole].view(np.int64))) + int(block[whole:].sum())


class PayloadHash(_Threads):
    """The hash of contents that a file notes in its header, on several threads.

    It is sha256 of a ``beginning`` (see :func:`payload_beginning`), directly followed by the sha256
    of each ``PIECE`` of the data; the last piece may be shorter.  The pieces are what makes it
    possible to hash on more than one core, since no two of them wait for each other.
    """

    def __init__(self, beginning: bytes) -> None:
        super().__init__(_THREADS)
        self._whole = hashlib.sha256(beginning)
        self._pending: deque[Future[tuple[bytes, int]]] = deque()
        self.sums: list[int] = []  # of each piece, see :func:`word_sum`

    def __enter__(self) -> PayloadHash:
        return self

    def update(self, piece: Bytes) -> None:
        """Hash the next piece; it must not be changed during the ``AHEAD`` calls that follow."""
        self._wait(AHEAD - 1)
        self._pending.append(self._threads.submit(_of_piece, piece))

    def _wait(self, left: int) -> None:
        while len(self._pending) > left:
            digest, total = self._pending.popleft().result()
            self._whole.update(digest)
            self.sums.append(total)

    def hexdigest(self) -> str:
        """The hash of all pieces so far."""
        self._wait(0)
        return self._whole.hexdigest()


def _of_piece(piece: Bytes) -> tuple[bytes, int]:
    return hashlib.sha256(piece.data).digest(), word_sum(piece)


def payload_beginning(metadata: Mapping[str, str], entries: Iterable[TensorEntry]) -> bytes:
    """What is hashed before the data: all that a header says, in one fixed form.

    The text is JSON in UTF-8 without blanks or needless escapes: ``[metadata, tensors]``; metadata
    are pairs ``["key","value"]`` sorted by key, without the hash itself; tensors are
    ``["name","F32",[2,3],start,stop]`` in the order of their bytes.  So a changed byte, name,
    dtype, shape or note is found, and a header that says the same with other blanks is not.
    """
    notes = sorted((key, value) for key, value in metadata.items() if key != PAYLOAD)
    tensors = [
        (entry.name, CODES[entry.dtype], entry.shape, entry.start, entry.stop) for entry in entries
    ]
    return msgspec.json.encode((notes, tensors))
