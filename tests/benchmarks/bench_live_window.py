"""What 256 live histograms cost the window while a training process fires.

``xvfb-run -s "-screen 0 3840x2720x24" python -m tests.benchmarks.bench_live_window [--seconds N]``;
without a display, Qt's offscreen platform.  A loop trains 128 layers in a process of its own, with
outputs and gradients watched at every step; the real window has joined it and shows all of them at
once.  Printed are the repaints of the grid in a second (bar: 30) and how often each cell was among
what they painted, which is never more than once a step of the loop, the share of turns of the event
loop under 50 ms (bar: 99.9 %), the longest one, and when the window has told that the trainer was
killed (bar: 1 s).  In brackets stands what the window's thread itself worked in its turns, which
other programs on the machine do not make longer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer

from inspector_app.gui.app import make_application, spare_collector
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from inspector_app.sessions import running_sessions, token_of
from tests.benchmarks.painting import Painted, wait
from widgets.theme import ThemeManager

if TYPE_CHECKING:
    from widgets.histogram_grid import HistogramGrid

ROOT = Path(__file__).parents[2]
LAYERS = 128
SIZE = (3840, 2700)  # pixels for all cells, and for what stands around them
LOOP = """
import sys, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
model = nn.Sequential(*[nn.Linear(16, 16) for _ in range(int(sys.argv[1]))])
optimizer = torch.optim.SGD(model.parameters(), 1e-4)
with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
    print("ready", flush=True)
    while True:
        loss = model(torch.randn(8, 16)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        session.log(loss=loss.detach())
"""


class Turns(QObject):
    """Times the turns of the event loop: from one beat of a timer of 1 ms to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.wall: list[float] = []  # seconds
        self.worked: list[float] = []
        self._last = time.perf_counter(), time.thread_time()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.wall.append(now[0] - self._last[0])
        self.worked.append(now[1] - self._last[1])
        self._last = now


class Repaints:
    """Counts the paintings of a grid, and the cells in them: a frame may paint some of them."""

    def __init__(self, grid: HistogramGrid) -> None:
        self.count = self.cells = 0
        queue = grid._queue
        self._learn = queue.learn
        queue.learn = self._note  # type: ignore[method-assign]

    def _note(self, cells: int, seconds: float) -> None:
        self.count += 1
        self.cells += cells
        self._learn(cells, seconds)


def measure(window: MainWindow, seconds: float) -> None:
    """Join the only session there is and watch it for a while."""
    (entry,) = running_sessions()
    window.session.attach(entry.address, token_of(entry.address))
    views = window.live_panel.views
    wait(lambda: len(views.series) > 2 * LAYERS)
    dock = window.docks.dock("view.live")
    window.resizeDocks([dock], [window.height() - 250], Qt.Orientation.Vertical)
    grid = views.grid.grid
    wait(lambda: views.store.size > 40 * LAYERS)
    cells = len(grid.keys_in_sight())
    assert cells == 2 * LAYERS, f"only {cells} cells fit into the window"
    turns, repaints = Turns(), Repaints(grid)
    start, first, step = time.monotonic(), views.store.next, window.training.state.step  # type: ignore[union-attr]
    wait(lambda: time.monotonic() - start > seconds)
    took = time.monotonic() - start
    wall, worked = 1000 * np.array(turns.wall), 1000 * np.array(turns.worked)
    steps = window.training.state.step - step  # type: ignore[union-attr]
    print(f"{cells} histograms in sight for {seconds:.0f} s, {steps / took:.0f} steps a second")
    print(f"records      {(views.store.next - first) / took:8,.0f} a second")
    print(f"repaints     {repaints.count / took:8.1f} a second")
    print(f"each cell    {repaints.cells / cells / took:8.1f} times a second")
    print(f"turns        {len(wall):8,d}")
    print(f"under 50 ms  {100 * (wall < 50).mean():8.2f} %   ({100 * (worked < 50).mean():.2f} %)")
    print(f"median       {np.median(wall):8.2f} ms  ({np.median(worked):.2f} ms)")
    print(f"longest      {wall.max():8.1f} ms  ({worked.max():.1f} ms)")
    print(f"busy         {100 * worked.sum() / 1000 / took:8.1f} % of one core")


def kill(window: MainWindow, loop: subprocess.Popen[bytes]) -> None:
    """Kill the trainer, and print how soon the window says so and what it keeps."""
    views = window.live_panel.views
    shown = Painted(window.notices)
    loop.kill()
    killed = time.monotonic()
    wait(lambda: "has ended" in window.notices.text and shown.last > killed)
    print(f"end told     {1000 * (shown.last - killed):8.0f} ms after the trainer was killed")
    print(f"kept         {views.store.size:8,d} records")


def main() -> None:
    """Start the loop and the window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        loop = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(LAYERS)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert loop.stdout is not None
        try:
            loop.stdout.readline()
            application = make_application()
            themes = ThemeManager(application, "light")
            session = ClientSession()
            window = MainWindow(session, Settings(Path(folder) / "settings.ini"), themes)
            window.resize(*SIZE)
            window.show()
            spare_collector()
            measure(window, seconds)
            kill(window, loop)
            assert "torch" not in sys.modules
            window.close_now()
        finally:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    main()
