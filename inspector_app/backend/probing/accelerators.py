"""The few operations on an accelerator that probes need beside arithmetic.

They are in one small class so that another can stand in for it.  All but the first allocations are
enqueued and return at once.  What is ours runs on a stream of our own, which waits for the model's
streams and is never waited for by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

_PLAIN = (torch.Tensor, torch.nn.Parameter)
# Copies of Apple's devices that did not wait have brought wrong values (PyTorch issue 139550).
_UNTRUSTED = ("mps",)


class Stream(Protocol):
    """A queue of a device."""

    @property
    def stream_id(self) -> int:
        """Tells it from the others of its device."""


class Arrival(Protocol):
    """Tells when a copy is done."""

    def query(self) -> bool:
        """Whether it is; returns at once."""

    def synchronize(self) -> None:
        """Wait until it is."""


class Device(Protocol):
    """What is asked of an accelerator."""

    @property
    def doubles(self) -> bool:
        """Whether it knows float64."""

    def stream(self) -> Stream:
        """The stream on which this thread runs the model."""

    def room(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Bytes on the device, and as many on the host to which it copies by itself."""

    def upload(self, numbers: torch.Tensor) -> torch.Tensor:
        """These on the device, for the current stream."""

    def fetch(self, host: torch.Tensor, there: torch.Tensor, streams: Iterable[Stream]) -> Arrival:
        """Enqueue one copy to the host, after all that these streams hold by now."""


class Accelerator:
    """A :class:`Device` of ``torch.accelerator``; raises RuntimeError where it has no streams."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._own = torch.Stream(device=device)
        self.doubles = _knows_doubles(device)

    def stream(self) -> torch.Stream:
        """The stream on which this thread runs the model."""
        return torch.accelerator.current_stream(self._device)

    def room(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Bytes on the device, and as many of pinned memory.

        Taken from our stream's pool: no other stream can still be at work on them.
        """
        with self._aside():
            there = torch.empty(size, dtype=torch.uint8, device=self._device)
            host = torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=True)
        return there, host

    def upload(self, numbers: torch.Tensor) -> torch.Tensor:
        """These on the device, by way of pinned memory, which torch holds as long as needed."""
        return numbers.pin_memory().to(self._device, non_blocking=True)

    def fetch(
        self, host: torch.Tensor, there: torch.Tensor, streams: Iterable[Stream]
    ) -> torch.Event:
        """Enqueue one copy to the host, after all that these streams hold by now."""
        for stream in streams:
            before = torch.Event(device=self._device)
            before.record(stream)  # type: ignore[arg-type]
            self._own.wait_event(before)
        with self._aside():
            host.copy_(there, non_blocking=True)
        done = torch.Event(device=self._device)
        done.record(self._own)
        return done

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """On our stream; the thread's own stream and device are current again afterwards."""
        index = torch.accelerator.current_device_index()
        stream = self.stream()
        torch.accelerator.set_stream(self._own)
        try:
            yield
        finally:
            torch.accelerator.set_stream(stream)
            torch.accelerator.set_device_index(index)


def accelerator_of(tensor: torch.Tensor) -> Device | None:
    """The accelerator that a tensor is on.

    None for devices on which torch cannot be trusted to copy while the host goes on.
    """
    if tensor.device.type in _UNTRUSTED:
        return None
    try:
        found = torch.accelerator.current_accelerator()
        return Accelerator(tensor.device) if found and found.type == tensor.device.type else None
    except RuntimeError:
        return None


def is_plain_there(tensor: torch.Tensor) -> bool:
    """Whether a tensor is an ordinary one, not of a subclass that runs code of its own."""
    return type(tensor) in _PLAIN


def is_captured(tensor: torch.Tensor) -> bool:
    """Whether what runs now is recorded into a CUDA graph, and not carried out."""
    return tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _knows_doubles(device: torch.device) -> bool:
    """Whether float64 can be had there; some of Intel's devices have none."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device).neg_()
    except RuntimeError:
        return False
    return True
