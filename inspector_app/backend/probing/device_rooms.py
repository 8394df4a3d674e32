"""Memory in which measurements travel from an accelerator to the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from inspector_app.backend.probing.accelerators import Arrival, Device, Stream
from inspector_app.backend.probing.batch import sample_places

ROOMS = 4  # messages on their way
_PLACES = 256  # numbers of elements whose places are kept on a device


class Room:
    """Memory of one message, on the device and on the host."""

    def __init__(self, place: Place, size: int) -> None:
        self.place = place
        with torch.inference_mode(False):  # else it could not be written into outside of it
            self.there, self._host = place.device.room(size)
        self._bytes = self._host.numpy()
        self.used = 0
        self.streams: dict[int, Stream] = {}
        self._arrival: Arrival | None = None

    def has(self, size: int) -> bool:
        """Whether so many bytes are left."""
        return self.used + size <= len(self._bytes)

    def send(self) -> None:
        """Enqueue the copy."""
        streams, self.streams = self.streams, {}
        host, there = self._host[: self.used], self.there[: self.used]
        self._arrival = self.place.device.fetch(host, there, streams.values())

    def is_here(self, *, wait: bool) -> bool:
        """Whether the copy is done."""
        if self._arrival is None:
            return False
        if wait:
            self._arrival.synchronize()
        return wait or self._arrival.query()

    def read(self, offset: int, dtype: type[np.generic], number: int) -> Any:
        """Numbers that have arrived."""
        return np.frombuffer(self._bytes, dtype, number, offset)

    def give_back(self) -> None:
        """Let the next message have it."""
        self.used, self._arrival = 0, None
        self.place.free.append(self)


class Place:
    """A device: its rooms of ``size`` bytes, and which places of tensors are looked at."""

    def __init__(self, device: Device, size: int) -> None:
        self.device = device
        self.open: Room | None = None
        # All at once: pinning memory later could make the model wait.
        self.free = [Room(self, size) for _ in range(ROOMS)]
        self._places: dict[tuple[int, int], torch.Tensor] = {}

    def room(self) -> Room | None:
        """The room that is written into; None where all are on their way."""
        if self.open is None and self.free:
            self.open = self.free.pop()
        return self.open

    def places(self, count: int, sample: int, stream: Stream) -> torch.Tensor:
        """Which of ``count`` elements are looked at; each stream has its own and waits for none."""
        key = count, stream.stream_id
        places = self._places.get(key)
        if places is None:
            if len(self._places) == _PLACES:
                del self._places[next(iter(self._places))]
            places = self._places[key] = self.device.upload(sample_places(count, sample))
        return places
