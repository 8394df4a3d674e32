"""What the two forms of files by torch.save have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.formats.mapped_file import DamagedFileError, MappedFile
from inspector_app.backend.formats.pickle_reader import opcodes_limit
from inspector_app.backend.formats.pickle_values import Global
from inspector_app.backend.formats.torch_imports import imports_of
from inspector_app.backend.formats.torch_listing import list_values
from inspector_app.backend.formats.torch_storages import StoredTensor
from inspector_app.backend.formats.values import BLOCK, Bytes, Check, TensorFile, unchecked
from inspector_app.backend.formats.zip_directory import SealedError
from inspector_app.protocol.errors import RefusedError


class TorchFile(MappedFile, TensorFile):
    """A file by torch.save: tensors that lie in records, described by a pickle."""

    entries: dict[str, StoredTensor]

    def __init__(self, path: str | os.PathLike[str], check: Check = unchecked) -> None:
        """Read and check the description; ``check`` may raise now and then, to end the work.

        Raises TargetError where there is no such file or it is of another kind, and its subclasses
        DamagedFileError and PickleError where it breaks a rule.
        """
        super().__init__(path)
        try:
            with without_collection():
                self._read_description(check)
        except SealedError as error:
            self.close()
            raise DamagedFileError(
                f"{self.path} cannot be read as it is: {error}, and torch.save compresses nothing. "
                "Unpack it and pack it again without compression (zip -0)."
            ) from None
        except ValueError as error:
            self.close()
            raise self._damaged(str(error)) from None
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _read_description(self, check: Check) -> None:
        """Read all but the values; raises ValueError, with the end of a sentence."""

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(
            f"{self.path} is damaged: {what.rstrip('.')}. Download or write the file again."
        )

    def _take(self, root: Any, names: Iterable[Global], size: int) -> None:
        """List what a pickle of ``size`` bytes described; raises ValueError for too much."""
        listing = list_values(root, size, opcodes_limit(self.size))
        entries = listing.tensors
        self.entries = entries
        self.values = listing.values
        self.state = listing.state
        self.nested = listing.nested
        self.wrapper = listing.wrapper
        self.beside, self.others = listing.beside, listing.others
        self.model = listing.model
        self.imports = imports_of(names)
        told = [entries[name] for name in self.state if name in entries]
        records = {entry.storage.number: entry.storage.nbytes for entry in told if entry.storage}
        self.nbytes = sum(size for number, size in records.items() if number > 0)
        # Only a module that was pickled whole, or a dictionary of parameters, tells which are.
        if any(entry.parameter for entry in told):
            self.requires_grad = {
                name: entries[name].requires_grad
                for name in self.state
                if name in entries and entries[name].parameter
            }

    @abstractmethod
    def _record(self, key: str) -> int:
        """Where a record begins in the file; raises ValueError where that is contradicted."""

    def _begin(self, name: str, entry: StoredTensor) -> int:
        """Where the first element of a tensor lies in the file."""
        if entry.reason or entry.storage is None or entry.torch_dtype is None:
            reason = entry.reason or f"{entry.dtype}, which torch {torch.__version__} does not know"
            raise RefusedError(f'"{name}" has no values that can be read here: it is {reason}.')
        try:
            return self._record(entry.storage.key) + entry.start
        except ValueError as error:
            raise self._damaged(str(error)) from None

    def memory(self, name: str) -> Hashable:
        """Equal for tensors that are the same memory; None for a tensor that has none."""
        entry = self.entries[name]
        if not entry.stored:
            return None
        same = (entry.space, entry.start, entry.dtype, entry.shape, entry.strides)
        return (*same, entry.conjugate, entry.negative)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped from the file; see :meth:`TensorFile.tensor`.

        Raises DamagedFileError where its record contradicts the file's directory.
        """
        entry = self.entries[name]
        begin = self._begin(name, entry)
        dtype = entry.torch_dtype
        assert dtype is not None  # or it was refused
        shape = entry.shape or ()
        flat = self.mapped(begin, entry.stored, dtype.itemsize).view(dtype)
        found = flat.as_strided(shape, entry.strides) if entry.stored else flat.view(shape)
        if entry.conjugate:
            found = found.conj()
        # The bit that torch.Tensor.neg() does not set, but a view of a conjugate's imaginary part.
        return torch._neg_view(found) if entry.negative else found

    def in_order(self, name: str) -> bool:
        """Whether the bytes of a tensor lie in the file as a contiguous tensor holds them."""
        entry = self.entries[name]
        step = 1
        for size, stride in zip(reversed(entry.shape or ()), reversed(entry.strides), strict=True):
            if size != 1 and stride != step:
                return not entry.stored
            step *= size
        return not (entry.conjugate or entry.negative)

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor that lies in order, as arrays of at most ``BLOCK``."""
        entry = self.entries[name]
        begin = self._begin(name, entry)
        for start in range(begin, begin + entry.stored, BLOCK):
            size = min(BLOCK, begin + entry.stored - start)
            yield np.frombuffer(self.read(start, size), np.uint8)
