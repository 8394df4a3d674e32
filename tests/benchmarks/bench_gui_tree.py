"""What the tree of 61,561 modules costs the window.

``python -m tests.benchmarks.bench_gui_tree [--rounds N]``.  First the model of rows alone, against
bare ``list(model.named_modules())``: milliseconds (medians) and the ratio.  Then the real window
with a real worker, in a process without torch as it always is: from each key of a filter to the
rows on the screen (bar: under 50 ms), and from asking for another order to the rows on the screen,
for each column (bar: under 200 ms).  In brackets stands what the window's thread itself worked in
that time, which other programs on the machine do not make longer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

import msgspec
import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from inspector_app.gui.app import make_application, spare_collector
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.filtering.query import parse
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.models.columns import COLUMNS, Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.settings import Settings
from inspector_app.protocol.changes import RowsChange, change_of_rows
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.benchmarks.painting import Painted, wait
from widgets.theme import ThemeManager
from widgets.tree_view import LazyTreeView

ROUNDS = 5
TYPED = (
    "weight",
    "17.gate",
    "class:Linear",
    "*.up.*",
    "/experts\\.\\d+5\\.down/",
    "gate dtype:f32 >1k -12",
    "no such row",
)
FACTORY = (
    "import sys; sys.path.insert(0, {root!r})\nfrom tests.benchmarks.models import build_model\n"
)


def milliseconds(step: Callable[[], object], prepare: Callable[[], object] | None = None) -> float:
    """Median time of ``step``; ``prepare`` runs before each round and is not counted."""
    times = []
    for _ in range(ROUNDS):
        if prepare is not None:
            prepare()
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def toggled(table: RowTable) -> RowsChange:
    """The answer to freezing everything, or to unfreezing it."""
    parameters = np.flatnonzero(table.role == Role.PARAMETER).astype(np.int32)
    flags = table.flags.copy()
    flags[parameters] ^= np.uint32(Flag.REQUIRES_GRAD)
    return change_of_rows(msgspec.structs.replace(table, flags=flags), parameters)


def rows_alone() -> None:
    """The model of rows with a bare view."""
    from inspector_app.backend.tree import build_tree  # torch: not where the window is measured
    from tests.benchmarks.models import build_model

    application = make_application()
    module = build_model()
    floor = milliseconds(lambda: list(module.named_modules()))
    table = build_tree(module).table
    print(f"{len(table):,} rows; the floor is {floor:.0f} ms")

    def say(what: str, time_taken: float) -> None:
        print(f"{what:44s} {time_taken:7.1f} ms   {time_taken / floor:5.2f}x")

    model = RowTreeModel()
    view = LazyTreeView()
    view.resize(1000, 800)
    view.setModel(model)
    view.show()
    application.processEvents()

    def show() -> None:
        model.set_table(table, "large")
        view.expand(model.index_of(0))
        application.processEvents()

    def painted(step: Callable[[], object]) -> Callable[[], None]:
        def both() -> None:
            step()
            application.processEvents()

        return both

    say("table to a painted tree", milliseconds(show))
    say("table to a model", milliseconds(lambda: model.set_table(table, "large")))
    say("names looked at", milliseconds(model.prepare, lambda: model.set_table(table, "large")))
    view.expandToDepth(1)
    view.scrollToBottom()
    answers: list[RowsChange] = []
    toggle = painted(lambda: model.apply_change(answers.pop()))

    def answer() -> None:
        answers.append(toggled(model.table))

    say("all requires_grad toggled, laid out anew", milliseconds(toggle, answer))
    model.values_changed.connect(view.viewport().update)
    say("all requires_grad toggled, painted anew", milliseconds(toggle, answer))
    model.prepare()
    for text in ("gate", "17.gate", "/gate$/", "class:Linear dtype:f32"):
        query = parse(text)
        took = milliseconds(lambda q=query: model.set_query(q), lambda: model.set_query(parse("")))
        say(f"filter {text!r}", took)
    view.setModel(None)


class Work(Painted):
    """Notes as well how long this thread had worked when the widget was painted last."""

    worked = 0.0

    def _note(self) -> None:
        super()._note()
        self.worked = time.thread_time()


class Took(NamedTuple):
    """Milliseconds."""

    all: float
    worked: float


class RealWindow:
    """The window with a worker that holds the large model."""

    def __init__(self, folder: Path) -> None:
        file = folder / "factory.py"
        file.write_text(FACTORY.format(root=str(Path(__file__).parents[2])))
        self.application = make_application()
        settings = Settings(folder / "settings.ini")
        self.window = MainWindow(ClientSession(), settings, ThemeManager(self.application, "light"))
        self.view = self.window.tree_panel.view
        self.line = self.window.tree_panel.filter
        self._painted = Work(self.view.viewport())
        self.window.show()
        spare_collector()  # as the program does
        self.window.opening.open(f"{file}:build_model")
        wait(lambda: self.window.session.target is not None)
        self.rest()

    def rest(self) -> None:
        """Until nothing is painted or answered any more."""
        wait(lambda: time.monotonic() - self._painted.last > 0.4)

    def until_painted(self, step: Callable[[], object]) -> Took | None:
        """From a step to the tree on the screen; None where the step left it as it was."""
        before = self.window.tree_model.query, self.window.tree_model.sorting
        start, worked = time.monotonic(), time.thread_time()
        step()
        if (self.window.tree_model.query, self.window.tree_model.sorting) == before:
            return None
        wait(lambda: self._painted.last > start)
        painted = self._painted
        took = Took(1000 * (painted.last - start), 1000 * (painted.worked - worked))
        self.rest()
        return took

    def typed(self, text: str) -> list[Took]:
        """Each key of a text; those that leave the tree as it is are left out."""
        times = [self.until_painted(partial(QTest.keyClicks, self.line, char)) for char in text]
        return [took for took in times if took is not None]


def told(times: list[Took]) -> str:
    """What a person wants to know of some times."""
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    worst = [max(column) for column in zip(*times, strict=True)]
    return f"median {middle[0]:.0f} ({middle[1]:.0f}), worst {worst[0]:.0f} ({worst[1]:.0f}) ms"


def real_window(rounds: int) -> None:
    """Keys of a filter, and sorting by each column."""
    with tempfile.TemporaryDirectory() as name:
        real = RealWindow(Path(name))
        firsts: list[Took] = []
        keys: dict[str, list[Took]] = {text: [] for text in TYPED}
        clears: list[Took] = []
        for _ in range(rounds):
            for text in TYPED:
                times = real.typed(text)
                firsts.append(times[0])
                keys[text] += times
                escape = partial(QTest.keyClick, real.line, Qt.Key.Key_Escape)
                cleared = real.until_painted(escape)
                clears += [cleared] if cleared is not None else []
        for text, times in keys.items():
            print(f"filter {text:28s} {told(times)}")
        every = [took for times in keys.values() for took in times]
        print(f"a key of a filter: {told(every)} (bar: 50 ms)")
        print(f"its first key: {told(firsts)}; clearing it: {told(clears)}")
        sorts: list[Took] = []
        for column in Column:
            real.window.tree_panel.columns.show(column, True)
            real.rest()
            for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
                took = real.until_painted(partial(real.view.sortByColumn, column, order))
                assert took is not None
                sorts.append(took)
            print(f"sort by {COLUMNS[column].title:14s} {told(sorts[-2:])}")
        print(f"sorting: {told(sorts)} (bar: 200 ms)")
        real.window.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--window", action="store_true", help="the real window only")
    arguments = parser.parse_args()
    if arguments.window:
        real_window(arguments.rounds)
        assert "torch" not in sys.modules
        return
    rows_alone()
    again = [sys.executable, "-m", "tests.benchmarks.bench_gui_tree", "--window"]
    root = Path(__file__).parents[2]
    subprocess.run([*again, "--rounds", str(arguments.rounds)], cwd=root, check=True)


if __name__ == "__main__":
    main()
