"""A file for torch.load: the archive that torch.save writes, written, hashed and compared.

One pass does it all, as the hash of the contents stands at the very end: the last thing in the
archive is its comment, ``model_inspector.payload=sha256:`` and 64 digits, which are the sha256 of
all bytes before them.  The notes stand in a member of their own, which torch does not look at.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from inspector_app.backend.exporting.pen import Pen, Progress
from inspector_app.backend.exporting.safetensors_writer import (
    Sealed,
    differences,
    not_what_was_written,
    value_runs,
)
from inspector_app.backend.exporting.torch_pickle import Record, describe
from inspector_app.backend.exporting.transforming import Written
from inspector_app.backend.exporting.zip_writer import ZipWords
from inspector_app.backend.formats.torch_archive import TorchArchive
from inspector_app.backend.formats.torch_storages import StoredTensor
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.hashing import HashLane
from inspector_app.backend.notes import COMMENT, NOTES_MEMBER
from inspector_app.backend.pieces import (
    Comparison,
    Run,
    in_pieces,
    read_exactly,
    read_through,
    words,
)

_FOLDER = "archive/"  # as torch names it where it writes to a file object
_DIGITS = 64
_SMALL = 1 << 16  # bytes below which a check sum is not worth a thread
_BEFORE = ((".format_version", b"1"), (".storage_alignment", b"64"), ("byteorder", b"little"))
_AFTER = (("version", b"3\n"),)


class _Check:
    """crc32 of what it is given."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, block: Bytes) -> None:
        self.value = zlib.crc32(block.data, self.value)


class TorchForm:
    """One archive that is to be written."""

    def __init__(
        self,
        written: Written,
        names: Sequence[str],
        metadata: Mapping[str, str],
        versions: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe it; raises NotForTorch, or what the code of a value raises."""
        self._written = written
        self._description, self._records, self._keys = describe(written, names, versions)
        self._notes = msgspec.json.encode(dict(metadata)) if metadata else b""
        self._checks: dict[str, int] = {}  # crc32 by member, known after the first pass
        self.size = sum(record.nbytes for record in self._records)  # of all values

    def _members(self) -> Iterator[tuple[str, int, bytes | tuple[int, Record]]]:
        """Name, size and content of each member; records come with their numbers."""
        yield "data.pkl", len(self._description), self._description
        for name, text in _BEFORE:
            yield name, len(text), text
        for number, record in enumerate(self._records):
            yield f"data/{number}", record.nbytes, (number, record)
        for name, text in _AFTER:
            yield name, len(text), text
        if self._notes:
            yield NOTES_MEMBER, len(self._notes), self._notes

    def _runs(self) -> Iterator[Run]:
        """All bytes but for the digits at the end."""
        zip_words = ZipWords()
        check = _Check()
        with HashLane(into=check.update) as lane:
            for name, size, content in self._members():
                yield words(zip_words.begin(_FOLDER + name, size))
                check.value = 0
                if isinstance(content, bytes):
                    check.update(np.frombuffer(content, np.uint8))
                    yield words(content)
                else:
                    yield from self._record(*content, self._take(name, size, check, lane))
                lane.wait()
                self._checks.setdefault(name, check.value)
                yield words(zip_words.end(self._checks[name]))
        yield words(zip_words.finish(COMMENT.encode(), _DIGITS))

    def _take(
        self, name: str, size: int, check: _Check, lane: HashLane
    ) -> Callable[[Bytes], None] | None:
        """What sums up the bytes of a member; None where that was done before."""
        if name in self._checks:
            return None
        return check.update if size < _SMALL else lane.update

    def _record(
        self, number: int, record: Record, take: Callable[[Bytes], None] | None
    ) -> Iterator[Run]:
        for run in value_runs(number, record.name, record.nbytes, record.blocks()):
            if take is not None and run.block is not None:
                take(run.block)
            yield run

    def content(self) -> bytes:
        """The whole file, its digits zero; for what is small."""
        blocks = [run.block.tobytes() for run in self._runs() if run.block is not None]
        return b"".join([*blocks, b"0" * _DIGITS])

    def write(self, pen: Pen, progress: Progress, *, from_disk: bool) -> Sealed:
        """Write and prove the draft.

        With ``from_disk`` it is read back from the disk itself.  Raises RefusedError where what was
        read back is not what the source holds, RequestError where the disk fails, Cancelled.
        """
        progress.label = "Writing" if from_disk else "Writing and reading back"
        if from_disk:
            offset = 0
            for piece in in_pieces(self._runs()):
                pen.put_piece(piece, offset)
                offset += piece.size
                progress.moved(piece.size)
            pen.forget()
            progress.label = "Reading back"
        items = [max(1, record.nbytes // max(1, record.elements)) for record in self._records]
        comparison = Comparison(items)
        with HashLane() as whole:
            end = read_through(
                pen.descriptor,
                pen.path,
                0,
                in_pieces(self._runs()),
                comparison=comparison,
                lanes=[whole],
                moved=progress.moved,
                before=None if from_disk else pen.put_piece,
            )
            digest = whole.hexdigest()
            pen.put(digest.encode(), end)
            digits = np.empty(_DIGITS, np.uint8)
            read_exactly(pen.descriptor, digits, end, pen.path)
            whole.update(digits)
            sha256 = whole.hexdigest()
        counts = [(record.name, record.elements) for record in self._records]
        wrong = differences(comparison, counts)
        if wrong or digits.tobytes() != digest.encode():
            raise not_what_was_written(wrong)
        self._check(pen.path)
        return Sealed(sha256, digest, end + _DIGITS)

    def _check(self, path: str) -> None:
        """That a reader finds what was meant, without unpickling it."""
        file = TorchArchive(path)
        try:
            for name, key in self._keys.items():
                spec = self._written.spec(name)
                entry = file.entries.get(name)
                if not isinstance(entry, StoredTensor) or entry.storage is None:
                    raise not_what_was_written([f'"{name}" (missing)'])
                found = entry.storage.key, entry.dtype, entry.shape, entry.start
                if found != (key, spec.dtype, spec.shape, 0):
                    raise not_what_was_written([f'"{name}" (its description)'])
        finally:
            file.close()
