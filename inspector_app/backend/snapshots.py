"""Old values of tensors, kept bit by bit so that an edit can be undone.

They stay in memory up to one budget, then go to temporary files up to a second one.  The oldest
make room for the newest; an edit whose snapshot is gone can no longer be undone.

The files have no name (``tempfile.TemporaryFile``), so nothing stays on the disk even where the
process is killed.  They hold raw bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from io import FileIO

import torch
from torch import Tensor

MEMORY_BUDGET = 256 * 10**6  # bytes
DISK_BUDGET = 4 * 10**9  # bytes
DISK_RESERVE = 256 * 10**6  # bytes of free disk space that are never taken
PIECE = 1 << 24  # bytes of a tensor that pass through memory together on their way to the disk

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(tensor: Tensor) -> Tensor:
    """The same memory as integers, without a gradient: copies of it keep every bit.

    For strided tensors of any dtype; a complex one gets a last dimension of 2.  Writing to the
    result writes to the tensor and counts as a change of it (``_version``).
    """
    with torch._C.DisableTorchFunctionSubclass():
        plain = tensor.detach()
        # Lazily conjugated or negated views: look at the memory below.
        if plain.is_conj():
            plain = plain.conj()
        if plain.is_neg():
            plain = torch._neg_view(plain)
        if plain.is_complex():
            plain = torch.view_as_real(plain)
        return plain.view(_INTEGERS[plain.element_size()])


def stored_size(tensor: Tensor) -> int:
    """Bytes that a snapshot of ``tensor`` takes."""
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.numel() * tensor.element_size()


def _as_bytes(contiguous: Tensor) -> memoryview:
    """The memory of a contiguous tensor, to read from and write to."""
    return memoryview(contiguous.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


class Snapshot:
    """The values of some tensors, in the order in which they were put.

    ``file`` None keeps them in memory.
    """

    def __init__(self, size: int, file: FileIO | None) -> None:
        self.size = size  # bytes set aside
        self.kept = True
        self._file = file  # unbuffered
        self._values: list[Tensor] = []  # in memory
        self._offsets: list[int] = []  # in the file
        self._end = 0
        self._exchanged = False

    @property
    def on_disk(self) -> bool:
        """Whether the values are in a file."""
        return self._file is not None

    def put(self, tensor: Tensor, *, own: bool = False) -> None:
        """Keep the values of one more tensor; with ``own`` the tensor itself, which nobody writes.

        Raises OSError where the disk is full.
        """
        values = bits(tensor)
        if self._file is None:
            self._values.append(values if own and values.device.type == "cpu" else _copy(values))
            return
        self._offsets.append(self._end)
        there = values.device.type == "cpu" and values.is_contiguous()
        self._write(self._end, values if there else _copy(values))
        self._end += stored_size(tensor)

    def exchange(self, tensors: Sequence[Tensor]) -> None:
        """Swap the values kept with those of ``tensors``, one for each that was put.

        A second exchange brings everything back, also where tensors overlap: every other exchange
        goes backwards.  Where one fails, the swaps already made are taken back.
        """
        order = range(len(tensors))
        swapped: list[tuple[int, Tensor]] = []
        try:
            for index in reversed(order) if self._exchanged else order:
                for place, target in self._pieces(index, tensors[index]):
                    self._swap(place, target)
                    swapped.append((place, target))
        except BaseException:
            for place, target in reversed(swapped):
                self._swap(place, target)
            raise
        self._exchanged = not self._exchanged

    def drop(self) -> None:
        """Let go of the values."""
        self.kept = False
        self._values, self._offsets = [], []
        if self._file is not None:
            self._file.close()

    def same(self, index: int, tensor: Tensor) -> bool:
        """Whether ``tensor`` holds the values that were put as number ``index``, bit by bit."""
        now = _copy(bits(tensor))
        return torch.equal(self._get(self._place(index), now), now)

    def _place(self, index: int) -> int:
        """Where the values that were put as number ``index`` are: in the list or in the file."""
        return index if self._file is None else self._offsets[index]

    def _pieces(self, index: int, tensor: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The memory of a tensor in pieces that are swapped one by one, and their places.

        What is on the disk goes through memory piece by piece, so that a large tensor does not
        take its size again.
        """
        target, place = bits(tensor), self._place(index)
        if self._file is None or not target.is_contiguous():
            yield place, target
            return
        flat, size = target.reshape(-1), target.element_size()
        for start in range(0, len(flat), PIECE // size):
            yield place + start * size, flat[start : start + PIECE // size]

    def _swap(self, place: int, target: Tensor) -> None:
        new = _copy(target)
        old = self._get(place, new)
        try:
            self._set(place, new)
            with torch.no_grad():
                target.copy_(old)
        except BaseException:
            self._set(place, old)
            raise

    def _get(self, place: int, like: Tensor) -> Tensor:
        if self._file is None:
            return self._values[place]
        values = torch.empty_like(like)
        self._read(place, values)
        return values

    def _set(self, place: int, values: Tensor) -> None:
        if self._file is None:
            self._values[place] = values
        else:
            self._write(place, values)

    def _write(self, offset: int, values: Tensor) -> None:
        assert self._file is not None
        self._file.seek(offset)
        view = _as_bytes(values)
        while len(view):
            view = view[self._file.write(view) :]

    def _read(self, offset: int, values: Tensor) -> None:
        assert self._file is not None
        self._file.seek(offset)
        view = _as_bytes(values)
        while len(view):
            count = self._file.readinto(view)
            if not count:
                raise OSError("the temporary file that holds old values has been cut short")
            view = view[count:]


def _copy(values: Tensor) -> Tensor:
    """A copy of integers, contiguous and on the CPU."""
    if values.device.type == "cpu":
        return values.clone(memory_format=torch.contiguous_format)
    return values.cpu().contiguous()


class SnapshotStore:
    """Makes snapshots within two budgets, in bytes."""

    def __init__(
        self,
        memory_budget: int = MEMORY_BUDGET,
        disk_budget: int = DISK_BUDGET,
        folder: str | None = None,
    ) -> None:
        self.memory_budget = memory_budget
        self.disk_budget = disk_budget
        self._folder = folder or tempfile.gettempdir()
        self._snapshots: list[Snapshot] = []  # oldest first

    def _used(self, *, on_disk: bool) -> int:
        return sum(s.size for s in self._live() if s.on_disk == on_disk)

    def _live(self) -> list[Snapshot]:
        self._snapshots = [snapshot for snapshot in self._snapshots if snapshot.kept]
        return self._snapshots

    def _disk_limit(self) -> int:
        """Bytes that snapshots may take on the disk, those there now included."""
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return 0
        return min(self.disk_budget, free - DISK_RESERVE + self._used(on_disk=True))

    def can_keep(self, size: int) -> bool:
        """Whether a snapshot of ``size`` bytes fits, older ones making room for it."""
        return size <= self.memory_budget or size <= self._disk_limit()

    def reserve(self, size: int) -> Snapshot | None:
        """An empty snapshot for ``size`` bytes; None where it does not fit.

        Older snapshots are dropped, oldest first, as far as needed.
        """
        while True:
            live = self._live()
            if self._used(on_disk=False) + size <= self.memory_budget:
                snapshot = Snapshot(size, None)
                break
            if self._used(on_disk=True) + size <= self._disk_limit():
                try:
                    file = tempfile.TemporaryFile(  # noqa: SIM115 - the snapshot closes it
                        dir=self._folder, buffering=0
                    )
                except OSError:
                    return None
                snapshot = Snapshot(size, file)
                break
            if not live or not self.can_keep(size):
                return None
            live[0].drop()
        self._snapshots.append(snapshot)
        return snapshot

    def close(self) -> None:
        """Drop all snapshots."""
        for snapshot in self._snapshots:
            snapshot.drop()
        self._snapshots = []
