"""Large targets in the real window with a real worker.

``python -m tests.benchmarks.bench_large_model [--rounds N]``.  Printed for 61,561 modules: from the
worker having the model to a painted tree, as a multiple of ``list(model.named_modules())`` in that
very worker (bar: under 6x), and from asking to freeze everything at the root to the painted tree
(bar: under 250 ms).  For a checkpoint of 4 GB in 1,000 tensors: from the worker beginning to open
it to a painted tree (bar: under 1 s), and how much more memory that worker holds than one with a
small model (bar: under 100 MB).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

from inspector_app.gui.app import make_application
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from inspector_app.protocol.messages import Opened, Selection
from tests.benchmarks.bench_checkpoint import sparse_checkpoint
from tests.benchmarks.painting import Painted, wait
from widgets.theme import ThemeManager

# The builder in models.py, telling when the model was there and what walking it costs.
FACTORY = """
import statistics, sys, time
sys.path.insert(0, {root!r})
from tests.benchmarks.models import build_model as build

def build_model():
    model = build()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        list(model.named_modules())
        times.append(time.perf_counter() - start)
    with open({told!r}, "w") as file:
        file.write(f"{{statistics.median(times)}} {{time.monotonic()}}")
    return model
"""


def one_round(window: MainWindow, painted: Painted, target: str, told: Path) -> tuple[float, ...]:
    opened: list[float] = []
    window.session.opened.connect(lambda _: opened.append(time.monotonic()))
    window.opening.open(target, {})
    wait(lambda: bool(opened) and painted.last > opened[0])
    floor, had_model = map(float, told.read_text().split())
    to_tree = painted.last - had_model
    assert len(window.tree_model.table) == 107_641
    answers: list[float] = []
    window.session.changed.connect(lambda _: answers.append(time.monotonic()))
    toggles = []
    for frozen in (True, False, True, False):
        answers.clear()
        start = time.monotonic()
        window.edits.freeze(Selection(rows=[0]), frozen)
        wait(lambda: bool(answers) and painted.last > answers[0])
        assert window.tree_model.sums.freeze_state(0) is frozen
        toggles.append(painted.last - start)
    return floor, to_tree, statistics.median(toggles), max(toggles)


def resident(process: int) -> float:
    """Megabytes that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def opened(window: MainWindow, painted: Painted, target: str) -> tuple[float, float]:
    """Seconds from the worker beginning to a painted tree, and what the worker then holds."""
    answers: list[Opened] = []
    arrived: list[float] = []
    window.session.opened.connect(answers.append)
    window.session.opened.connect(lambda _: arrived.append(time.monotonic()))
    window.opening.open(target, {})
    wait(lambda: bool(arrived) and painted.last > arrived[0])
    return answers[0].seconds + painted.last - arrived[0], resident(window.session.process_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    application = make_application()
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told, file = folder / "told", folder / "factory.py"
        file.write_text(FACTORY.format(root=str(root), told=str(told)))
        themes = ThemeManager(application, "light")
        settings = Settings(folder / "settings.ini")
        results = []
        for _ in range(rounds):
            window = MainWindow(ClientSession(), settings, themes)
            painted = Painted(window.tree_panel.view.viewport())
            window.show()
            results.append(one_round(window, painted, f"{file}:build_model", told))
            window.close_now()
        large = folder / "large.safetensors"
        sparse_checkpoint(str(large), [f"layers.{n}.weight" for n in range(1000)], 1_050_000)
        window = MainWindow(ClientSession(), settings, themes)
        painted = Painted(window.tree_panel.view.viewport())
        window.show()
        _, small_held = opened(window, painted, "sample:mlp")
        seconds, large_held = opened(window, painted, str(large))
        print(
            f"{large.stat().st_size / 1e9:.1f} GB checkpoint: tree after {1000 * seconds:.0f} ms "
            f"(1,000 ms), memory growth {large_held - small_held:.0f} MB (100 MB)"
        )
        window.close_now()
    for floor, to_tree, toggle, worst in results:
        print(
            f"named_modules {1000 * floor:.0f} ms, model to tree {1000 * to_tree:.0f} ms: "
            f"{to_tree / floor:.1f}x (6x); freeze all from the root, seen in the tree: "
            f"{1000 * toggle:.0f} ms, worst {1000 * worst:.0f} ms (250 ms)"
        )


if __name__ == "__main__":
    sys.exit(main())
