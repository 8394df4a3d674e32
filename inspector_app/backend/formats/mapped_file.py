"""A file of tensors that is held open, read in pieces and mapped read-only."""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
import weakref
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch

from inspector_app.backend.formats.values import SAMPLE
from inspector_app.protocol.errors import TargetError


class DamagedFileError(TargetError):
    """The file begins like one of its format and breaks a rule of it."""


class MappedFile:
    """An open regular file of ``size`` bytes.

    The open file is held, so replacing it by a rename changes nothing here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open ``path``; raises TargetError where there is no such file or it is no regular one."""
        self.path = os.fspath(path)
        try:
            # Not to block on a pipe; the flag means nothing to a file.
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            raise TargetError(f"Cannot open {self.path}: {reason}.") from None
        self._close = weakref.finalize(self, os.close, self._file)
        facts = os.fstat(self._file)
        if not stat.S_ISREG(facts.st_mode):
            self.close()
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
            raise TargetError(f"{self.path} is {kind}: name a checkpoint file.")
        self.size = facts.st_size

    @property
    def descriptor(self) -> int:
        """The open file, for reading into memory of one's own."""
        return self._file

    def close(self) -> None:
        """Close the file; tensors that are still in use stay mapped."""
        self._close()

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` of the file on; raises TargetError if they are gone."""
        pieces: list[bytes] = []
        while size:
            try:
                piece = os.pread(self._file, size, offset)
            except OSError as error:
                raise TargetError(f"Cannot read {self.path}: {error.strerror}.") from None
            if not piece:
                raise DamagedFileError(
                    f"{self.path} was cut off while it was open. Write the file again."
                )
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, count: int, start: int) -> Iterator[bytes]:
        """``count`` samples of the file from ``start`` on, at equal distances."""
        last = max(start, self.size - SAMPLE)
        for offset in np.linspace(start, last, count).astype(np.int64).tolist():
            yield self.read(offset, min(SAMPLE, self.size - offset))

    @cached_property
    def _mapped(self) -> torch.Tensor:
        """The whole file as bytes."""
        mapping = mmap.mmap(self._file, self.size, access=mmap.ACCESS_READ)
        self._mapping = mapping
        # torch.frombuffer warns about memory that cannot be written, once and for the whole
        # process.  Handing over the address avoids that; the pages stay read-only all the same.
        view = np.frombuffer(mapping, np.uint8)
        memory = (ctypes.c_uint8 * self.size).from_address(view.ctypes.data)
        memory.view = view  # type: ignore[attr-defined]  # keeps the mapping
        return torch.frombuffer(memory, dtype=torch.uint8)

    def mapped(self, start: int, size: int, itemsize: int) -> torch.Tensor:
        """Bytes of the file as a tensor of uint8, mapped: nothing is read before it is used.

        It must not be written to.  Where ``start`` is no multiple of ``itemsize``, it is a copy.
        """
        if not size:
            return torch.empty(0, dtype=torch.uint8)
        flat = self._mapped[start : start + size]
        # torch reads only at multiples of the element's size.
        return flat.clone() if start % itemsize else flat

    def release(self) -> None:
        """Give back the memory of mapped pages; tensors stay valid and are read again if used."""
        mapping = self.__dict__.get("_mapping")
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)
