"""Tensors on the CPU that say they are on an accelerator, and a stream that copies when told to.

Every operation on them is recorded, and so is each that would make a thread wait for a device.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from inspector_app.backend.probing.accelerators import Stream
from inspector_app.backend.probing.device_batch import DeviceBatch
from inspector_app.backend.probing.probe_set import ProbeSet

#: Names of operations that bring a value to the host, or whose result's shape depends on values.
WAITING = {
    "_local_scalar_dense",
    "item",
    "nonzero",
    "is_nonzero",
    "equal",
    "masked_select",
    "unique",
    "_unique2",
    "bincount",
    "allclose",
    "repeat_interleave",
}
operations: list[str] = []  # on tensors of fake devices, oldest first
waits: list[str] = []  # those of them that made the host wait


class There(torch.Tensor):
    """A tensor that is elsewhere; autograd takes it for one on the CPU."""

    inner: torch.Tensor
    is_cpu = False
    device = torch.device("xpu", 0)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> There:
        assert not isinstance(inner, There)
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="cpu",
        )
        made.inner = inner
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"There({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        operations.append(name)
        masks = [t for t in tree_leaves(args[1:]) if isinstance(t, There) and t.dtype is torch.bool]
        if name in WAITING or (name in ("index", "index_put_") and masks):
            waits.append(name)
        for other in tree_leaves((args, kwargs)):
            # As on a true device: only numbers may come from the host.
            if isinstance(other, torch.Tensor) and not isinstance(other, There):
                assert not other.dim(), f"{name} mixes devices"
        result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if name.endswith("_") and isinstance(args[0], There):
            return args[0]
        return tree_map(_wrapped, result)

    def cpu(self) -> torch.Tensor:
        waits.append("cpu")
        return self.inner.clone()

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        if any(a == "cpu" or a == torch.device("cpu") for a in (*args, *kwargs.values())):
            return self.cpu()
        return super().to(*args, **kwargs)


def _inner(value: object) -> object:
    return value.inner if isinstance(value, There) else value


def _wrapped(value: object) -> object:
    if not isinstance(value, torch.Tensor):
        return value
    with torch.inference_mode(False):  # views of ordinary tensors are ordinary there as well
        return There(value)


class Other(There):
    """A tensor on a second device."""

    device = torch.device("xpu", 1)


def is_there(tensor: torch.Tensor) -> bool:
    """What stands for ordinary tensors of an accelerator."""
    return isinstance(tensor, There)


@dataclass(frozen=True)
class FakeStream:
    stream_id: int


class FakeArrival:
    """A copy that has been enqueued."""

    def __init__(self, host: torch.Tensor, there: torch.Tensor, streams: list[Stream]) -> None:
        self.host, self.there, self.streams = host, there, streams
        self.done = False
        self.broken = False

    def land(self) -> None:
        """The device gets to it, and copies what is in its memory by then."""
        assert isinstance(self.there, There)
        self.host.copy_(self.there.inner)
        self.done = True

    def query(self) -> bool:
        if self.broken:
            raise RuntimeError("device-side assert\nmore")
        return self.done

    def synchronize(self) -> None:
        waits.append("synchronize")
        if self.query():
            return
        self.land()


@dataclass
class FakeDevice:
    """Copies when :meth:`land` is called; at once where ``prompt``."""

    doubles: bool = True
    prompt: bool = False
    host: str = "cpu"  # "meta" for a device that has no values at all
    current: FakeStream = FakeStream(7)
    copies: list[FakeArrival] = field(default_factory=list)
    uploads: int = 0

    def stream(self) -> FakeStream:
        return self.current

    def room(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        there = torch.full((size,), 0xFF, dtype=torch.uint8, device=self.host)
        return There(there), torch.full((size,), 0xFF, dtype=torch.uint8, device="cpu")

    def upload(self, numbers: torch.Tensor) -> torch.Tensor:
        self.uploads += 1
        return There(numbers.to(self.host))

    def fetch(
        self, host: torch.Tensor, there: torch.Tensor, streams: Iterable[Stream]
    ) -> FakeArrival:
        arrival = FakeArrival(host, there, list(streams))
        self.copies.append(arrival)
        if self.prompt:
            arrival.land()
        return arrival

    def land(self) -> None:
        """Carry out all copies that were enqueued."""
        for arrival in self.copies:
            if not arrival.done:
                arrival.land()


def with_devices(probes: ProbeSet, *devices: FakeDevice) -> None:
    """Let a set of probes take tensors of class There, and of Other, for those of devices."""

    def opened(tensor: torch.Tensor) -> FakeDevice:
        return devices[tensor.device.index]

    probes.device_batch = DeviceBatch(probes.batch, opened, is_there)
