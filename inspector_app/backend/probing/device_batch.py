"""What probes have seen on accelerators, without the training thread ever waiting for one.

A hook enqueues arithmetic only: extremes, the numbers of NaN and infinities and a sample are
written into bytes on the device, on the stream that runs the model.  A flush makes a *message* of
them: one asynchronous copy for each device that took part, into pinned memory.  Records are made at
a later flush, once the copy is there; until then all records behind it wait in a queue, those of
tensors on the CPU as well, so that the ring has the order of firing.  Alarms of such a step are
therefore judged some steps later, and a loop that stands for one stands later.

There are ``ROOMS`` messages on their way at most, on each device.  Where none is free, the rest of
the step is left out, on the CPU too (else a later module could be called the first with a NaN), and
what is left out is counted.

These are still read with a wait: series all of whose elements are counted, captures and updates of
parameters, which a person asked for; subclasses of tensors; devices without streams.  By the scale
of a GradScaler gradients are divided there.  The first tensor of a size uploads its places
asynchronously, and the first one on a device allocates.

Proven by construction and by tests with a device made of CPU tensors: the operations need no value
on the host, one copy is made a message, results are those of the CPU, order, thinning and closing.
Not proven for want of hardware: that CUDA's kernels, streams and events behave as documented, and
what the passes over a tensor (about ten times the memory traffic of one sum) cost there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from inspector_app.backend.histograms import as_real, in_memory_order, why_unreadable
from inspector_app.backend.probing.accelerators import (
    Device,
    accelerator_of,
    is_captured,
    is_plain_there,
)
from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.device_facts import write_facts
from inspector_app.backend.probing.device_rooms import Place, Room
from inspector_app.backend.probing.records import ROW, Rows

ROWS = 256  # of one message
_QUEUE = 64  # flushes whose records wait
_SHORT = (torch.float32, torch.bfloat16, torch.float16)  # which float32 holds
_FACTS = 48  # bytes: three whole numbers, and three others of 8 or 4 bytes
_GRAPH = "it is recorded into a CUDA graph, whose replays run no hooks"
Where = tuple[int, int, int, int, int]  # step, micro, key, call, phase
_NONE: Rows = np.empty(0, ROW)


@dataclass(slots=True)
class _Row:
    """One tensor of a message."""

    room: Room
    offset: int
    where: Where
    count: int
    sampled: int
    wide: bool  # float64 is needed for its sample
    units: int  # whose dead ones come along; 0 for none
    before: int  # records of the CPU that come before it in its flush
    exponent: int = 0


@dataclass(slots=True)
class _Flush:
    """Records that wait for a message, and for those in front of them."""

    ready: Rows
    rows: list[_Row]
    rooms: list[Room] = field(default_factory=list)


class DeviceBatch:
    """Tensors of a :class:`Batch` that are on accelerators, under the same lock.

    ``open_device`` gives the accelerator that a tensor is on, None for those that are read with a
    wait; ``plain`` tells whether a tensor's own class computes nothing.
    """

    def __init__(
        self,
        batch: Batch,
        open_device: Callable[[torch.Tensor], Device | None] = accelerator_of,
        plain: Callable[[torch.Tensor], bool] = is_plain_there,
    ) -> None:
        self._batch = batch
        self._open_device = open_device
        self._plain = plain
        self._places: dict[torch.device, Place | None] = {}
        self._rows: list[_Row] = []
        self._queue: deque[_Flush] = deque()
        self._largest = _FACTS + 8 * batch.sample
        self._gap = -1  # a step that is left out from some tensor on
        self._gaps: list[tuple[int, int]] = []  # since how many records of the CPU, and which step
        self.left_out = 0  # tensors
        self._lost = ""  # what the device said when a message was lost
        batch.elsewhere = self.take

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def nearly_full(self) -> bool:
        """Whether it is worth a flush for the number alone."""
        return len(self._rows) > ROWS // 4

    @property
    def full(self) -> bool:
        """Whether it must be flushed before the next tensor."""
        if not self._rows:
            return False
        opened = (place.open for place in self._places.values() if place is not None)
        return len(self._rows) == ROWS or any(
            room is not None and not room.has(self._largest) for room in opened
        )

    @property
    def sentence(self) -> str:
        """What is left out, in words; "" for nothing."""
        if not self.left_out:
            return ""
        why = self._lost or "earlier ones were still on their way from the device"
        return f"{self.left_out:,} tensors are left out: {why}."

    # -- as the model runs -----------------------------------------------------------------------

    def take(self, tensor: torch.Tensor, where: Where, total: int | None, exponent: int) -> bool:
        """Enqueue what measures a tensor; False where it must be read with a wait.

        Raises ValueError with the reason where its values never come to be.
        """
        count, key = tensor.numel(), where[2]
        if not count or key in self._batch.exact or why_unreadable(tensor):
            return False
        place = self._place(tensor)
        short = tensor.is_floating_point() and tensor.dtype is not torch.float64
        if place is None or not (short or place.device.doubles):
            return False
        if is_captured(tensor):
            raise ValueError(_GRAPH)
        if where[0] <= self._gap:
            self.left_out += 1
            return True
        room = place.room()
        if room is None:
            self.left_out += 1
            self._begin_gap(len(self._batch), where[0])
            return True
        with torch._C.DisableTorchFunction(), torch.no_grad():
            row = self._enqueue(tensor, place, room, where)
        row.exponent = exponent
        if total is not None:
            row.count = total
        self._rows.append(row)
        return True

    def _place(self, tensor: torch.Tensor) -> Place | None:
        """The device that a tensor is on; None where it is read with a wait."""
        if not self._plain(tensor):
            return None
        where = tensor.device
        if where not in self._places:
            self._places[where] = self._opened(tensor)
        return self._places[where]

    def _opened(self, tensor: torch.Tensor) -> Place | None:
        device = self._open_device(tensor)
        if device is None:
            return None
        try:
            return Place(device, ROWS * (_FACTS + 4 * self._batch.sample))
        except RuntimeError:  # no memory to be had, or none that can be pinned
            return None

    def _enqueue(self, tensor: torch.Tensor, place: Place, room: Room, where: Where) -> _Row:
        device, units = place.device, self._batch.units
        stream = device.stream()
        room.streams[stream.stream_id] = stream
        call = where[2:5]
        dead = units.look_there(call, tensor) if call in units.zeros else None
        values = as_real(in_memory_order(tensor.detach()))
        count, size = values.numel(), self._batch.sample
        offset, there = room.used, room.there
        kinds = there[offset : offset + 24].view(torch.int64)
        real = torch.float64 if device.doubles else torch.float32
        others = there[offset + 24 : offset + 24 + 3 * real.itemsize].view(real)
        write_facts(values, kinds, others[:2])
        if dead is not None:
            others[2].copy_(dead[0])
        if count > size:
            places = place.places(count, size, stream)
            values = values.index_select(0, places) if values.dim() == 1 else values.take(places)
        begin, sampled = offset + _FACTS, values.numel()
        wide = values.dtype not in _SHORT
        end = begin + sampled * (8 if wide else 4)
        sample = there[begin:end].view(torch.float64 if wide else torch.float32)
        sample.copy_(values.reshape(-1))
        room.used = (end + 7) // 8 * 8
        return _Row(
            room=room,
            offset=offset,
            where=where,
            count=count,
            sampled=sampled,
            wide=wide,
            units=0 if dead is None else dead[1],
            before=len(self._batch),
        )

    def _begin_gap(self, before: int, step: int) -> None:
        if step:  # outside of steps only the tensor itself is left out
            self._gap = max(self._gap, step)
            self._gaps.append((before, step))

    # -- messages --------------------------------------------------------------------------------

    def flush(self, *, wait: bool = False) -> Rows:
        """Send what was seen; returns records of all that is here, in the order of firing.

        ``wait`` for all: then nothing is on its way any more.  The batch is empty afterwards.
        """
        ready = self._batch.flush() if len(self._batch) else _NONE
        rows, self._rows = self._rows, []
        if self._gaps:
            ready = self._without_gaps(ready, rows)
        if not rows and not self._queue:
            return ready
        if rows or len(ready):
            self._send(ready, rows)
        parts = [_NONE]
        while self._queue and self._is_here(self._queue[0], wait=wait):
            parts.append(self._made(self._queue.popleft()))
        return np.concatenate(parts)

    def _without_gaps(self, ready: Rows, rows: list[_Row]) -> Rows:
        """Leave out what the CPU has of steps of which something else had to be left out."""
        kept = np.ones(len(ready), np.bool_)
        for before, step in self._gaps:
            kept[before:] &= ready["step"][before:] > step
        self._gaps = [(0, self._gap)]
        self.left_out += int(len(ready) - kept.sum())
        numbers = np.concatenate([[0], np.cumsum(kept)])
        for row in rows:
            row.before = int(numbers[row.before])
        return ready[kept]

    def _send(self, ready: Rows, rows: list[_Row]) -> None:
        if len(self._queue) >= _QUEUE:  # whose first message does not come at all
            self.left_out += len(ready)
            self._begin_gap(0, int(ready["step"].max(initial=self._gap)))
            ready = ready[:0]
            for row in rows:
                row.before = 0
            if not rows:
                return
        flush = _Flush(ready, rows)
        self._queue.append(flush)
        for place in self._places.values():
            if place is not None and place.open is not None and place.open.used:
                room, place.open = place.open, None
                flush.rooms.append(room)
                try:
                    room.send()
                except RuntimeError as error:
                    self._lose(flush, error)

    def _is_here(self, flush: _Flush, *, wait: bool) -> bool:
        try:
            return all(room.is_here(wait=wait) for room in flush.rooms)
        except RuntimeError as error:
            self._lose(flush, error)
            return True

    def _lose(self, flush: _Flush, error: RuntimeError) -> None:
        """The device has failed, and with it the person's training: go on without it."""
        self.left_out += len(flush.rows)
        self._lost = str(error).split("\n", 1)[0][:200]
        flush.rows, flush.rooms = [], []

    def _made(self, flush: _Flush) -> Rows:
        """Records of a flush whose messages are here, in the order of firing."""
        batch, parts = self._batch, [_NONE]
        for row in flush.rows:
            if batch.full:
                parts.append(batch.flush())
            self._put(row)
        if len(batch):
            parts.append(batch.flush())
        for room in flush.rooms:
            room.give_back()
        return np.insert(flush.ready, [row.before for row in flush.rows], np.concatenate(parts))

    def _put(self, row: _Row) -> None:
        """Give the batch what has arrived of a tensor."""
        room, offset = row.room, row.offset
        kinds = room.read(offset, np.int64, 3).tolist()
        real = np.float64 if room.place.device.doubles else np.float32
        low, high, dead = room.read(offset + 24, real, 3).tolist()
        if low > high:  # nothing is finite
            low = high = math.nan
        self._batch.put(
            (*row.where, row.count, row.sampled, *kinds, low, high),
            room.read(offset + _FACTS, np.float64 if row.wide else np.float32, row.sampled),
            row.exponent,
            dead / row.units if row.units else None,
        )
