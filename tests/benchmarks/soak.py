"""Memory of a long training that is watched all the time, on both sides.

A process trains a small model (under 2 ms a step) with every leaf module watched at every step; a
peer polls its records as the window does, 30 times a second, and keeps them in the same store.
With ``--window`` it is a real main window that draws the grid all the time, off screen where there
is none.  Printed are the resident memory of both once the ring and the peer's store are full, and
at the end; it may grow by less than 2 %.  Run it as
``python -m tests.benchmarks.soak [--window] [STEPS]``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inspector_app.gui.client.records import MOST
from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.protocol import messages as m
from inspector_app.sessions import running_sessions, token_of
from tests.backend.wire import Peer

STEPS = 100_000
WARM_UP = 0.4  # share of the steps after which all that is bounded should be full
INTERVAL = 0.033  # seconds between two requests
LIMIT = 1.02

TRAIN = """
import sys, time, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
inputs = torch.randn(16, 32)

def step():
    optimizer.zero_grad()
    loss = model(inputs).square().mean()
    loss.backward()
    optimizer.step()
    return loss

start = time.perf_counter()
for _ in range(200):
    step()
print((time.perf_counter() - start) / 200, flush=True)
with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
    print("ready", flush=True)
    for _ in range(int(sys.argv[1])):
        session.log(loss=step())
    sys.stdin.readline()
"""


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS:"))


class Soak:
    """Memory of trainer and watcher, warm and at the end; records seen and missed."""

    def __init__(self, watcher: str, trainer: int, steps: int) -> None:
        self.watcher = watcher
        self.memory: list[tuple[float, float]] = []  # megabytes of trainer and watcher
        self.seen = self.missed = self.next = 0
        self.ended = False
        self._trainer = trainer
        self._steps = steps
        self._marks = [WARM_UP, 0.6, 0.8]

    def take(self, found: m.Records) -> None:
        """Count one answer, and measure where that is due."""
        self.missed += max(0, found.first - self.next)
        self.seen += len(found.sequence)
        self.next = found.next
        assert found.training is not None
        done = (found.training.step - 1) / self._steps
        self.ended = done >= 1 and not len(found.sequence)
        if self.ended or (self._marks and done >= self._marks[0]):
            self._marks = [mark for mark in self._marks if mark > done]
            self.memory.append((resident(self._trainer), resident(os.getpid())))
            trainer, watcher = (f"{size:.1f} MB" for size in self.memory[-1])
            told = f"trainer holds {trainer}, {self.watcher} {watcher}"
            print(f"{done:4.0%}: {told}", flush=True)


def watch_as_peer(soak: Soak, address: str) -> None:
    """Poll the records and mirror them."""
    store = RecordsStore()
    with Peer(address, bytes.fromhex(token_of(address))) as peer:
        peer.result(m.Attach())
        while not soak.ended:
            found: m.Records = peer.result(m.GetRecords(since=store.next, limit=MOST))
            store.add(found)
            soak.take(found)
            if len(found.sequence) < MOST:
                time.sleep(INTERVAL)


def watch_in_window(soak: Soak, address: str) -> None:
    """Let a main window draw the grid until the loop has ended."""
    from PySide6.QtCore import QEventLoop, Qt

    from inspector_app.gui.app import make_application, spare_collector
    from inspector_app.gui.client.session import ClientSession
    from inspector_app.gui.main_window import MainWindow
    from inspector_app.gui.settings import Settings
    from tests.benchmarks.painting import Painted
    from widgets.theme import ThemeManager

    application = make_application()
    themes = ThemeManager(application, "light")
    settings = Settings(Path(os.environ["XDG_RUNTIME_DIR"]) / "settings.ini")
    window = MainWindow(ClientSession(), settings, themes)
    window.resize(1600, 1000)
    window.show()
    spare_collector()
    dock = window.docks.dock("view.live")
    window.resizeDocks([dock], [window.height() // 2], Qt.Orientation.Vertical)
    loop = QEventLoop()

    def take(found: m.Records) -> None:
        if found.training is not None:
            soak.take(found)
            if soak.ended:
                loop.quit()

    window.live.answered.connect(take)
    window.session.attach(address, token_of(address))
    painted = Painted(window.live_panel.views.grid.grid.viewport())
    loop.exec()
    assert "torch" not in sys.modules
    print(f"the grid was painted {painted.count:,} times")
    window.close_now()


def main() -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=int, nargs="?", default=STEPS)
    parser.add_argument("--window", action="store_true", help="watch in a window that draws")
    arguments = parser.parse_args()
    steps, watcher = arguments.steps, "window" if arguments.window else "peer"
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        trainer = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert trainer.stdout is not None
        assert trainer.stdin is not None
        with trainer:
            try:
                bare = float(trainer.stdout.readline())
                assert trainer.stdout.readline() == "ready\n"
                (entry,) = running_sessions()
                start = time.perf_counter()
                soak = Soak(watcher, trainer.pid, steps)
                (watch_in_window if arguments.window else watch_as_peer)(soak, entry.address)
                seconds = time.perf_counter() - start
                trainer.communicate("end\n")
            finally:
                trainer.kill()
    print(f"bare step {bare * 1e3:.2f} ms; {steps:,} watched steps in {seconds:.0f} s")
    print(f"records seen {soak.seen:,}, missed {soak.missed:,}")
    good = True
    for name, sizes in zip(("trainer", watcher), zip(*soak.memory, strict=True), strict=True):
        growth = sizes[-1] / sizes[0]
        good = good and growth < LIMIT
        print(f"{name}: {growth:.3f}x since it was warm (limit {LIMIT}x)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
