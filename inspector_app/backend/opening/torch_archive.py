"""Archives written by torch.save, read from their description; nothing in them is run or believed.

The form (``torch/serialization.py``, since torch 1.6) is a zip archive of stored members below one
folder: ``data.pkl``, a pickle that describes everything and refers to storages by number;
``data/0``, ``data/1``, ... with their bytes; ``byteorder`` and ``version``.  The pickle is read by
a machine of our own (:mod:`.pickle_reader`) and each tensor checked against its record.  Values
stay in the file: tensors are mapped from it read-only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.opening.mapped_file import DamagedFileError, MappedFile
from inspector_app.backend.opening.pickle_reader import SIZE_LIMIT, read_pickle
from inspector_app.backend.opening.safetensors_file import BLOCK
from inspector_app.backend.opening.torch_listing import Listing, list_values
from inspector_app.backend.opening.torch_values import (
    Builders,
    StoredTensor,
    known_global,
    persistent_storage,
)
from inspector_app.backend.opening.zip_directory import Member, data_start, read_directory
from inspector_app.protocol.errors import RefusedError, TargetError

BEGINNING = b"PK\x03\x04"
_SMALL = 1_000  # bytes of the members that say one word


class TorchArchive(MappedFile):
    """An open archive: what its description says, and its values on demand.

    ``entries`` are tensors and ``values`` all else, by name; ``state`` names what belongs to the
    state dict, which was found under ``wrapper``.  ``foreign`` are the names that torch would have
    to import, and whose code it would run, to load the file whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read and check the description.

        Raises TargetError where there is no such file or it is another kind of archive, and its
        subclasses DamagedFileError and PickleError where it breaks a rule.
        """
        super().__init__(path)
        try:
            with without_collection():
                self._read_description()
        except ValueError as error:
            self.close()
            raise self._damaged(str(error)) from None
        except BaseException:
            self.close()
            raise

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(
            f"{self.path} is damaged: {what.rstrip('.')}. Download or write the file again."
        )

    def _read_description(self) -> None:
        self._members, self._directory = read_directory(self.read, self.size)
        self._folder = self._find_folder()
        order = self._word("byteorder")
        if order not in ("", "little"):
            raise TargetError(
                f"{self.path} was written in {order[:20]}-endian byte order, which is not read "
                "here: load and save it again with torch on a little-endian machine."
            )
        member = self._members[f"{self._folder}data.pkl"]
        if member.size > SIZE_LIMIT:
            raise TargetError(
                f"{self.path} has a description of {member.size:,} bytes; {SIZE_LIMIT:,} are read "
                "at most. Save its tensors apart from its other values."
            )
        self._description = self._content(f"{self._folder}data.pkl")
        numbers: dict[str, tuple[int, int]] = {}

        def record(key: str) -> tuple[int, int]:
            found = numbers.get(key)
            if found is None:
                stored = self._members.get(f"{self._folder}data/{key}")
                if stored is None:
                    raise ValueError(f"its record {key[:50]} is missing")
                numbers[key] = found = len(numbers) + 1, stored.size
            return found

        root, _, names = read_pickle(
            self._description,
            self.path,
            builders=Builders(self.size).table,
            persistent=persistent_storage(record),
        )
        listing: Listing = list_values(root)
        self.entries: dict[str, StoredTensor] = listing.tensors
        self.values = listing.values
        self.state = listing.state
        self.wrapper = listing.wrapper
        self.foreign = sorted(
            name.full_name for name in names if not known_global(name.module, name.name)
        )

    def _find_folder(self) -> str:
        """The one folder of the archive; raises TargetError where it is of another kind."""
        first = next(iter(self._members), "")
        folder = first.split("/", 1)[0] + "/" if "/" in first else ""
        members = self._members
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

    def _place(self, name: str) -> tuple[int, Member]:
        """Where the data of a member begins, and the member."""
        member = self._members[name]
        return data_start(self.read, name, member, self._directory), member

    def _content(self, name: str) -> bytes:
        start, member = self._place(name)
        return self.read(start, member.size)

    def _word(self, name: str) -> str:
        """The text of a small member; "" where there is none."""
        member = self._members.get(f"{self._folder}{name}")
        if member is None:
            return ""
        if member.size > _SMALL:
            raise ValueError(f'its member "{name}" is no word')
        return self._content(f"{self._folder}{name}").decode("latin-1").strip()

    # -- what a checkpoint asks for ------------------------------------------------------------

    @property
    def metadata(self) -> dict[str, str]:
        """Strings that the file carries: this format has none."""
        return {}

    @property
    def data_start(self) -> int:
        """Where the values begin, roughly: members stand all over the file."""
        return 0

    def head(self) -> bytes:
        """All that describes the values."""
        directory = self.read(self._directory, self.size - self._directory)
        return self._description + directory

    def _record(self, name: str, entry: StoredTensor) -> int:
        """Where the record of a tensor begins in the file; raises RefusedError where it has none.

        Raises DamagedFileError where the record's own header contradicts the directory.
        """
        if entry.reason or entry.storage is None or entry.torch_dtype is None:
            reason = entry.reason or f"{entry.dtype}, which torch {torch.__version__} does not know"
            raise RefusedError(f'"{name}" has no values that can be read here: it is {reason}.')
        try:
            return self._place(f"{self._folder}data/{entry.storage.key}")[0]
        except ValueError as error:
            raise self._damaged(str(error)) from None

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped from the file: nothing is read before it is used.

        It must not be written to: its memory is read-only.  Raises KeyError for an unknown name,
        RefusedError where its values cannot be read (quantized, sparse, on meta).
        """
        entry = self.entries[name]
        record = self._record(name, entry)
        dtype = entry.torch_dtype
        assert dtype is not None  # or it was refused
        shape = entry.shape or ()
        flat = self.mapped(record + entry.start, entry.stored, dtype.itemsize).view(dtype)
        found = flat.as_strided(shape, entry.strides) if entry.stored else flat.view(shape)
        if entry.conjugate:
            found = found.conj()
        # The bit that torch.Tensor.neg() does not set, but a view of a conjugate's imaginary part.
        return torch._neg_view(found) if entry.negative else found

    def in_order(self, name: str) -> bool:
        """Whether the bytes of a tensor lie in the file as :meth:`blocks` gives them."""
        entry = self.entries[name]
        step = 1
        for size, stride in zip(reversed(entry.shape or ()), reversed(entry.strides), strict=True):
            if size != 1 and stride != step:
                return not entry.stored
            step *= size
        return not (entry.conjugate or entry.negative)

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """The bytes of one tensor that lies in order, as uint8 arrays of at most ``BLOCK``.

        Reads without mapping: the memory in use stays at one block.
        """
        entry = self.entries[name]
        begin = self._record(name, entry) + entry.start
        for start in range(begin, begin + entry.stored, BLOCK):
            size = min(BLOCK, begin + entry.stored - start)
            yield np.frombuffer(self.read(start, size), np.uint8)
