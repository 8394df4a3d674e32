"""What the tests with a real worker have in common: a model that waits, and patience."""

from __future__ import annotations

import os
import signal
from pathlib import Path

PATIENCE = 60_000  # milliseconds

MODEL = """
import os, time
import torch
from torch import nn

class Waits(nn.Linear):
    def forward(self, x):
        while os.path.exists({wait!r}):
            time.sleep(0.01)
        return super().forward(x)

def build_model(width=4, layers=2):
    while os.path.exists({wait_open!r}):
        time.sleep(0.01)
    print("a word from the model")
    return nn.Sequential(*[Waits(width, width) for _ in range(layers)])

def example_inputs():
    return torch.ones(1, 4)
"""


class Place:
    """A folder with a model whose opening and forward wait while a file stands there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wait = folder / "wait"
        self.wait_open = folder / "wait_open"
        self.file = folder / "waits.py"
        self.file.write_text(MODEL.format(wait=str(self.wait), wait_open=str(self.wait_open)))
        self.target = f"{self.file}:build_model"


def until(qtbot, condition) -> None:
    qtbot.waitUntil(condition, timeout=PATIENCE)


def opened(qtbot, window, place, **arguments) -> None:
    window.opening.open(place.target, arguments)
    until(qtbot, lambda: window.session.state == "ready")
    assert window.session.target is not None


def answer(qtbot, window, request):
    """The answer to a request, or the error it ended with."""
    outcome: list = []
    window.session.request(request, outcome.append, outcome.append)
    until(qtbot, lambda: bool(outcome))
    return outcome[0]


def kill(window) -> None:
    os.kill(window.session.process_id, signal.SIGKILL)


def lost(qtbot, window) -> None:
    """The window says what happened and offers a way on."""
    until(qtbot, lambda: window.session.state == "lost")
    assert "process ended" in window.notices.text
    assert "SIGKILL" in window.notices.text
    assert window.isVisible()


def restarted(qtbot, window) -> None:
    window.registry.action("model.restart").trigger()
    until(qtbot, lambda: window.session.state == "ready")
