"""What the tree of 61,561 modules costs the window, against bare ``list(model.named_modules())``.

Printed are milliseconds (medians) and the ratio to that floor.  Every step but the first of a
filter starts from a cold model.  Run it as ``python tests/benchmarks/bench_gui_tree.py``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[2]))

import msgspec
import numpy as np
from PySide6.QtWidgets import QApplication

from inspector_app.backend.tree import build_tree
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.protocol.changes import RowsChange, change_of_rows
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.benchmarks.models import build_model
from widgets.tree_view import LazyTreeView

ROUNDS = 5


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


def main() -> None:
    application = QApplication([])
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

    def anew() -> None:
        model.set_filter("")
        model.set_table(table, "large")
        view.expandToDepth(1)
        application.processEvents()

    def painted(step: Callable[[], object]) -> Callable[[], None]:
        def both() -> None:
            step()
            application.processEvents()

        return both

    say("table to a painted tree", milliseconds(show))
    say("table to a model", milliseconds(lambda: model.set_table(table, "large")))
    anew()
    view.scrollToBottom()
    answers: list[RowsChange] = []
    toggle = painted(lambda: model.apply_change(answers.pop()))

    def answer() -> None:
        answers.append(toggled(model.table))

    say("all requires_grad toggled, laid out anew", milliseconds(toggle, answer))
    model.values_changed.connect(view.viewport().update)
    say("all requires_grad toggled, painted anew", milliseconds(toggle, answer))
    for text in ("w", "gate", "17.gate", "no such row"):
        took = milliseconds(partial(model.set_filter, text), anew)
        say(f"first filter {text!r}", took)
    anew()
    model.set_filter("warm.")
    model.set_filter("warm")
    for text in ("gate", "17.gate", "no such row"):
        took = milliseconds(partial(model.set_filter, text), partial(model.set_filter, "warm"))
        say(f"next filter {text!r}", took)


if __name__ == "__main__":
    main()
