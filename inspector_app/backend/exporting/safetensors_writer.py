"""A safetensors file: its header, and its data written, hashed and compared.

The header notes a hash of the contents and stands before the data, so it must be known before the
sha256 of the file can begin.  Therefore there are two passes: one sums up the values piece by piece
on all cores, which is cheap; one writes each piece, reads it back, compares it with the source and
hashes the file.  A sum tells whether a piece was still the same in the second one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from inspector_app.backend.exporting.pen import Pen, Progress
from inspector_app.backend.exporting.transforming import Written
from inspector_app.backend.formats.safetensors_file import (
    CODES,
    HEADER_LIMIT,
    KINDS,
    METADATA,
    SafetensorsFile,
    TensorEntry,
)
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.hashing import HashLane, PayloadHash, payload_beginning, word_sum
from inspector_app.backend.notes import PAYLOAD, PAYLOAD_PREFIX
from inspector_app.backend.pieces import (
    Comparison,
    Run,
    Uneven,
    in_pieces,
    read_through,
    runs_of,
    words,
)
from inspector_app.protocol.errors import RefusedError

_NO_DIGEST = "0" * 64
_NAMED = 5  # names told in one sentence


class Sealed(NamedTuple):
    """A draft that is proven to hold what it should."""

    sha256: str  # of the file
    payload: str  # as it notes it
    size: int


def not_what_was_written(wrong: Sequence[str]) -> RefusedError:
    """The error for a draft that is not what the source holds."""
    named = ", ".join(wrong[:_NAMED]) or "the file as a whole"
    return RefusedError(
        f"What was read back is not what the model holds: {named}. "
        "Either the model changed meanwhile or the disk is faulty. Nothing was changed.",
        detail="\n".join(wrong),
    )


def value_runs(owner: int, name: str, size: int, blocks: Iterable[Bytes]) -> Iterator[Run]:
    """The runs of one value; raises RefusedError where its source gives fewer or more bytes."""
    try:
        yield from runs_of(owner, size, blocks)
    except Uneven:
        raise not_what_was_written([f'"{name}" (it changed its size)']) from None


def differences(comparison: Comparison, entries: Sequence[tuple[str, int]]) -> list[str]:
    """Words for what differs; ``entries`` are name and number of elements of each owner."""
    found = []
    for owner, count in comparison.differing.items():
        name, elements = entries[owner] if owner >= 0 else ("", 0)
        what = f"values differ in {count:,} of {elements:,} elements"
        found.append(f'"{name}" ({what})' if owner >= 0 else "the words of the format")
    return found


def lay_out(written: Written, names: Sequence[str]) -> list[TensorEntry]:
    """Entries in the order of their bytes.

    Large elements come first, so that every tensor is aligned (as the format's library does), then
    it goes by name.
    """

    def order(name: str) -> tuple[int, str]:
        return -KINDS[CODES[written.spec(name).dtype]].bits, name

    entries: list[TensorEntry] = []
    end = 0
    for name in sorted(names, key=order):
        spec = written.spec(name)
        entries.append(TensorEntry(name, spec.dtype, spec.shape, end, end + spec.nbytes))
        end += spec.nbytes
    return entries


def encode_header(metadata: Mapping[str, str], entries: Sequence[TensorEntry]) -> bytes:
    """Length and header, padded so that the data begins at a multiple of 8 bytes."""
    table: dict[str, Any] = {METADATA: metadata}
    for entry in entries:
        shape = entry.shape
        if KINDS[CODES[entry.dtype]].bits == 4:  # torch packs two elements into one
            shape = (*shape[:-1], 2 * shape[-1])
        table[entry.name] = {
            "dtype": CODES[entry.dtype],
            "shape": shape,
            "data_offsets": (entry.start, entry.stop),
        }
    text = msgspec.json.encode(table)
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise RefusedError(
            f"The names and notes of this model take {len(text):,} bytes, safetensors files may "
            f"have {HEADER_LIMIT:,}: export it in parts (--only PATTERN)."
        )
    return len(text).to_bytes(8, "little") + text


class _Unchanged:
    """Whether each piece is what was hashed before."""

    def __init__(self, sums: Sequence[int]) -> None:
        self._sums = sums
        self._next = 0
        self.changed = False

    def update(self, block: Bytes) -> None:
        self.changed |= word_sum(block) != self._sums[self._next]
        self._next += 1


class SafetensorsForm:
    """One safetensors file that is to be written."""

    def __init__(self, written: Written, names: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Lay it out.  Raises RefusedError where its header would be too long."""
        self._written = written
        # The hash is the first thing in the header, so its digits stand at a known place.
        self._metadata = {PAYLOAD: PAYLOAD_PREFIX + _NO_DIGEST, **metadata}
        self._entries = lay_out(written, names)
        self._head = encode_header(self._metadata, self._entries)
        self.size = sum(entry.nbytes for entry in self._entries)  # of all values

    def _runs(self) -> Iterator[Run]:
        for owner, entry in enumerate(self._entries):
            yield from value_runs(owner, entry.name, entry.nbytes, self._written.blocks(entry.name))

    def write(self, pen: Pen, progress: Progress, *, from_disk: bool) -> Sealed:
        """Write and prove the draft.

        With ``from_disk`` it is read back from the disk itself.  Raises RefusedError where what was
        read back is not what the source holds, RequestError where the disk fails, Cancelled.
        """
        progress.label = "Writing" if from_disk else "Hashing"
        start = len(self._head)
        with PayloadHash(payload_beginning(self._metadata, self._entries)) as payload:
            offset = start
            for piece in in_pieces(self._runs()):
                payload.update(piece.block)
                if from_disk:
                    pen.put_piece(piece, offset)
                offset += piece.size
                progress.moved(piece.size)
            digest = payload.hexdigest()
        place = self._head.index(_NO_DIGEST.encode())
        head = self._head[:place] + digest.encode() + self._head[place + len(digest) :]
        progress.label = "Writing and reading back"
        if from_disk:
            progress.label = "Reading back"
            pen.put(head, 0)
            pen.forget()
        unchanged = _Unchanged(payload.sums)
        items = [max(1, entry.nbytes // max(1, entry.count)) for entry in self._entries]
        comparison = Comparison(items)
        with HashLane() as whole:
            before = None if from_disk else pen.put_piece

            def read_back(runs: Iterator[Run], lanes: list[Any], at: int, moved: Any) -> int:
                return read_through(
                    pen.descriptor,
                    pen.path,
                    at,
                    in_pieces(runs),
                    comparison=comparison,
                    lanes=lanes,
                    moved=moved,
                    before=before,
                )

            read_back(iter([words(head)]), [whole], 0, lambda size: None)
            size = read_back(chain(self._runs()), [whole, unchanged], start, progress.moved)
            sha256 = whole.hexdigest()
        wrong = differences(comparison, [(entry.name, entry.count) for entry in self._entries])
        if unchanged.changed and not wrong:
            wrong = ["it changed between two looks at it"]
        if wrong:
            raise not_what_was_written(wrong)
        self._check(pen.path, digest)
        return Sealed(sha256, digest, size)

    def _check(self, path: str, digest: str) -> None:
        """That a reader finds what was meant."""
        file = SafetensorsFile(path)
        try:
            same = list(file.entries.values()) == self._entries
            if not same or file.metadata[PAYLOAD] != PAYLOAD_PREFIX + digest:
                raise not_what_was_written(["its header"])
        finally:
            file.close()
