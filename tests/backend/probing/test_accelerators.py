"""What is asked of torch for an accelerator, and in which order; there is none to ask here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from inspector_app.backend.probing.accelerators import Accelerator, accelerator_of, is_captured

CPU = torch.device("cpu")


@dataclass
class Driver:
    """Stands in for ``torch.accelerator``, ``torch.Stream`` and ``torch.Event``."""

    streams: list[Stream] = field(default_factory=list)
    current: object = None
    log: list[str] = field(default_factory=list)

    def stream(self, device: torch.device) -> Stream:
        self.streams.append(Stream(self, len(self.streams)))
        return self.streams[-1]

    def set_stream(self, stream: Stream) -> None:
        self.current = stream
        self.log.append(f"on {stream.stream_id}")


@dataclass(eq=False)
class Stream:
    driver: Driver
    stream_id: int

    def wait_event(self, event: Event) -> None:
        self.driver.log.append(f"{self.stream_id} waits for {event.recorded}")


@dataclass(eq=False)
class Event:
    device: torch.device
    recorded: int = -1

    def record(self, stream: Stream) -> None:
        self.recorded = stream.stream_id


@dataclass
class Host:
    """Memory that tells on which stream it is copied to."""

    driver: Driver

    def copy_(self, there: object, non_blocking: bool) -> None:
        assert non_blocking
        self.driver.log.append(f"copy on {self.driver.current.stream_id}")


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(torch, "Stream", driver.stream)
    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda device: driver.current)
    monkeypatch.setattr(torch.accelerator, "set_stream", driver.set_stream)
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 5)
    monkeypatch.setattr(
        torch.accelerator, "set_device_index", lambda index: driver.log.append(f"device {index}")
    )
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: CPU)
    driver.current = driver.stream(CPU)
    return driver


def test_a_copy_waits_for_the_streams_on_ours_and_leaves_theirs_current(driver):
    accelerator = Accelerator(CPU)
    other = driver.stream(CPU)
    model = accelerator.stream()
    done = accelerator.fetch(Host(driver), torch.ones(3), [model, other])
    ours = 1
    assert driver.log == [
        f"{ours} waits for {model.stream_id}",
        f"{ours} waits for {other.stream_id}",
        f"on {ours}",
        f"copy on {ours}",
        f"on {model.stream_id}",
        "device 5",
    ]
    assert done.recorded == ours
    assert accelerator.stream() is model


def test_host_memory_is_pinned_and_taken_on_our_stream(driver, monkeypatch):
    asked: list[dict[str, Any]] = []
    true = torch.empty

    def empty(size: int, **options: Any) -> torch.Tensor:
        asked.append({"stream": driver.current.stream_id, **options})
        return true(size, dtype=options["dtype"])

    accelerator = Accelerator(CPU)
    monkeypatch.setattr(torch, "empty", empty)
    there, host = accelerator.room(12)
    assert there.shape == host.shape == (12,)
    assert asked[0] == {"stream": 1, "dtype": torch.uint8, "device": CPU}
    assert asked[1] == {"stream": 1, "dtype": torch.uint8, "device": "cpu", "pin_memory": True}
    assert driver.current.stream_id == 0


def test_places_are_uploaded_from_pinned_memory(driver, monkeypatch):
    asked: list[dict[str, Any]] = []

    class Numbers:
        def pin_memory(self) -> Numbers:
            return self

        def to(self, device: torch.device, **options: Any) -> Numbers:
            asked.append(options)
            return self

    Accelerator(CPU).upload(Numbers())
    assert asked == [{"non_blocking": True}]


def test_whether_a_device_knows_float64_is_tried(driver, monkeypatch):
    assert Accelerator(CPU).doubles

    def zeros(*size: int, **options: object) -> None:
        raise RuntimeError("Required aspect fp64 is not supported on the device")

    monkeypatch.setattr(torch, "zeros", zeros)
    assert not Accelerator(CPU).doubles


def test_devices_without_streams_have_no_accelerator(driver, monkeypatch):
    assert isinstance(accelerator_of(torch.ones(1)), Accelerator)
    assert accelerator_of(torch.ones(1, device="meta")) is None

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("Backend doesn't support acquiring a new stream")

    monkeypatch.setattr(torch, "Stream", refuse)
    assert accelerator_of(torch.ones(1)) is None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    assert accelerator_of(torch.ones(1)) is None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", refuse)
    assert accelerator_of(torch.ones(1)) is None


def test_a_device_that_copies_wrongly_is_not_used(driver, monkeypatch):
    class OnApple:
        device = torch.device("mps", 0)

    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: OnApple.device)
    assert accelerator_of(OnApple()) is None


def test_nothing_is_recorded_into_a_graph_here():
    assert not is_captured(torch.ones(1))
