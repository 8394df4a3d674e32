"""What heat map and ridges have in common: a history of histograms, looked at from two sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from widgets.binned_history import BinnedHistory
from widgets.binning import Counts, Floats
from widgets.numbers import count_text, value_text
from widgets.plot_canvas import PlotCanvas
from widgets.step_history import StepHistory

_CHOOSING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class HistoryCanvas(PlotCanvas):
    """The cursor stands at a step and a line: a row of the axis, or one of the bands around it.

    Lines count from 0 upwards; -1 is below the axis, ``rows`` above it, then come infinities and
    NaN.
    """

    step_clicked = Signal(int)

    def __init__(self, name: str, logarithmic: bool, parent: QWidget | None = None) -> None:
        super().__init__(name, "Choose a series to see how its values spread over time.", parent)
        self._history = StepHistory()
        self._binned = BinnedHistory()
        self.which = ""  # said of each step that is read
        self._octaves = False
        self._logarithmic = logarithmic
        self._cursor: tuple[int, int] | None = None  # step and line

    # -- for those who feed it -----------------------------------------------------------------

    def set_history(self, title: str, history: StepHistory, underline: str = "") -> None:
        """Show a history, from now on by reference: add to it and call :meth:`refresh`."""
        if history is not self._history:
            self._binned = BinnedHistory()
            self._cursor = None
            self.say("")
        self._history = history
        self.set_title(title, underline)

    def clear(self, sentence: str) -> None:
        """Show nothing but a sentence."""
        self.set_history("", StepHistory())
        self.set_sentence(sentence)

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """What is shown as a table: the filled bins of each step as they were recorded.

        NaN and infinities are rows whose bounds are NaN or infinite.
        """
        history = self._history
        column, number = np.nonzero(history.counts)
        tables = [
            (
                history.steps[column],
                history.edges[column, number],
                history.edges[column, number + 1],
                history.counts[column, number],
            )
        ]
        for counts, bound in ((history.nan, np.nan), (history.infinite, np.inf)):
            there = np.flatnonzero(counts)
            bounds = np.full(len(there), bound)
            tables.append((history.steps[there], bounds, bounds, counts[there]))
        steps, low, high, counts = map(np.concatenate, zip(*tables, strict=True))
        order = np.argsort(steps, kind="stable")
        named = {"step": steps, "low": low, "high": high, "elements": counts}
        return {name: values[order] for name, values in named.items()}

    @property
    def octaves(self) -> bool:
        """Whether the value axis is a signed logarithm."""
        return self._octaves

    def set_octaves(self, on: bool) -> None:
        """Give each power of two a row of its own, on either side of zero, or equal widths."""
        self._octaves = on
        self._cursor = None
        self.say("")
        self.refresh()

    @property
    def logarithmic(self) -> bool:
        """Whether counts are drawn by their logarithm."""
        return self._logarithmic

    def set_logarithmic(self, on: bool) -> None:
        """Draw the logarithm of the counts, so that rare values are seen beside a spike."""
        self._logarithmic = on
        self.refresh()

    # -- for subclasses ------------------------------------------------------------------------

    def empty(self) -> bool:
        """Nothing to draw."""
        return not len(self._history)

    def prepare(self) -> None:
        """Take what came since, and read under the cursor again."""
        self._binned.follow(self._history, self._octaves, self._logarithmic)
        if self._cursor is not None:
            self.put_cursor(self.column(self._cursor[0]), self._cursor[1])

    def note(self) -> str:
        """What is no longer kept."""
        return self._history.said()

    @property
    def rows(self) -> int:
        """How many rows the axis has."""
        return 0 if self._binned.axis is None else len(self._binned.axis)

    def lines(self) -> list[int]:
        """Lines that there are, from the lowest to the highest."""
        table, rows = self._binned.table, self.rows
        there = [-1] if table[:, 0].any() else []
        there += range(rows)
        for line, counts in (
            (rows, table[:, -1] if rows else np.zeros(1)),
            (rows + 1, self._history.infinite),
            (rows + 2, self._history.nan),
        ):
            if counts.any():
                there.append(line)
        return there

    def column(self, step: int) -> int:
        """The column of a step, or of the one before it; of those that are there."""
        place = int(np.searchsorted(self._history.steps, step, side="right")) - 1
        return min(max(place, 0), len(self._history) - 1)

    def stops(self) -> list[int]:
        """Columns at which the arrow keys stop, oldest first."""
        return list(range(len(self._history)))

    def put_cursor(self, column: int, line: int) -> None:
        """Stand there and read."""
        lines = self.lines()
        if self.empty() or not lines:
            self._cursor = None
            self.say("")
            return
        line = min(max(line, lines[0]), lines[-1])
        self._cursor = (int(self._history.steps[column]), line)
        self.say(self._words(column, line))

    def _words(self, column: int, line: int) -> str:
        history, axis, rows = self._history, self._binned.axis, self.rows
        step = f"step {count_text(int(history.steps[column]))}"
        step += f", {self.which}" if self.which else ""
        if line > rows or axis is None:
            infinite = line == rows + 1
            count = int((history.infinite if infinite else history.nan)[column])
            return f"{step}:  {count_text(count)} {'infinite' if infinite else 'NaN'}"
        if 0 <= line < rows:
            low, high, count = read_bins(
                history.edges[column],
                history.counts[column],
                float(axis.edges[line]),
                float(axis.edges[line + 1]),
            )
            where = f"{value_text(low)} … {value_text(high)}"
        else:
            below = line < 0
            end = float(axis.edges[0 if below else -1])
            where = f"{'below' if below else 'above'} {value_text(end)}"
            count = round(float(self._binned.table[column, 0 if below else -1]))
        elements = "1 element" if count == 1 else f"{count_text(count)} elements"
        return f"{step}  ·  {where}:  {elements}"

    def click(self) -> None:
        """Tell the step."""
        if self._cursor is not None:
            self.step_clicked.emit(self._cursor[0])

    def move_cursor(self, along_steps: int, along_values: int) -> None:
        """Move the cursor by so many stops and lines; the first time it goes to the newest."""
        stops, lines = self.stops(), self.lines()
        if self._cursor is None:
            column = stops[-1]
            levels = self._binned.levels[column, 1:-1]
            self.put_cursor(column, int(levels.argmax()) if len(levels) else lines[0])
            return
        place = int(np.searchsorted(stops, self.column(self._cursor[0]), side="right")) - 1
        place = min(max(place + along_steps, 0), len(stops) - 1)
        line = int(np.searchsorted(lines, self._cursor[1])) + along_values
        self.put_cursor(stops[place], lines[min(max(line, 0), len(lines) - 1)])

    def arrows(self) -> dict[Qt.Key, tuple[int, int]]:
        """Keys, and by how many stops and lines they move."""
        raise NotImplementedError

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows, Home and End move; Return and Space click; Escape takes the cursor away."""
        key = Qt.Key(event.key())
        moves = self.arrows()
        if self.empty() or key not in (*moves, *_CHOOSING, Qt.Key.Key_Escape):
            super().keyPressEvent(event)
            return
        if self._pending:
            self.prepare()
        if key in _CHOOSING:
            self.click()
            return
        if key == Qt.Key.Key_Escape:
            if self._cursor is None:  # it may close what the plot stands in
                super().keyPressEvent(event)
                return
            self._cursor = None
            self.say("")
        elif self.lines():
            self.move_cursor(*moves[key])
        self.refresh()


def read_bins(edges: Floats, counts: Counts, low: float, high: float) -> tuple[float, float, int]:
    """The bins that reach into a range, and how much they hold together.

    Never a part of a bin: what is said was counted, also where the picture had to share out.
    """
    if not np.isfinite(edges).all() or high <= edges[0] or low >= edges[-1]:
        return low, high, 0
    first = max(0, int(np.searchsorted(edges, low, side="right")) - 1)
    stop = min(len(counts), int(np.searchsorted(edges, high, side="left")))
    return (
        min(low, float(edges[first])) if first == 0 else float(edges[first]),
        max(high, float(edges[stop])) if stop == len(counts) else float(edges[stop]),
        int(counts[first:stop].sum()),
    )
