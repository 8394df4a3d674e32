"""What files of tensors have in common: the protocol that a checkpoint is built on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import torch


class PlainValue(msgspec.Struct, frozen=True, gc=False):
    """A value of a checkpoint that is no tensor."""

    name: str
    class_name: str  # "int", "torch.optim.adam.Adam"
    text: str  # as it is shown
    value: bool | int | float | None = None  # where it is a number
    foreign: bool = False  # its class is not known here, so nothing of it was made


class Entry(Protocol):
    """One tensor of a file."""

    @property
    def dtype(self) -> str:
        """Word of the data type."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Sizes; None where it has no one shape."""

    @property
    def count(self) -> int:
        """Elements."""

    @property
    def stored(self) -> int:
        """Bytes from its first to its last element, as they are stored."""

    @property
    def space(self) -> int:
        """Equal for tensors that may share bytes, and ``start`` counts within it."""

    @property
    def device(self) -> str:
        """Device: cpu, meta."""

    @property
    def class_name(self) -> str:
        """Class: Tensor, Parameter."""

    @property
    def reason(self) -> str:
        """Why its values cannot be read; "" where they can."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    @property
    def start(self) -> int:
        """Bytes before it, in the file or in its record."""


class TensorFile(Protocol):
    """An open file of named tensors."""

    path: str
    size: int

    @property
    def entries(self) -> Mapping[str, Any]:
        """Tensors by name."""

    @property
    def metadata(self) -> dict[str, str]:
        """Strings that the file carries."""

    @property
    def data_start(self) -> int:
        """Where the values begin, roughly; for samples of them."""

    def head(self) -> bytes:
        """All that describes the values."""

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file."""

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped read-only."""

    def blocks(self, name: str) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
        """The bytes of one tensor, in row-major order."""

    def release(self) -> None:
        """Give back the memory of mapped pages."""

    def close(self) -> None:
        """Close the file."""
