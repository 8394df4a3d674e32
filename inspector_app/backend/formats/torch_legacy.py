"""Files that torch.save wrote before torch 1.6, or writes with the zip archive turned off.

The form (``torch/serialization.py``, ``_legacy_save``) is a row of pickles: a magic number, the
version of the protocol, facts of the machine, the description, and the keys of all storages.
Behind them stand the storages in the order of those keys, each with its number of elements as a
little-endian int64 before its bytes.  The description refers to storages by persistent ids, and to
classes of modules by ids that carry the class's source text along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector_app.backend.formats.pickle_reader import (
    SIZE_LIMIT,
    PickleError,
    opcodes_limit,
    read_pickle,
)
from inspector_app.backend.formats.pickle_values import Global, Items
from inspector_app.backend.formats.torch_file import TorchFile
from inspector_app.backend.formats.torch_storages import ITEM_SIZES, Storage, Storages
from inspector_app.backend.formats.torch_values import Builders
from inspector_app.backend.formats.values import Check
from inspector_app.protocol.errors import TargetError

_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES = bytes.fromhex("8a0a6cfc9c46f9206aa85019")  # as every pickle protocol writes it
_VERSION = 1001
_BEHIND = 16  # bytes that may stand before the magic number: protocol and frame
_FIRST_READ = 1 << 20  # bytes of a large file; most descriptions are shorter
_SOURCE_LIMIT = 1 << 20  # characters of a class's source


def begins_like_legacy(start: bytes) -> bool:
    """Whether a file that starts with these bytes is meant as one of this form."""
    return start[:1] == b"\x80" and _MAGIC_BYTES in start[: _BEHIND + len(_MAGIC_BYTES)]


class _Claim:
    """What the description says of one record: bytes of an element, and bytes in all."""

    __slots__ = ("item", "number", "size", "start")

    def __init__(self, number: int, item: int, size: int) -> None:
        self.number = number
        self.item = item
        self.size = size
        self.start = -1  # of its bytes in the file


class _Claims(Storages):
    """Records as the description refers to them: it comes before their sizes are known."""

    def __init__(self) -> None:
        self.records: dict[str, _Claim] = {}
        self.sources: dict[str, str] = {}

    def number(self, key: str, dtype: str, size: int) -> int:
        """Number of the record with a key, noting what it has to hold."""
        claim = self.records.get(key)
        if claim is None:
            # The first one to refer to it tells what an element is, as torch goes by it.
            claim = _Claim(len(self.records) + 1, ITEM_SIZES[dtype], size)
            self.records[key] = claim
        elif size > claim.size:
            claim.size = size
        return claim.number

    def persistent(self, identity: Any) -> Any:
        """The storage or class that an id means; raises ValueError."""
        if type(identity) is tuple and len(identity) == 4 and identity[0] == "module":
            return self._module(*identity[1:])
        if type(identity) is not tuple or len(identity) < 6 or identity[5] is None:
            return super().persistent(identity)
        whole = super().persistent(identity)  # of which this is a view, as torch 0.4 wrote them
        view = identity[5]
        if type(view) is not tuple or len(view) != 3 or type(view[0]) is not str:
            raise ValueError("it refers to a view of a storage that is none")
        item = ITEM_SIZES[whole.dtype]
        _, offset, count = view
        inside = all(type(part) is int and 0 <= part <= whole.nbytes for part in (offset, count))
        if not inside or (offset + count) * item > whole.nbytes:
            raise ValueError("it refers to a view that reaches beyond its storage")
        return Storage(
            whole.key, whole.number, whole.dtype, count * item, whole.device, offset * item
        )

    def _module(self, cls: Any, file: Any, source: Any) -> Any:
        """A class of modules, whose source text may stand beside it."""
        if type(cls) is not Global:
            raise ValueError("it refers to a class that is none")
        if type(source) is str and len(source) <= _SOURCE_LIMIT:
            self.sources[cls.full_name] = source
        return cls


class LegacyTorchFile(TorchFile):
    """An open file: what its description says, and its values on demand."""

    def _read_description(self, check: Check) -> None:
        """With as little of the file as will do: how long the pickles are, nothing tells before."""
        size = self.size if self.size <= SIZE_LIMIT else _FIRST_READ
        while True:
            try:
                return self._parse(self.read(0, size), check)
            except PickleError:
                if size >= min(SIZE_LIMIT, self.size):
                    raise
            size = min(8 * size, SIZE_LIMIT, self.size)

    def _parse(self, data: bytes, check: Check) -> None:
        magic, end, _ = read_pickle(data, self.path)
        version, end, _ = read_pickle(data, self.path, start=end)
        facts, end, _ = read_pickle(data, self.path, start=end)
        if magic != _MAGIC or version != _VERSION or type(facts) is not Items:
            raise ValueError("it begins like a file of torch.save, and goes on unlike one")
        if facts.get("little_endian") is not True:
            raise TargetError(
                f"{self.path} was written in big-endian byte order, which is not read here: load "
                "and save it again with torch on a little-endian machine."
            )
        claims, builders = _Claims(), Builders(self.size)
        root, end, names = read_pickle(
            data,
            self.path,
            start=end,
            builders=builders.table,
            persistent=claims.persistent,
            prepare=builders.maker(claims),
            limit=opcodes_limit(self.size),
            check=check,
        )
        keys, end, _ = read_pickle(data, self.path, start=end)
        self._place(claims.records, keys, end, data)
        self._description = data[:end]
        self._records = claims.records
        self.sources = claims.sources
        self._take(root, names, end)

    def _place(self, records: dict[str, _Claim], keys: Any, position: int, data: bytes) -> None:
        """Find all records, each behind the one before; raises ValueError.

        ``data`` is what was read of the file's beginning.
        """
        if type(keys) is not list:
            raise ValueError("it has no list of its storages")
        for key in keys:
            claim = records.get(key) if type(key) is str else None
            if claim is None or claim.start >= 0:
                raise ValueError("its list of storages is not that of its description")
            if position + 8 > self.size:
                raise ValueError("it ends before its last storage: a copy may have been cut short")
            count = data[position : position + 8]
            count = count if len(count) == 8 else self.read(position, 8)
            size = int.from_bytes(count, "little", signed=True) * claim.item
            claim.start = position = position + 8
            if not claim.size <= size <= self.size - position:
                raise ValueError(
                    f"its storage {key[:50]} has {size:,} of {claim.size:,} bytes"
                    if size < claim.size
                    else "it ends inside of a storage, so a copy may have been cut short"
                )
            position += size
        missing = next((key for key, claim in records.items() if claim.start < 0), None)
        if missing is not None:
            raise ValueError(f"its storage {missing[:50]} is missing")

    def _record(self, key: str) -> int:
        return self._records[key].start

    def samples(self, count: int) -> Iterator[bytes]:
        """The description, and samples of all the file."""
        yield self._description
        yield from self.pieces(count, len(self._description))
