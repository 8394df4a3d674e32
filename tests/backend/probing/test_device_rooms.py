"""Places of samples on a device."""

from __future__ import annotations

import torch

from inspector_app.backend.probing import device_rooms
from inspector_app.backend.probing.batch import sample_places
from inspector_app.backend.probing.device_rooms import ROOMS, Place
from tests.backend.probing.fake_device import FakeDevice, FakeStream, There


def test_all_memory_is_reserved_at_once(monkeypatch):
    device = FakeDevice()
    place = Place(device, 8)
    monkeypatch.setattr(device, "room", None)
    taken = []
    while (room := place.room()) is not None:
        taken.append(room)
        place.open = None
    assert len(taken) == ROOMS
    taken[2].used = 8
    taken[2].give_back()
    assert place.room() is taken[2]
    assert taken[2].has(8)
    assert not taken[2].has(9)


def test_places_are_kept_for_each_stream_and_bounded(monkeypatch):
    monkeypatch.setattr(device_rooms, "_PLACES", 2)
    device = FakeDevice()
    place, stream = Place(device, 8), FakeStream(1)
    first = place.places(5000, 16, stream)
    assert isinstance(first, There)
    assert torch.equal(first.inner, sample_places(5000, 16))
    assert place.places(5000, 16, stream) is first
    place.places(5000, 16, FakeStream(2))
    assert device.uploads == 2
    place.places(6000, 16, stream)  # the oldest makes room
    place.places(5000, 16, FakeStream(2))
    assert device.uploads == 3
    place.places(5000, 16, stream)
    assert device.uploads == 4
