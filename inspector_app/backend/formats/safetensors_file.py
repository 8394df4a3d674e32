"""safetensors files, read from their header; nothing in it is believed unchecked.

The format (https://github.com/huggingface/safetensors#format)::

    u64 length of the header, little-endian | header: a JSON object | data

The header maps each name to its dtype, shape and range of bytes in the data, and ``__metadata__``
to a map of strings.  The ranges must cover the data without holes or overlaps.  Values stay in the
file: tensors are mapped from it read-only, and :meth:`SafetensorsFile.blocks` reads them piece by
piece.  The open file is held, so replacing it by a rename changes nothing here.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
import torch

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.formats.mapped_file import DamagedFileError, MappedFile
from inspector_app.backend.formats.values import BLOCK, Bytes, TensorFile
from inspector_app.protocol.errors import RefusedError, TargetError

HEADER_LIMIT = 100_000_000  # bytes; the format's own limit
METADATA = "__metadata__"
_NOTES = f'"{METADATA}"'.encode()
_ELEMENTS_LIMIT = 2**63  # what torch can count


class Kind(NamedTuple):
    """A data type of the format: the name torch gives it, and bits per element."""

    word: str
    bits: int

    @property
    def torch_dtype(self) -> torch.dtype | None:
        """The type in the installed torch; None where that does not know it."""
        dtype = getattr(torch, self.word, None)
        return dtype if isinstance(dtype, torch.dtype) else None


KINDS = {
    "BOOL": Kind("bool", 8),
    "F4": Kind("float4_e2m1fn_x2", 4),  # torch packs two into one element
    "F6_E2M3": Kind("float6_e2m3", 6),
    "F6_E3M2": Kind("float6_e3m2", 6),
    "U8": Kind("uint8", 8),
    "I8": Kind("int8", 8),
    "F8_E5M2": Kind("float8_e5m2", 8),
    "F8_E4M3": Kind("float8_e4m3fn", 8),
    "F8_E8M0": Kind("float8_e8m0fnu", 8),
    "F8_E5M2FNUZ": Kind("float8_e5m2fnuz", 8),
    "F8_E4M3FNUZ": Kind("float8_e4m3fnuz", 8),
    "I16": Kind("int16", 16),
    "U16": Kind("uint16", 16),
    "F16": Kind("float16", 16),
    "BF16": Kind("bfloat16", 16),
    "I32": Kind("int32", 32),
    "U32": Kind("uint32", 32),
    "F32": Kind("float32", 32),
    "C64": Kind("complex64", 64),
    "F64": Kind("float64", 64),
    "I64": Kind("int64", 64),
    "U64": Kind("uint64", 64),
}
CODES = {kind.word: code for code, kind in KINDS.items()}  # "float32" -> "F32"


class TensorEntry(msgspec.Struct, frozen=True, gc=False):
    """One tensor of a file, as torch would show it."""

    name: str
    dtype: str  # "float32"
    shape: tuple[int, ...]
    start: int  # bytes from the beginning of the data
    stop: int
    space: int = 1  # of one file, all are in one piece of data

    @property
    def count(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.stop - self.start

    @property
    def stored(self) -> int:
        """Bytes that are its own."""
        return self.stop - self.start

    @property
    def device(self) -> str:
        """Where it would be loaded to."""
        return "cpu"

    @property
    def class_name(self) -> str:
        """What it would be loaded as."""
        return "Tensor"

    @property
    def reason(self) -> str:
        """Why its values cannot be read: they always can."""
        return ""

    @property
    def torch_dtype(self) -> torch.dtype | None:
        """The type in the installed torch; None where that does not know it."""
        return KINDS[CODES[self.dtype]].torch_dtype


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    dtype: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data_offsets: tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]]


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRY = msgspec.json.Decoder(_Entry)
_STRINGS = msgspec.json.Decoder(dict[str, str])


def begins_like_safetensors(start: bytes) -> bool:
    """Whether a file that starts with these bytes (at least 9) is meant as safetensors."""
    if len(start) < 9:
        return False
    plausible = struct.unpack("<Q", start[:8])[0] <= HEADER_LIMIT
    # Of a file whose first bytes are damaged, one of the format's own words still tells.
    return (plausible and start[8:9] == b"{") or b'"data_offsets"' in start or _NOTES in start


def _said_twice(header: bytes, entries: int, metadata: dict[str, str] | None) -> bool:
    """Whether any object of a valid header names a key twice, of which a decoder keeps one.

    Every string of JSON stands between two bare quotes, so the strings that were kept account for
    all quotes exactly if nothing was dropped: an entry has five, the metadata two a line.
    """
    if b"\\" in header:
        header = re.sub(rb"\\.", b"", header, flags=re.DOTALL)
    strings = 5 * entries
    if metadata is not None:
        strings += 1 + 2 * len(metadata)
    return header.count(b'"') != 2 * strings


def parse_header(
    header: bytes, data_size: int, where: str
) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Entries in the order of their bytes, and the metadata.

    ``header`` stands in front of ``data_size`` bytes of data.  Raises DamagedFileError, with
    ``where`` as the file's name, if any rule of the format is broken.
    """

    def damaged(what: str) -> DamagedFileError:
        return DamagedFileError(f"{where} is damaged: {what}. Download or write the file again.")

    if not header.startswith(b"{"):
        raise damaged("its header does not begin with an object")
    try:
        header.decode("utf-8")
        raw = _OBJECT.decode(header)
    except (ValueError, RecursionError) as error:
        raise damaged(f"its header is not valid JSON in UTF-8 ({error})") from None
    metadata: dict[str, str] | None = None
    try:
        if METADATA in raw:
            metadata = _STRINGS.decode(raw.pop(METADATA))
    except (ValueError, RecursionError) as error:
        raise damaged(f"its metadata must map strings to strings ({error})") from None
    entries: list[TensorEntry] = []
    name = ""
    try:
        for name, text in raw.items():
            entries.append(_checked(name, _ENTRY.decode(text)))
    except (ValueError, RecursionError) as error:
        raise damaged(f'entry "{name}" of its header is wrong ({error})') from None
    if _said_twice(header, len(entries), metadata):
        raise damaged("its header names a key twice")
    entries.sort(key=lambda entry: (entry.start, entry.stop))
    end = 0
    for entry in entries:
        if entry.start != end:
            what = "leaves a hole before" if entry.start > end else "overlaps another in"
            raise damaged(f'entry "{entry.name}" {what} its bytes {entry.start} to {entry.stop}')
        end = entry.stop
    if end != data_size:
        what = "the rest is missing" if end > data_size else "more follows than it should"
        raise damaged(
            f"its header describes {end:,} bytes of data, there are {data_size:,}: {what}"
        )
    return {entry.name: entry for entry in entries}, metadata or {}


def _checked(name: str, entry: _Entry) -> TensorEntry:
    """The entry of one tensor; raises ValueError where it contradicts itself."""
    kind = KINDS.get(entry.dtype)
    if kind is None:
        raise ValueError(f'its dtype "{entry.dtype}" is not known')
    start, stop = entry.data_offsets
    bits = math.prod(entry.shape) * kind.bits
    if bits != 8 * (stop - start):
        needed = f"{-(-bits // 8):,}" if bits.bit_length() < 64 else "far too many"
        raise ValueError(
            f"its shape needs {needed} bytes, its data_offsets {start} to {stop} hold other"
        )
    shape = entry.shape
    if not bits and math.prod(size or 1 for size in shape) >= _ELEMENTS_LIMIT:
        raise ValueError("its shape is too large to count")
    if kind.bits == 4:
        if not shape or shape[-1] % 2:
            raise ValueError("a shape of F4 must end in an even size")
        shape = (*shape[:-1], shape[-1] // 2)
    return TensorEntry(name, kind.word, shape, start, stop)


class SafetensorsFile(MappedFile, TensorFile):
    """An open safetensors file: what its header says, and its values on demand.

    ``entries`` by name, in the order of their bytes.  ``data_start``: where the data begins.
    """

    entries: dict[str, TensorEntry]
    metadata: dict[str, str]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read and check the header.

        Raises TargetError where there is no such file or it is something else, and its subclass
        DamagedFileError where it is a safetensors file that breaks a rule of the format.
        """
        super().__init__(path)
        try:
            self.data_start = self._check_beginning()
            header = self.read(8, self.data_start - 8)
            self.nbytes = self.size - self.data_start
            with without_collection():
                self.entries, self.metadata = parse_header(
                    header, self.size - self.data_start, self.path
                )
        except BaseException:
            self.close()
            raise
        self.state = list(self.entries)

    def _check_beginning(self) -> int:
        """Where the data begins."""
        start = self.read(0, min(4096, self.size))
        if not begins_like_safetensors(start):
            raise TargetError(
                f"{self.path} is not a safetensors file: it does not begin with the length of a "
                "header and the header."
            )
        length: int = struct.unpack("<Q", start[:8])[0]
        if length > min(HEADER_LIMIT, self.size - 8):
            raise DamagedFileError(
                f"{self.path} is damaged: its first bytes announce a header of {length:,} bytes, "
                f"the file has {self.size:,} (headers may have {HEADER_LIMIT:,}). "
                "Download or write the file again."
            )
        return 8 + length

    def samples(self, count: int) -> Iterator[bytes]:
        """The header, and samples of the data."""
        yield self.read(0, self.data_start)
        yield from self.pieces(count, self.data_start)

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, in order, as arrays of at most ``BLOCK``."""
        entry = self.entries[name]
        for start in range(entry.start, entry.stop, BLOCK):
            size = min(BLOCK, entry.stop - start)
            yield np.frombuffer(self.read(self.data_start + start, size), np.uint8)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped from the file: nothing is read before it is used.

        It must not be written to: its memory is read-only.  Raises KeyError for an unknown name,
        RefusedError where the installed torch does not know the data type.
        """
        entry = self.entries[name]
        dtype = entry.torch_dtype
        if dtype is None:
            raise RefusedError(
                f'"{name}" is {entry.dtype}, which torch {torch.__version__} does not know.'
            )
        flat = self.mapped(self.data_start + entry.start, entry.nbytes, dtype.itemsize)
        return flat.view(dtype).view(entry.shape)
