"""The central directory of a zip archive whose members are stored as they are.

Follows PKWARE's APPNOTE.TXT, of which archives by torch.save use little: no compression, no
encryption, one disk; zip64 where there are many members or bytes.  Nothing is read but the
directory; a member's own header is checked when its data is asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

DIRECTORY_LIMIT = 64 << 20  # bytes
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 65_535
_ENCRYPTED = 0x2041  # of the flags: encrypted, strongly, with a masked header
_MAX_32 = 0xFFFFFFFF

Read = Callable[[int, int], bytes]  # (offset, size)


class Member(NamedTuple):
    """One member: where its own header begins, and bytes of data."""

    header: int
    size: int


def _end(read: Read, size: int) -> tuple[int, int, int]:
    """Number of members, size and offset of the directory; raises ValueError."""
    start = max(0, size - _END.size - _LONGEST_COMMENT)
    tail = read(start, size - start)
    at = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    if at < 0:
        raise ValueError("it has no directory at its end: was a download or a copy cut short?")
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


def _large(extra: bytes, size: int, header: int) -> tuple[int, int]:
    """Size and offset of a member whose own fields are too narrow for them."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            # Of original size, compressed size and offset, those that did not fit.
            numbers = list(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            if size == _MAX_32:
                size = numbers.pop(0)
                if numbers.pop(0) != size:
                    raise ValueError("a member is compressed")
            if header == _MAX_32:
                header = numbers.pop(0)
            return size, header
        position += 4 + length
    return size, header


def read_directory(read: Read, size: int) -> tuple[dict[str, Member], int]:
    """Members by name, and where the directory begins.

    ``read`` reads from the file of ``size`` bytes.  Raises ValueError, with the end of a sentence,
    where a rule of the format is broken or a member is compressed, encrypted, named twice or
    overlaps another.
    """
    count, length, offset = _end(read, size)
    directory = read(offset, length)
    members: dict[str, Member] = {}
    position = 0
    try:
        while position < length:
            entry = _ENTRY.unpack_from(directory, position)
            mark, flags, method, packed, original = entry[0], entry[3], entry[4], entry[8], entry[9]
            name_length, extra_length, comment_length, header = (*entry[10:13], entry[16])
            if mark != b"PK\1\2":
                raise ValueError("its directory is broken")
            position += _ENTRY.size
            name = directory[position : position + name_length].decode("utf-8")
            position += name_length
            if original == _MAX_32 or header == _MAX_32:
                extra = directory[position : position + extra_length]
                original, header = _large(extra, original, header)
            elif packed != original:
                raise ValueError(f'its member "{name[:100]}" is compressed')
            if method or flags & _ENCRYPTED:
                raise ValueError(f'its member "{name[:100]}" is compressed or encrypted')
            members[name] = Member(header, original)
            position += extra_length + comment_length
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ValueError("its directory is broken") from None
    if position != length or len(members) != count:
        raise ValueError("its directory is broken, or names a member twice")
    end = 0
    for header, stored in sorted(members.values()):
        if header < end:
            raise ValueError("two of its members overlap")
        end = header + _HEADER.size + stored
    if end > offset:
        raise ValueError("one of its members reaches into its directory")
    return members, offset


def data_start(read: Read, name: str, member: Member, directory: int) -> int:
    """Where the data of a member begins; raises ValueError where its own header disagrees."""
    header = _HEADER.unpack(read(member.header, _HEADER.size))
    name_length, extra_length = header[9], header[10]
    start = member.header + _HEADER.size
    own_name = read(start, name_length) if header[0] == b"PK\3\4" else b""
    start += name_length + extra_length
    if own_name != name.encode() or header[3] or start + member.size > directory:
        raise ValueError(f'the header of its member "{name[:100]}" contradicts its directory')
    return int(start)
