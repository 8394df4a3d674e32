"""Archives written by torch.save, read from their description; nothing in them is run or believed.

The form (``torch/serialization.py``, since torch 1.6) is a zip archive of stored members below one
folder: ``data.pkl``, a pickle that describes everything and refers to storages by number;
``data/0``, ``data/1``, ... with their bytes; ``byteorder`` and ``version``.  The pickle is read by
a machine of our own (:mod:`.pickle_reader`) and each tensor checked against its record.  Values
stay in the file: tensors are mapped from it read-only.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from inspector_app.backend.formats.pickle_reader import (
    SIZE_LIMIT,
    PickleError,
    opcodes_limit,
    read_pickle,
)
from inspector_app.backend.formats.torch_file import TorchFile
from inspector_app.backend.formats.torch_storages import Storages
from inspector_app.backend.formats.torch_values import Builders
from inspector_app.backend.formats.values import Check
from inspector_app.backend.formats.zip_directory import (
    Directory,
    SealedError,
    data_start,
    read_directory,
)
from inspector_app.backend.notes import NOTES_MEMBER
from inspector_app.protocol.errors import TargetError

BEGINNING = b"PK\x03\x04"
_SMALL = 1_000  # bytes of the members that say one word


class _Records(Storages):
    """The members that hold values; each is as large as the directory says."""

    def __init__(self, directory: Directory, prefix: str) -> None:
        self._places = directory.places
        self._sizes = directory.sizes
        self._sealed = directory.sealed
        self._prefix = prefix

    def number(self, key: str, dtype: str, size: int) -> int:
        """Number of the member with a key; raises ValueError."""
        place = self._places.get(self._prefix + key)
        if place is None:
            raise ValueError(f"its record {key[:50]} is missing")
        if size > self._sizes[place]:
            held = self._sizes[place]
            raise ValueError(f"its record {key[:50]} has {held:,} of {size:,} bytes")
        if place in self._sealed:
            raise SealedError(f"its record {key[:50]} is compressed or encrypted")
        return place + 1


class TorchArchive(TorchFile):
    """An open archive: what its description says, and its values on demand."""

    def _read_description(self, check: Check) -> None:
        self._directory = read_directory(self.read, self.size)
        self._folder = self._find_folder()
        order = self._word("byteorder")
        if order not in ("", "little"):
            raise TargetError(
                f"{self.path} was written in {order[:20]}-endian byte order, which is not read "
                "here: load and save it again with torch on a little-endian machine."
            )
        name = f"{self._folder}data.pkl"
        size = self._directory.size(name)
        if size > SIZE_LIMIT:
            raise PickleError(
                f"{self.path} has a description of {size:,} bytes; {SIZE_LIMIT:,} are read "
                "at most. Save its tensors apart from its other values."
            )
        self._description = self._content(name)
        storages, builders = _Records(self._directory, f"{self._folder}data/"), Builders(self.size)
        root, _, names = read_pickle(
            self._description,
            self.path,
            builders=builders.table,
            persistent=storages.persistent,
            prepare=builders.maker(storages),
            limit=opcodes_limit(self.size),
            check=check,
        )
        self._take(root, names, size)
        self.metadata = self._own_metadata()

    def _own_metadata(self) -> dict[str, str]:
        """What this program noted in a member of its own when it wrote the file."""
        name = f"{self._folder}{NOTES_MEMBER}"
        if name not in self._directory.places or self._directory.size(name) > SIZE_LIMIT:
            return {}
        try:
            return msgspec.json.decode(self._content(name), type=dict[str, str])
        except (ValueError, RecursionError) as error:
            raise ValueError(f'its member "{NOTES_MEMBER}" is broken ({error})') from None

    def _find_folder(self) -> str:
        """The one folder of the archive; raises TargetError where it is of another kind."""
        members = self._directory.places
        first = next(iter(members), "")
        folder = first.split("/", 1)[0] + "/" if "/" in first else ""
        kind = ""
        if f"{folder}constants.pkl" in members:
            kind = "a TorchScript archive, whose code would have to be run"
        elif f"{folder}archive_format" in members:
            kind = "an exported program (torch.export)"
        elif f"{folder}.data/version" in members or f"{folder}.data/extern_modules" in members:
            kind = "a torch.package archive"
        elif f"{folder}data.pkl" not in members:
            kind = "a zip archive, but none of torch.save: it has no data.pkl"
        if kind:
            raise TargetError(
                f"{self.path} is {kind}. Open a checkpoint that torch.save wrote, a safetensors "
                "file, or the model's factory."
            )
        return folder

    def _place(self, name: str) -> int:
        """Where the data of a member begins."""
        directory = self._directory
        place = directory.place(name)
        header, size = directory.headers[place], directory.sizes[place]
        return data_start(self.read, name, header, size, directory.start)

    def _content(self, name: str) -> bytes:
        return self.read(self._place(name), self._directory.size(name))

    def _word(self, name: str) -> str:
        """The text of a small member; "" where there is none."""
        whole = f"{self._folder}{name}"
        if whole not in self._directory.places:
            return ""
        if self._directory.size(whole) > _SMALL:
            raise ValueError(f'its member "{name}" is no word')
        return self._content(whole).decode("latin-1").strip()

    def _record(self, key: str) -> int:
        return self._place(f"{self._folder}data/{key}")

    def samples(self, count: int) -> Iterator[bytes]:
        """The description and the directory, and samples of all the file."""
        yield self._description
        yield self.read(self._directory.start, self.size - self._directory.start)
        yield from self.pieces(count, 0)
