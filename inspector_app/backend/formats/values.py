"""What files of tensors have in common: all that a checkpoint is built on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import torch

from inspector_app.protocol.messages import Import

Check = Callable[[], None]  # called now and then; raises where the work is to end
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

BLOCK = 1 << 22  # bytes read at a time
SAMPLE = 4096  # bytes of each sample of a file's values


def unchecked() -> None:
    """A :data:`Check` that never ends anything."""


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
        """Class: Tensor, Parameter, Buffer."""

    @property
    def reason(self) -> str:
        """Why its values cannot be read; "" where they can."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    @property
    def start(self) -> int:
        """Bytes before it, in the file or in its record."""


class TensorFile(ABC):
    """An open file of named tensors, or several that belong together.

    ``entries`` are its tensors and ``values`` all else, by name.  ``state`` are the names that
    belong to the state dict, in its order; the others stand beside it.  ``nested`` are keys of it
    whose values, extra state, are shown by their own names ("key.name").  ``wrapper`` is the name
    under which the state dict was found, ``beside`` names what stands beside that, and ``others``
    lead to the state dicts among it; ``part`` is the one of them that this is, where a person chose
    one.  ``metadata`` are strings that the file carries.

    ``imports`` are names that torch would import to load the file whole, ``sources`` the source
    text of classes that came with it, by their names.  ``model`` is the class of the whole object
    where the file holds one rather than tensors.  ``notes`` are sentences for the person.

    ``requires_grad`` is that of each parameter where the file tells parameters from buffers, else
    None.  ``nbytes`` are those of all values of the state dict, each byte once.
    """

    path: str
    entries: Mapping[str, Entry]
    state: Sequence[str]
    nbytes: int
    nested: Sequence[str] = ()
    values: Mapping[str, PlainValue] = {}
    metadata: Mapping[str, str] = {}
    wrapper: str = ""
    beside: Sequence[str] = ()
    others: Sequence[str] = ()
    part: str = ""
    imports: Sequence[Import] = ()
    sources: Mapping[str, str] = {}
    model: str = ""
    notes: Sequence[str] = ()
    requires_grad: Mapping[str, bool] | None = None

    def memory(self, name: str) -> Hashable:
        """Equal for tensors that are the same memory; None where the file does not tell."""
        return None

    def in_order(self, name: str) -> bool:
        """Whether the bytes of a tensor lie in the file as a contiguous tensor holds them."""
        return True

    @abstractmethod
    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped from the file: nothing is read before it is used.

        It must not be written to: its memory is read-only.  Raises KeyError for an unknown name,
        RefusedError where its values cannot be read (quantized, sparse, on meta).
        """

    @abstractmethod
    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor that lies in order, as arrays of a few megabytes at most.

        Reads without mapping: the memory in use stays at one block.
        """

    @abstractmethod
    def samples(self, count: int) -> Iterator[bytes]:
        """All that describes the values, and ``count`` samples of them; equal for equal files."""

    @abstractmethod
    def release(self) -> None:
        """Give back the memory of mapped pages; tensors stay valid and are read again if used."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; tensors that are still in use stay mapped."""
