"""A zip archive of stored members, made as it is written: its words, but not the members' bytes.

As torch writes it: no compression; the data of every member begins at a multiple of 64 bytes, by
padding in the header's extra field; sizes and check sum follow the data, since they are known only
then; zip64 where a size or an offset needs it (PKWARE's APPNOTE.TXT).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_FLAGS = 0x0808  # sizes follow the data; names are UTF-8
_ALIGNMENT = 64
_PADDING = b"FB"  # kind of the extra field that torch pads with
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 45  # version of the specification


class _Member(NamedTuple):
    name: bytes
    header: int  # where its header begins
    size: int
    check: int  # crc32


class ZipWords:
    """The words between the members, given in order; ``offset`` is where the next ones stand."""

    def __init__(self) -> None:
        self.offset = 0
        self._members: list[_Member] = []

    def begin(self, name: str, size: int) -> bytes:
        """What stands before the ``size`` bytes of a member."""
        written = name.encode()
        start = self.offset + _HEADER.size + len(written) + 4
        padding = -start % _ALIGNMENT
        large = _ZIP64 if size >= _MAX_32 else 0
        header = _HEADER.pack(b"PK\3\4", large, _FLAGS, 0, 0, 0, 0, 0, 0, len(written), 4 + padding)
        extra = _PADDING + struct.pack("<H", padding) + b"Z" * padding
        self._members.append(_Member(written, self.offset, size, 0))
        self.offset = start + padding + size
        return header + written + extra

    def end(self, check: int) -> bytes:
        """What stands behind the bytes of the member begun last; ``check`` is their crc32."""
        member = self._members[-1]._replace(check=check)
        self._members[-1] = member
        sizes = "<2Q" if member.size >= _MAX_32 else "<2L"
        text = b"PK\7\10" + struct.pack("<L", check) + struct.pack(sizes, member.size, member.size)
        self.offset += len(text)
        return text

    def finish(self, comment: bytes, more: int) -> bytes:
        """The directory, and the comment but for its last ``more`` bytes."""
        directory = b"".join(_directory_entry(member) for member in self._members)
        count, start, length = len(self._members), self.offset, len(directory)
        text = directory
        if count >= _MAX_16 or start >= _MAX_32 or length >= _MAX_32:
            place = start + length
            text += _END_64.pack(
                b"PK\6\6", 44, _ZIP64, _ZIP64, 0, 0, count, count, length, start
            ) + _LOCATOR.pack(b"PK\6\7", 0, place, 1)
        text += _END.pack(
            b"PK\5\6",
            0,
            0,
            min(count, _MAX_16),
            min(count, _MAX_16),
            min(length, _MAX_32),
            min(start, _MAX_32),
            len(comment) + more,
        )
        self.offset += len(text) + len(comment) + more
        return text + comment


def _directory_entry(member: _Member) -> bytes:
    extra = b""
    size, header = member.size, member.header
    if size >= _MAX_32:
        extra += struct.pack("<2Q", size, size)
    if header >= _MAX_32:
        extra += struct.pack("<Q", header)
    if extra:
        extra = struct.pack("<2H", 1, len(extra)) + extra
    size, header = min(size, _MAX_32), min(header, _MAX_32)
    version = _ZIP64 if extra else 0
    return (
        _ENTRY.pack(
            *(b"PK\1\2", version, version, _FLAGS, 0, 0, 0, member.check, size, size),
            *(len(member.name), len(extra), 0, 0, 0, 0, header),
        )
        + member.name
        + extra
    )
