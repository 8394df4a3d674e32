"""The records of a file by torch.save, and its tensors as they lie in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import msgspec
import torch

from inspector_app.backend.formats.pickle_values import Global

ELEMENTS_LIMIT = 2**63  # what torch can count

STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "uint8",
}
DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
ITEM_SIZES = {name: dtype.itemsize for name, dtype in DTYPES.items()}
WORDS = {name: str(dtype).removeprefix("torch.") for name, dtype in DTYPES.items()}


Role = Literal["", "parameter", "buffer", "attribute"]


class Storage(msgspec.Struct, frozen=True, gc=False):
    """A record of values as one tensor refers to it.

    ``key`` names its member, ``number`` is equal for equal records, ``nbytes`` is what it holds,
    from the byte ``shift`` of the record on.
    """

    key: str
    number: int
    dtype: str
    nbytes: int
    device: str
    shift: int = 0


class StoredTensor(msgspec.Struct, frozen=True, gc=False):
    """One tensor of a file by torch.save.

    ``reason`` tells why its values cannot be read as a plain tensor; "" where they can.  Then
    ``storage`` holds them, the first one ``offset`` elements behind its beginning.
    """

    dtype: str
    shape: tuple[int, ...] | None  # None where it has no one shape
    strides: tuple[int, ...] = ()
    storage: Storage | None = None
    offset: int = 0
    stored: int = 0  # bytes from its first to its last element
    requires_grad: bool = False
    parameter: bool = False
    conjugate: bool = False
    negative: bool = False
    reason: str = ""
    device: str = "cpu"  # where it was when it was saved
    class_name: str = "Tensor"
    role: Role = ""  # what a module that was pickled whole holds it as
    saved: bool = True  # False for what such a module's state_dict() leaves out
    count: int = 0  # elements
    space: int = 0  # number of its record; 0 where it has none
    start: int = 0  # bytes of its record before its first element

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, one after the other."""
        return self.count * ITEM_SIZES.get(self.dtype, 1)

    @property
    def torch_dtype(self) -> torch.dtype | None:
        """The type in the installed torch."""
        return DTYPES.get(self.dtype)


def described(identity: tuple[Any, ...]) -> tuple[str, int, str]:
    """Data type, bytes and device of a storage, by its id; raises ValueError."""
    _, kind, _, device, count = identity[:5]
    dtype = ""
    if type(kind) is Global and kind.module in ("torch", "torch.storage", "torch.cuda"):
        dtype = STORAGES.get(kind.name, "")
    if not dtype:
        raise ValueError("it refers to a storage of an unknown class")
    if type(device) is not str or len(device) > 50:
        raise ValueError("it refers to a storage on no device")
    if type(count) is not int or not 0 <= count < ELEMENTS_LIMIT:
        raise ValueError("it refers to a storage without a size")
    return dtype, count * ITEM_SIZES[dtype], device


class Storages(ABC):
    """The records of one file, by the ids that its pickle knows them by."""

    @abstractmethod
    def number(self, key: str, dtype: str, size: int) -> int:
        """Number of the record with a key that is to hold ``size`` bytes, from 1 on.

        Raises ValueError where there is no such record, or it holds less.
        """

    def persistent(self, identity: Any) -> Any:
        """The storage that an id means; raises ValueError."""
        if type(identity) is not tuple or len(identity) < 5 or identity[0] != "storage":
            raise ValueError("it refers to something outside itself that is no storage")
        key = identity[2]
        if type(key) is not str:
            raise ValueError("it refers to a storage without a name")
        dtype, size, device = described(identity)
        if device == "meta":
            return Storage(key, -1, dtype, size, device)
        return Storage(key, self.number(key, dtype, size), dtype, size, device)
