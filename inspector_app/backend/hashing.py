"""sha256 beside other work, and the hash of its contents that an exported file carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import msgspec

from inspector_app.backend.notes import PAYLOAD
from inspector_app.backend.opening.safetensors_file import CODES, TensorEntry


class HashLane:
    """One sha256, computed in a thread of its own, at most one block behind its caller.

    Hashing costs as much as all else that is done with a byte, and needs no interpreter lock.
    """

    def __init__(self, beginning: bytes = b"") -> None:
        self._hash = hashlib.sha256(beginning)
        self._thread = ThreadPoolExecutor(1, "hash")
        self._pending: Future[None] | None = None

    def __enter__(self) -> HashLane:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def update(self, block: bytes | memoryview) -> None:
        """Hash ``block`` next; it must not be changed until the following call returns."""
        self._wait()
        self._pending = self._thread.submit(self._hash.update, block)

    def hexdigest(self) -> str:
        """The hash of all blocks so far."""
        self._wait()
        return self._hash.hexdigest()


def payload_beginning(metadata: Mapping[str, str], entries: Iterable[TensorEntry]) -> bytes:
    """What is hashed before the data: all that a header says, in one fixed form.

    The payload's hash is sha256 of this text, directly followed by the data of the file.  The text
    is JSON in UTF-8 without blanks or needless escapes: ``[metadata, tensors]``; metadata are pairs
    ``["key","value"]`` sorted by key, without the hash itself; tensors are
    ``["name","F32",[2,3],start,stop]`` in the order of their bytes.  So a changed byte, name,
    dtype, shape or note is found, and a header that says the same with other blanks is not.
    """
    notes = sorted((key, value) for key, value in metadata.items() if key != PAYLOAD)
    tensors = [
        (entry.name, CODES[entry.dtype], entry.shape, entry.start, entry.stop) for entry in entries
    ]
    return msgspec.json.encode((notes, tensors))
