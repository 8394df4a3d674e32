"""sha256 beside other work, and the hash of its contents that an exported file carries."""

from __future__ import annotations

import hashlib
import struct
import zlib
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
_SUMS = struct.Struct("<LQ")
_MASK = (1 << 64) - 1


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


def word_sum(piece: Bytes) -> int:
    """The sum of its 8-byte little-endian words, and of the bytes left over, modulo 2**64."""
    whole = len(piece) & ~7
    words = int(np.add.reduce(piece[:whole].view(np.uint64)))
    return (words + int(piece[whole:].sum())) & _MASK


class PayloadHash(_Threads):
    """The hash of its contents that a file notes in its header.

    It is sha256 of a ``beginning`` (see :func:`payload_beginning`), directly followed by two sums
    of each ``PIECE`` of the data, the last of which may be shorter: its crc32 (4 bytes) and its
    :func:`word_sum` (8 bytes), both little-endian.

    It finds damage: every changed bit, and every burst of 32 bits, changes the crc32 of its piece,
    and what is damaged at random passes both sums once in 2**96.  It is no protection against
    somebody who wants to deceive, and need not be: who can write the data can write the header too.
    For that, keep the sha256 of the file itself elsewhere.  In return it costs half as much as that
    one, and on any number of cores at once, as no piece waits for another.
    """

    def __init__(self, beginning: bytes) -> None:
        super().__init__(_THREADS)
        self._whole = hashlib.sha256(beginning)
        self._pending: deque[Future[tuple[int, int]]] = deque()
        self.sums: list[int] = []  # of each piece, see :func:`word_sum`

    def __enter__(self) -> PayloadHash:
        return self

    def update(self, piece: Bytes) -> None:
        """Take the next piece; it must not be changed during the ``AHEAD`` calls that follow."""
        self._wait(AHEAD - 1)
        self._pending.append(self._threads.submit(_check_sums, piece))

    def _wait(self, left: int) -> None:
        while len(self._pending) > left:
            check, total = self._pending.popleft().result()
            self._whole.update(_SUMS.pack(check, total))
            self.sums.append(total)

    def hexdigest(self) -> str:
        """The hash of all pieces so far."""
        self._wait(0)
        return self._whole.hexdigest()


def _check_sums(piece: Bytes) -> tuple[int, int]:
    return zlib.crc32(piece.data), word_sum(piece)


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
