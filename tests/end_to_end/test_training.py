"""A training process joined, looked at, paused, stepped and edited with real mouse and keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.person import person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
LOOP = """
import time, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(16, 32)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 4)
    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.stem(x))))
model = Net()
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
with inspector_app.watch(model, optimizer, window=False) as session:
    print("ready", flush=True)
    while True:
        optimizer.zero_grad()
        loss = model(torch.randn(64, 16)).square().mean()
        loss.backward()
        optimizer.step()
        session.log(loss=loss.detach())
        time.sleep(0.01)  # leaves the machine to the window
"""


@pytest.fixture
def trained(
    display, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A training process, and a program that finds its session."""
    folder = str(tmp_path_factory.mktemp("r"))  # a short path: a socket's may not be long
    monkeypatch.setitem(display.environment, "XDG_RUNTIME_DIR", folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": folder}
    command = [sys.executable, "-c", LOOP]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.kill()


def test_a_training_is_joined_paused_and_edited(display, tmp_path, pictures, trained):
    with person(display, tmp_path, pictures) as user:
        user.wait("title", lambda title: title == "Model Inspector")
        user.screen.wait_window("Model Inspector")

        # Finds the session in the list and joins it.
        user.screen.key("ctrl+shift+a")
        user.wait("dialog", lambda dialog: dialog == "attachDialog")
        user.picture("attach")
        user.click("widget", "attachAccept")
        user.wait("title", lambda title: title == "Net - Model Inspector")
        user.wait("records", lambda records: records > 200)
        user.picture("histograms")

        # Looks at what was measured, from three sides.
        user.click("row", "stem", "name")
        for title in ("Over time", "Depth", "Curves"):
            user.click("tab", "liveTabs", title)
            user.wait("view", lambda view, title=title: view == title)
            user.picture(title.lower().replace(" ", "-"))

        # Pauses with the mouse, steps with a key, and lets the loop go on.
        user.click("command", "training.pause")
        user.wait("held", bool)
        step = user.read("step")
        user.screen.key("F8")
        user.wait("step", lambda now: now == step + 1)
        user.wait("held", bool)
        user.picture("paused")
        user.click("command", "training.pause")
        user.wait("step", lambda now: now > step + 5)

        # Freezes a part of the model that is trained.
        user.click("row", "stem", "box")
        user.wait("boxes", lambda boxes: boxes["stem"] is True)
        assert user.read("history") == [["Freeze stem", True]]
        user.picture("frozen")

        # Leaves without a question: the loop keeps the edit and goes on.
        user.screen.key("ctrl+q")
        user.screen.wait_no_window("Net - Model Inspector")
