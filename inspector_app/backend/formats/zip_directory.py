"""The central directory of a zip archive whose members are stored as they are.

Follows PKWARE's APPNOTE.TXT, of which archives by torch.save use little: no compression, no
encryption, one disk; zip64 where there are many members or bytes.  Nothing is read but the
directory; a member's own header is checked when its data is asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DIRECTORY_LIMIT = 64 << 20  # bytes
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_MARK = b"PK\1\2"
_ENTRY = np.dtype(
    [
        *(("mark", "S4"), ("versions", "<u2", 2), ("flags", "<u2"), ("method", "<u2")),
        *(("time", "<u2", 2), ("crc", "<u4"), ("packed", "<u4"), ("size", "<u4")),
        *(("name", "<u2"), ("extra", "<u2"), ("comment", "<u2"), ("disk", "<u2")),
        *(("internal", "<u2"), ("external", "<u4"), ("header", "<u4")),
    ]
)
_LENGTHS = struct.Struct("<3H")
_LENGTHS_AT = 28  # bytes behind the mark
_HEADER = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 65_535
_ENCRYPTED = 0x2041  # of the flags: encrypted, strongly, with a masked header
_MAX_32 = 0xFFFFFFFF

Read = Callable[[int, int], bytes]  # (offset, size)


class SealedError(ValueError):
    """A member is compressed or encrypted: no damage, but nothing that can be read as it lies."""


class Directory(NamedTuple):
    """The members of an archive, in the directory's order.

    ``places`` are their numbers by name; ``headers`` where their own headers begin, ``sizes`` bytes
    of their data; ``start`` where the directory begins.  ``sealed`` are numbers of members that are
    compressed or encrypted.
    """

    places: dict[str, int]
    headers: list[int]
    sizes: list[int]
    start: int
    sealed: frozenset[int]

    def place(self, name: str) -> int:
        """Number of a member that can be read as it is; KeyError where there is none.

        Raises ValueError for one that is compressed or encrypted.
        """
        place = self.places[name]
        if place in self.sealed:
            raise SealedError(f'its member "{name[:100]}" is compressed or encrypted')
        return place

    def size(self, name: str) -> int:
        """Bytes of a member that can be read as it is; raises as :meth:`place` does."""
        return self.sizes[self.place(name)]


def _end(read: Read, size: int) -> tuple[int, int, int]:
    """Number of members, size and offset of the directory; raises ValueError."""
    start = max(0, size - _END.size - _LONGEST_COMMENT)
    tail = read(start, size - start)
    at = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    if at < 0:
        raise ValueError(
            "it has no directory at its end, so a download or a copy may have been cut short"
        )
    _, disk, first_disk, _, count, length, offset, _ = _END.unpack_from(tail, at)
    if disk != first_disk:
        raise ValueError("it is spread over several disks")
    end = start + at
    if 0xFFFF in (count, disk) or _MAX_32 in (length, offset):
        if end < _LOCATOR.size:
            raise ValueError("its directory lies outside the file")
        mark, _, place, _ = _LOCATOR.unpack(read(end - _LOCATOR.size, _LOCATOR.size))
        if mark == b"PK\6\7":
            if place > end - _LOCATOR.size - _END_64.size:
                raise ValueError("its directory lies outside the file")
            found = _END_64.unpack(read(place, _END_64.size))
            if found[0] != b"PK\6\6":
                raise ValueError("its end is not one of a zip archive")
            count, length, offset = found[7], found[8], found[9]
            end = place
    if offset + length > end:
        raise ValueError("its directory lies outside the file")
    if length > DIRECTORY_LIMIT:
        raise ValueError(f"its directory has {length:,} bytes; {DIRECTORY_LIMIT:,} are read")
    return count, length, offset


def _large(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Size, packed size and offset of a member whose own fields are too narrow for them."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            # Of original size, compressed size and offset, those that did not fit.
            numbers = list(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            size = numbers.pop(0) if size == _MAX_32 else size
            packed = numbers.pop(0) if packed == _MAX_32 else packed
            return size, packed, numbers.pop(0) if header == _MAX_32 else header
        position += 4 + length
    return size, packed, header


def _starts(directory: bytes) -> NDArray[np.int64]:
    """Where the entries of a directory begin, each behind the one before."""
    octets = np.frombuffer(directory, np.uint8)
    last = max(0, len(octets) - len(_MARK) + 1)
    marked = np.ones(last, np.bool_)
    for place, octet in enumerate(_MARK):
        marked &= octets[place : place + last] == octet
    starts = np.flatnonzero(marked)
    if len(starts) and starts[-1] + _ENTRY.itemsize <= len(octets):
        ends = _ends(_entries(octets, starts), starts)
        if not starts[0] and np.array_equal(ends, np.append(starts[1:], len(octets))):
            return starts
    # A name or a comment holds the mark, or the directory is broken: entry by entry.
    found: list[int] = []
    position = 0
    while position < len(directory):
        if directory[position : position + 4] != _MARK:
            raise ValueError("its directory is broken")
        found.append(position)
        lengths = _LENGTHS.unpack_from(directory, position + _LENGTHS_AT)
        position += _ENTRY.itemsize + sum(lengths)
    if position != len(directory):
        raise ValueError("its directory is broken")
    return np.asarray(found, np.int64)


def _entries(octets: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[Any]:
    """Their fixed parts, as records of ``_ENTRY``."""
    rows = octets[starts[:, None] + np.arange(_ENTRY.itemsize)]
    return np.ascontiguousarray(rows).view(_ENTRY)[:, 0]


def _names(
    octets: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> list[str]:
    """The texts between these places; most have no NUL in them, and then one split takes them."""
    inside = np.zeros(len(octets) + 1, np.int8)
    inside[starts] += 1  # names neither touch nor overlap: their entries' fixed parts lie between
    inside[stops] -= 1
    wanted = np.cumsum(inside[:-1], dtype=np.int8).view(np.bool_)
    joined = octets.copy()
    joined[starts - 1] = 0
    wanted[starts - 1] = True
    found = joined[wanted].tobytes().decode("utf-8").split("\0")[1:]
    if len(found) == len(starts):
        return found
    bounds = zip(starts.tolist(), stops.tolist(), strict=True)
    return [octets[start:stop].tobytes().decode("utf-8") for start, stop in bounds]


def _ends(entries: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = entries["name"].astype(np.int64) + entries["extra"] + entries["comment"]
    ends: NDArray[np.int64] = starts + _ENTRY.itemsize + lengths
    return ends


def read_directory(read: Read, size: int) -> Directory:
    """The members of an archive.

    ``read`` reads from the file of ``size`` bytes.  Raises ValueError, with the end of a sentence,
    where a rule of the format is broken or a member is named twice or overlaps another.
    """
    count, length, offset = _end(read, size)
    directory = read(offset, length)
    try:
        return _checked(directory, count, offset)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ValueError("its directory is broken") from None


def _checked(directory: bytes, count: int, offset: int) -> Directory:
    """The members of a directory that stands at an offset of the file."""
    starts = _starts(directory)
    octets = np.frombuffer(directory, np.uint8)
    entries = _entries(octets, starts)
    first = starts + _ENTRY.itemsize
    behind = first + entries["name"]
    names = _names(octets, first, behind)
    sealed = (entries["method"] != 0) | (entries["flags"] & _ENCRYPTED != 0)
    sealed |= entries["packed"] != entries["size"]
    wide = (entries["size"] == _MAX_32) | (entries["packed"] == _MAX_32)
    wide |= entries["header"] == _MAX_32
    headers, sizes = entries["header"].tolist(), entries["packed"].tolist()
    for place in np.flatnonzero(wide).tolist():
        start = int(behind[place])
        extra = directory[start : start + int(entries["extra"][place])]
        size = int(entries["size"][place])
        size, sizes[place], headers[place] = _large(extra, size, sizes[place], headers[place])
        sealed[place] |= size != sizes[place]
    places = dict(zip(names, range(len(names)), strict=True))
    if len(places) != count:
        raise ValueError("its directory is broken, or names a member twice")
    if places and max(max(headers), max(sizes)) > offset:  # before they are added up
        raise ValueError("one of its members reaches into its directory")
    begin = np.asarray(headers, np.int64)
    order = np.argsort(begin)
    begin, end = begin[order], (begin + _HEADER.size + np.asarray(sizes, np.int64))[order]
    if (begin[1:] < end[:-1]).any():
        raise ValueError("two of its members overlap")
    if len(end) and end[-1] > offset:
        raise ValueError("one of its members reaches into its directory")
    return Directory(places, headers, sizes, offset, frozenset(np.flatnonzero(sealed).tolist()))


def data_start(read: Read, name: str, header_at: int, size: int, directory: int) -> int:
    """Where the data of a member begins; raises ValueError where its own header disagrees.

    ``header_at`` is where that begins, ``size`` the bytes of data, ``directory`` where the
    directory begins.
    """
    header = _HEADER.unpack(read(header_at, _HEADER.size))
    name_length, extra_length = header[9], header[10]
    start = header_at + _HEADER.size
    own_name = read(start, name_length) if header[0] == b"PK\3\4" else b""
    start += name_length + extra_length
    if own_name != name.encode() or header[3] or start + size > directory:
        raise ValueError(f'the header of its member "{name[:100]}" contradicts its directory')
    return int(start)
