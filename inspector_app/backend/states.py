"""Sets of named tensors as bytes: what an export writes and a verification compares.

:class:`StateSource` is all that those two ask for.  An open checkpoint is one (it streams from its
file), and :class:`StateDict` makes one of a model's ``state_dict()``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
import torch
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from inspector_app.backend.formats.values import Bytes

BLOCK = 1 << 20  # bytes of a tensor that are copied at once, where they must be copied
NO_VALUES = ("lazy", "on the meta device")  # reasons that begin so: nothing can be written at all
_wraps_others: Callable[[object], bool] = is_traceable_wrapper_subclass


class Spec(msgspec.Struct, frozen=True, gc=False):
    """What a file would say of one value.

    ``reason`` tells why it has no bytes to write; "" where it has.  ``memory`` is equal for values
    that are one tensor, the same elements in the same order; None where that is not known.  Where
    it is not ``sure``, somebody noted it, and the values may differ all the same.  ``reach`` are
    device and first and last address of a tensor in memory.
    """

    dtype: str = ""  # "float32"
    shape: tuple[int, ...] = ()
    nbytes: int = 0
    memory: Hashable = None
    reason: str = ""
    is_tensor: bool = True
    sure: bool = True
    reach: tuple[str, int, int] | None = None


class StateSource(Protocol):
    """Named values whose bytes can be had piece by piece."""

    def names(self) -> list[str]:
        """All keys, in order."""

    def spec(self, name: str) -> Spec:
        """What a file would say of one value."""

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one value whose spec has no reason against it, in order."""

    def value(self, name: str) -> Any:
        """One value itself; raises RefusedError where only a description of it is known."""


def _without_data(tensor: torch.Tensor) -> str:
    """Why a dense tensor has no bytes to write; "" where it has."""
    if tensor.is_meta:
        return "on the meta device: has no data"
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "a wrapper of torch.func"
    if _wraps_others(tensor):
        return f"a {type(tensor).__name__}, which wraps other tensors"
    try:
        if tensor.untyped_storage().device.type == "meta":
            return f"a {type(tensor).__name__}, which has no data"
    except (RuntimeError, NotImplementedError):
        return f"a {type(tensor).__name__}, which has no memory of its own"
    return ""


def _reach(tensor: torch.Tensor) -> tuple[str, int, int]:
    """Device and range of bytes that a dense tensor with elements reaches over."""
    start = tensor.data_ptr()
    if tensor.is_contiguous():
        return str(tensor.device), start, start + tensor.numel() * tensor.element_size()
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return str(tensor.device), start, start + (last + 1) * tensor.element_size()


def describe_value(value: Any) -> Spec:
    """The spec of one value of a state dict; runs no code of a tensor subclass."""
    if not isinstance(value, torch.Tensor):
        return Spec(reason=f"not a tensor but {type(value).__name__}", is_tensor=False)
    with torch._C.DisableTorchFunctionSubclass():
        dtype = str(value.dtype).removeprefix("torch.")
        if is_lazy(value):
            return Spec(dtype, reason="lazy: has no shape before the first forward")
        if value.is_nested:
            return Spec(dtype, reason="a nested tensor")
        shape = tuple(value.shape)
        if value.is_quantized:
            reason = "quantized"
        elif value.layout != torch.strided:
            reason = f"sparse ({str(value.layout).removeprefix('torch.')})"
        else:
            reason = _without_data(value)
        if reason:
            return Spec(dtype, shape, reason=reason)
        nbytes = value.numel() * value.element_size()
        if not nbytes:
            return Spec(dtype, shape)
        reach = _reach(value)
        order = value.stride(), value.is_conj(), value.is_neg()
        return Spec(dtype, shape, nbytes, (reach, dtype, shape, order), reach=reach)


def _spelled_out(tensor: torch.Tensor) -> Bytes:
    """A contiguous piece as bytes, without a copy where memory already holds just these bytes."""
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    tensor = tensor.contiguous().cpu()
    # A single element may have any stride and still count as contiguous.
    flat = tensor.as_strided((tensor.numel(),), (1,))
    array: Bytes = flat.view(torch.uint8).numpy()
    return array


def _lies_as_written(piece: torch.Tensor) -> bool:
    """Whether a piece can be had as bytes without a copy."""
    plain = not (piece.is_conj() or piece.is_neg())
    return plain and piece.is_contiguous() and piece.device.type == "cpu"


def _next_block(pending: list[torch.Tensor]) -> Bytes | None:
    """The bytes of the last piece; None where it is empty or was taken apart instead."""
    piece = pending.pop()
    if not piece.numel():
        return None
    if piece.is_contiguous():
        piece = piece.reshape(-1)
    nbytes = piece.numel() * piece.element_size()
    if nbytes <= BLOCK or piece.numel() == 1 or _lies_as_written(piece):
        return _spelled_out(piece)
    rows = piece.shape[0]
    fit = max(1, BLOCK * rows // nbytes)
    # A row that is too long itself is taken apart along its own first dimension.
    pieces = [piece[row : row + fit] for row in range(0, rows, fit)] if fit > 1 else piece.unbind(0)
    pending.extend(reversed(pieces))  # last in, first out
    return None


def tensor_blocks(tensor: torch.Tensor) -> Iterator[Bytes]:
    """The bytes of a dense tensor in row-major order.

    They come as one piece where the memory holds them so, else as copies of at most ``BLOCK``: no
    second copy of a large tensor is ever made, however it lies in memory.
    """
    # No mode of torch's is on across a yield: whoever stops in the middle would be left with it.
    with torch._C.DisableTorchFunctionSubclass():
        pending = [tensor.detach()]  # of which nothing that follows makes a graph
    while pending:
        with torch._C.DisableTorchFunctionSubclass():
            block = _next_block(pending)
        if block is not None:
            yield block


class StateDict:
    """A model's ``state_dict()`` as a :class:`StateSource`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)  # keeps every value, so that no memory is used twice
        self.versions: Any = getattr(values, "_metadata", None)  # of the modules, for their loading

    def names(self) -> list[str]:
        """Keys as ``state_dict()`` gives them."""
        return list(self.values)

    def spec(self, name: str) -> Spec:
        """What a file would say of one value."""
        return describe_value(self.values[name])

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, in order."""
        return tensor_blocks(self.values[name])

    def value(self, name: str) -> Any:
        """One value as ``state_dict()`` gave it."""
        return self.values[name]
