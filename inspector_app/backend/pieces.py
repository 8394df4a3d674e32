"""A file as pieces of one size, read once from front to end, hashed and compared.

What a file should hold is a row of :class:`Run`: bytes of a value, words of the format, or bytes
of which nothing is known.  :func:`in_pieces` cuts them at fixed places whatever their sizes, so
that a thousand small tensors cost as little as one large one, and :func:`read_through` reads the
same pieces back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from inspector_app.backend.formats.mapped_file import DamagedFileError
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.hashing import AHEAD, PIECE

WORDS = -1  # owner of what belongs to no value but to the format
_RING = AHEAD + 2  # buffers: those that a hash may still read, and the one that is filled


class Run(NamedTuple):
    """Bytes in a row of one owner, the number of a value.

    ``start`` counts the owner's bytes before them.  ``block`` is None where they are not compared.
    """

    owner: int
    start: int
    size: int
    block: Bytes | None


class Uneven(Exception):
    """A source gave fewer or more bytes than it had said."""


def runs_of(owner: int, size: int, blocks: Iterable[Bytes]) -> Iterator[Run]:
    """The runs of one value of ``size`` bytes; raises Uneven where its blocks are not as many."""
    position = 0
    for block in blocks:
        if position + len(block) > size:
            raise Uneven
        yield Run(owner, position, len(block), block)
        position += len(block)
    if position != size:
        raise Uneven


def words(text: bytes) -> Run:
    """A run of what belongs to the format."""
    return Run(WORDS, 0, len(text), np.frombuffer(text, np.uint8))


class Piece:
    """Runs in a row that are written, read back and compared together."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.size = sum(run.size for run in runs)
        self.known = all(run.block is not None for run in runs)

    @cached_property
    def block(self) -> Bytes:
        """All its bytes, where they are known; a copy only where there are several runs."""
        blocks = [run.block for run in self.runs if run.block is not None]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def in_pieces(runs: Iterable[Run], size: int = PIECE) -> Iterator[Piece]:
    """The runs cut into pieces of ``size`` bytes; only the last one may be smaller."""
    gathered: list[Run] = []
    room = size
    for run in runs:
        owner, start, left, block = run
        while left >= room:
            gathered.append(Run(owner, start, room, None if block is None else block[:room]))
            start, left = start + room, left - room
            block = None if block is None else block[room:]
            yield Piece(gathered)
            gathered, room = [], size
        if left:
            gathered.append(Run(owner, start, left, block))
            room -= left
    if gathered:
        yield Piece(gathered)


def same(first: Bytes, second: Bytes) -> bool:
    """Whether two arrays of one length hold the same bytes; eight at a time, as that is faster."""
    whole = len(first) & ~7
    return bool(
        (first[:whole].view(np.int64) == second[:whole].view(np.int64)).all()
        and (first[whole:] == second[whole:]).all()
    )


class Comparison:
    """Counts the elements of each owner whose bits differ from what they should be.

    ``items`` are the bytes of an element of each owner.
    """

    def __init__(self, items: Sequence[int]) -> None:
        self._items = items
        self._last: dict[int, int] = {}  # the last element counted: it may stand in two pieces
        self.differing: dict[int, int] = {}

    def compare(self, got: Bytes, piece: Piece) -> None:
        """Compare one piece."""
        if piece.known and same(got, piece.block):
            return
        position = 0
        for run in piece.runs:
            part = got[position : position + run.size]
            position += run.size
            if run.block is not None and not same(part, run.block):
                self._count(run, part)

    def _count(self, run: Run, part: Bytes) -> None:
        assert run.block is not None
        item = self._items[run.owner] if run.owner != WORDS else 1
        elements = np.unique((run.start + np.flatnonzero(part != run.block)) // item)
        again = self._last.get(run.owner, -1) == int(elements[0])
        self._last[run.owner] = int(elements[-1])
        self.differing[run.owner] = self.differing.get(run.owner, 0) + len(elements) - again


class Lane(Protocol):
    """What is handed every piece; it may still read the last ``AHEAD`` of them."""

    def update(self, block: Bytes, /) -> None:
        """Take the next piece."""


def read_exactly(descriptor: int, buffer: Bytes, offset: int, path: str) -> None:
    """Fill ``buffer`` from a file; raises DamagedFileError where it ends before, OSError."""
    view = buffer.data
    while len(view):
        count = os.preadv(descriptor, [view], offset)
        if not count:
            raise DamagedFileError(f"{path} was cut off while it was open. Write the file again.")
        view, offset = view[count:], offset + count


def read_through(
    descriptor: int,
    path: str,
    offset: int,
    pieces: Iterable[Piece],
    *,
    comparison: Comparison,
    lanes: Sequence[Lane],
    moved: Callable[[int], None],
    before: Callable[[Piece, int], None] | None = None,
) -> int:
    """Read the pieces of a file from ``offset`` on; returns where they end.

    Each is handed to the lanes and compared.  ``before`` is called with the piece and its place
    before it is read, ``moved`` with its size afterwards.
    """
    ring = [np.empty(PIECE, np.uint8) for _ in range(_RING)]
    for number, piece in enumerate(pieces):
        if before is not None:
            before(piece, offset)
        buffer = ring[number % _RING][: piece.size]
        read_exactly(descriptor, buffer, offset, path)
        for lane in lanes:
            lane.update(buffer)
        comparison.compare(buffer, piece)
        offset += piece.size
        moved(piece.size)
    return offset
