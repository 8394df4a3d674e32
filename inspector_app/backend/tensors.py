"""Facts of many tensors at once: shape, dtype, device, gradient and where their memory lies.

Plain tensors and parameters are read in batches through the fast getters; whatever refuses one of
them (lazy, sparse, nested, quantized, wrapped) is read alone, each fact guarded.  Everything goes
through the descriptors of torch's own base class, so a subclass's properties and
``__torch_function__`` never run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MemberDescriptorType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from inspector_app.backend.kinds import class_name
from inspector_app.protocol.table import Int32, Int64

_BATCH = 512
_PLAIN = frozenset((Tensor, nn.Parameter))
_BASE: Any = torch._C.TensorBase
_DTYPE, _DEVICE = _BASE.dtype.__get__, _BASE.device.__get__
_REQUIRES_GRAD = _BASE.requires_grad.__get__
_INSTANCE_DICT: Any = Tensor.__dict__["__dict__"].__get__
_COLUMNS: tuple[type, ...] = (
    *(np.int32, np.int16, np.int16, np.int64),
    *(np.bool_, np.bool_, np.bool_, np.bool_),
    *(np.int64, np.int64, np.int64),
)
_functorch: Any = torch._C._functorch
_WORK = 10_000  # solutions tried before two interleaved views are taken to overlap
_storage_address: Callable[[Tensor], int] = torch._C._storage_address  # type: ignore[attr-defined]


class Memory(NamedTuple):
    """Which bytes a tensor occupies: two tensors share memory where space and range meet.

    ``space`` is negative for real memory (one number per device), where ``start`` is an address;
    otherwise it is the identity of a storage without data, or of the object itself where it has
    no single storage, and ``start`` an offset in bytes.
    """

    space: int
    start: int
    bytes: int


@dataclass(frozen=True)
class TensorFacts:
    """Columns over n tensors; codes point into the lists below them, -1 where there is none."""

    shape_index: Int32
    dtype_index: NDArray[np.int16]
    device_index: NDArray[np.int16]
    count: Int64
    requires_grad: NDArray[np.bool_]
    lazy: NDArray[np.bool_]
    meta: NDArray[np.bool_]  # has no data, whatever device it speaks of
    unusual: NDArray[np.bool_]  # not laid out in strides
    space: Int64
    start: Int64
    bytes: Int64
    shapes: list[tuple[int, ...]]
    dtypes: list[torch.dtype]
    devices: list[torch.device]


def _guarded(read: Callable[[Any], Any], value: Any, otherwise: Any = None) -> Any:
    """What ``read`` returns of ``value``, or ``otherwise`` where the tensor refuses it."""
    try:
        return read(value)
    except (Exception, SystemExit):  # noqa: BLE001 - a subclass may raise anything at all
        return otherwise


def is_lazy(tensor: Tensor) -> bool:
    """Whether the tensor gets its shape from the first forward."""
    return issubclass(type(tensor), (UninitializedParameter, UninitializedBuffer))


def shape_of(tensor: Tensor) -> tuple[int, ...] | None:
    """Logical shape; None where it is unknown (lazy), ragged (nested) or symbolic."""
    shape = None if is_lazy(tensor) else _guarded(_BASE.shape.__get__, tensor)
    if shape is None or any(type(extent) is not int for extent in shape):
        return None
    return tuple(shape)


def _sparse_parts(tensor: Tensor) -> list[Tensor]:
    """Indices and values of a sparse tensor; nothing of any other."""
    rows, columns = (
        (_BASE.crow_indices, _BASE.col_indices),
        (_BASE.ccol_indices, _BASE.row_indices),
    )
    readers: dict[torch.layout, tuple[Any, ...]] = {
        torch.sparse_coo: (_BASE._indices, _BASE._values),
        torch.sparse_csr: (*rows, _BASE.values),
        torch.sparse_bsr: (*rows, _BASE.values),
        torch.sparse_csc: (*columns, _BASE.values),
        torch.sparse_bsc: (*columns, _BASE.values),
    }
    chosen = readers.get(_guarded(_BASE.layout.__get__, tensor), ())
    parts = [_guarded(reader, tensor) for reader in chosen]
    return [part for part in parts if part is not None]


def wrapped_tensors(tensor: Tensor) -> list[tuple[str, Tensor]]:
    """Names and tensors that a subclass without memory of its own holds, past its properties."""
    held = dict(_guarded(_INSTANCE_DICT, tensor, {}))
    for cls in type(tensor).__mro__:
        for name, member in tuple(cls.__dict__.items()):
            if isinstance(member, MemberDescriptorType):  # of __slots__
                held[name] = _guarded(member.__get__, tensor)
    return [
        (str(name), part)
        for name, part in held.items()
        if issubclass(type(part), Tensor) and part is not tensor and not is_lazy(part)
    ]


def _span(tensor: Tensor) -> int:
    """Bytes from the first to the last element of a strided tensor, capped by its storage."""
    shape = _BASE.size(tensor)
    if 0 in shape:
        return 0
    last: int = sum((n - 1) * step for n, step in zip(shape, _BASE.stride(tensor), strict=True))
    itemsize = int(_BASE.element_size(tensor))
    offset = int(_BASE.storage_offset(tensor)) * itemsize
    available = int(_BASE.untyped_storage(tensor).nbytes()) - offset
    return max(0, min((last + 1) * itemsize, available))


def _strided_memory(tensor: Tensor, number: Callable[[torch.device], int]) -> Memory | None:
    """Where a tensor's own storage lies; None where it is empty.  Raises where there is none."""
    size = _span(tensor)
    storage = _BASE.untyped_storage(tensor)
    offset = _BASE.storage_offset(tensor) * _BASE.element_size(tensor)
    if storage.device.type == "meta":
        return Memory(storage._cdata, offset, size)
    address = storage.data_ptr()
    if not address or not size:
        return None
    return Memory(-1 - number(storage.device), address + offset, size)


def memory_of(tensor: Tensor, number: Callable[[torch.device], int], depth: int = 4) -> Memory:
    """Where any tensor's bytes lie; raises nothing.

    ``number`` numbers devices; ``depth`` bounds how far wrappers are followed.
    """
    alone = Memory(id(tensor), 0, 0)
    if is_lazy(tensor):
        return alone
    if not _guarded(_BASE.is_nested.__get__, tensor, False):
        found = _guarded(lambda t: _strided_memory(t, number), tensor)
        if found is not None:
            return Memory(*found)
    parts = _sparse_parts(tensor)
    if not parts and type(tensor) not in _PLAIN and depth:
        parts = [part for _, part in wrapped_tensors(tensor)]
    held = [memory_of(part, number, depth - 1) for part in parts]
    if len(held) == 1:
        return held[0]  # a wrapper around one tensor shares that tensor's memory
    if held:
        return alone._replace(bytes=sum(part.bytes for part in held))
    if _guarded(lambda t: _BASE.untyped_storage(t).nbytes(), tensor) == 0:
        return alone  # its memory was given back for the time being
    return alone._replace(bytes=_guarded(_BASE.nbytes.__get__, tensor, 0))


def _has_no_data(tensor: Tensor) -> bool:
    """Whether there are no values behind a tensor; fake tensors speak of other devices."""
    storage = _guarded(_BASE.untyped_storage, tensor)
    return storage is not None and storage.device.type == "meta"


def layout_of(tensor: Tensor) -> str:
    """How the elements lie in memory: "strided", "sparse_csr", "nested", "jagged", "mkldnn"."""
    layout = str(_guarded(_BASE.layout.__get__, tensor, torch.strided))
    if layout == "torch.strided" and _guarded(_BASE.is_nested.__get__, tensor, False):
        return "nested"
    return layout.removeprefix("torch.").lstrip("_")


def defines(cls: type, method: str) -> bool:
    """Whether a subclass of Tensor, or one between it and torch's own, defines a method."""
    plain = {*_PLAIN, _BASE, object}
    return any(method in base.__dict__ for base in cls.__mro__ if base not in plain)


def why_wrapped(tensor: Tensor) -> str:
    """What kind of tensor has no values of its own; "" where it has."""
    if _guarded(_functorch.is_functorch_wrapped_tensor, tensor, False):
        return "a wrapper of torch.func"
    cls = type(tensor)
    if cls not in _PLAIN and defines(cls, "__torch_dispatch__"):
        return f"a {class_name(cls)}, which wraps other tensors"
    return ""


def answers_itself(tensor: Tensor) -> str:
    """What kind of tensor answers for its attributes itself, so that none can be believed; ""."""
    cls = type(tensor)
    if cls in _PLAIN or not defines(cls, "__getattribute__"):
        return ""
    return f"a {class_name(cls)}, whose class answers for its attributes itself"


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is of torch's own class, laid out in strides, and holds its own values."""
    return (
        type(tensor) in _PLAIN
        and not _functorch.is_functorch_wrapped_tensor(tensor)
        and not tensor.is_nested
        and tensor.layout is torch.strided
        and not tensor.is_quantized
    )


def held_by(tensor: Tensor) -> Tensor:
    """What holds a tensor's values: the tensor itself, or the same memory without its subclass."""
    return tensor if why_wrapped(tensor) else without_subclass(tensor)


def without_subclass(tensor: Tensor) -> Tensor:
    """The same memory as a tensor of torch's own class, for one that :func:`why_wrapped` passes."""
    with torch._C.DisableTorchFunction():
        plain: Tensor = _BASE.detach(tensor)
    return plain


def _as_array(tensor: Tensor) -> NDArray[np.void]:
    """An array at the tensor's place, for numpy to reason about; its values are never read."""
    size = tensor.element_size()
    # What has no data lies at an offset in its storage; no array may lie at 0.
    address = 1 + tensor.storage_offset() * size if tensor.is_meta else tensor.data_ptr()
    if not address:
        raise RuntimeError("a tensor without memory of its own")
    interface = {
        "version": 3,
        "typestr": f"|V{size}",
        "shape": tuple(tensor.shape),
        "strides": tuple(step * size for step in tensor.stride()),
        "data": (address, True),
    }
    return np.asarray(SimpleNamespace(__array_interface__=interface))


def share_a_byte(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors whose ranges overlap have a byte of an element in common.

    True where that cannot be told.
    """
    shares: Any = np.shares_memory
    with torch._C.DisableTorchFunctionSubclass():
        try:
            if first.is_contiguous() and second.is_contiguous():
                return True
            return bool(shares(_as_array(first), _as_array(second), max_work=_WORK))
        except Exception:  # noqa: BLE001 - torch raises a different class for every kind of tensor
            return True


class _Numbers(dict[Any, int]):
    """Values numbered as they are met."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


class _Reader:
    """Reads tensors batch by batch into the columns of :class:`TensorFacts`."""

    def __init__(self) -> None:
        self.shapes, self.dtypes, self.devices = _Numbers(), _Numbers(), _Numbers()

    def read(self, batch: Sequence[Tensor]) -> tuple[NDArray[Any], ...]:
        """The columns of some tensors."""
        if _PLAIN.issuperset(map(type, batch)):
            try:
                columns = self._fast(batch)
            except (RuntimeError, NotImplementedError):
                columns = None  # sparse, nested: without shape or storage
            if columns is not None:
                return columns
        rows = zip(*map(self._slow, batch), strict=True)
        return tuple(np.asarray(values, kind) for values, kind in zip(rows, _COLUMNS, strict=True))

    def _fast(self, batch: Sequence[Tensor]) -> tuple[NDArray[Any], ...] | None:
        """The columns of dense tensors on one device; None where one is of another kind."""
        count = len(batch)

        def column(values: Iterable[Any], kind: type) -> NDArray[Any]:
            return np.fromiter(values, kind, count)

        shape = column(map(self.shapes.__getitem__, map(_BASE.size, batch)), np.int32)
        dtype = column(map(self.dtypes.__getitem__, map(_DTYPE, batch)), np.int16)
        device = column(map(self.devices.__getitem__, map(_DEVICE, batch)), np.int16)
        if (device != device[0]).any() or not all(map(_BASE.is_contiguous, batch)):
            return None
        if _DEVICE(batch[0]).type == "meta":
            space = column(map(_storage_address, batch), np.int64)
            if len(np.unique(space)) == count:
                start = np.zeros(count, np.int64)
            else:
                offsets = [t.storage_offset() * t.element_size() for t in batch]
                start = np.asarray(offsets, np.int64)
        else:
            space = np.full(count, -1 - int(device[0]), np.int64)
            start = column(map(_BASE.data_ptr, batch), np.int64)
            if not start.all():
                return None  # empty, or without its memory at the moment
        gradients = column(map(_REQUIRES_GRAD, batch), np.bool_)
        elements, itemsizes = self.elements(), self.itemsizes()
        if not elements[shape].all():
            return None
        number = elements[shape]
        no = np.zeros(count, np.bool_)
        meta = np.full(count, _DEVICE(batch[0]).type == "meta")
        kind = shape, dtype, device, number, gradients, no, meta, no
        return *kind, space, start, number * itemsizes[dtype]

    def _slow(self, tensor: Tensor) -> tuple[Any, ...]:
        """One row of the columns, of any tensor."""
        shape = shape_of(tensor)
        dtype = _guarded(_DTYPE, tensor)
        device = _guarded(_DEVICE, tensor)
        lazy = is_lazy(tensor)
        if shape is None:
            count = 0 if lazy else _guarded(_BASE.numel, tensor, 0)
        else:
            count = math.prod(shape)
        return (
            -1 if shape is None else self.shapes[shape],
            -1 if dtype is None else self.dtypes[dtype],
            -1 if device is None else self.devices[device],
            count if type(count) is int else 0,  # symbolic
            bool(_guarded(_REQUIRES_GRAD, tensor, False)),
            lazy,
            (device is not None and device.type == "meta") or _has_no_data(tensor),
            layout_of(tensor) != "strided",
            *memory_of(tensor, self.devices.__getitem__),
        )

    def elements(self) -> Int64:
        """Elements of a tensor by the number of its shape; 0 behind the last, for -1."""
        return np.asarray([*map(math.prod, self.shapes), 0], np.int64)

    def itemsizes(self) -> Int64:
        """Bytes of an element by the number of its dtype; 0 behind the last, for -1."""
        return np.asarray([*(dtype.itemsize for dtype in self.dtypes), 0], np.int64)


def tensor_facts(tensors: Sequence[Tensor]) -> TensorFacts:
    """The facts of all ``tensors``, in order."""
    reader = _Reader()
    with torch._C.DisableTorchFunctionSubclass():
        read = [
            reader.read(tensors[start : start + _BATCH]) for start in range(0, len(tensors), _BATCH)
        ]
    empty: tuple[NDArray[Any], ...] = tuple(np.empty(0, kind) for kind in _COLUMNS)
    columns = [np.concatenate(parts) for parts in zip(empty, *read, strict=True)]
    shape, dtype, device, count, gradients, lazy, meta, unusual, space, start_at, size = columns
    return TensorFacts(
        shape_index=shape,
        dtype_index=dtype,
        device_index=device,
        count=count,
        requires_grad=gradients,
        lazy=lazy,
        meta=meta,
        unusual=unusual,
        space=space,
        start=start_at,
        bytes=size,
        shapes=[tuple(shape) for shape in reader.shapes],
        dtypes=list(reader.dtypes),
        devices=list(reader.devices),
    )
