"""One series over time as ridges behind each other, the newest in front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.functions import arrayToQPath
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from widgets.history_canvas import HistoryCanvas
from widgets.numbers import count_text, value_text
from widgets.plot_canvas import Tick, faces
from widgets.theme import GRID, current_theme, mix

MOST = 40  # ridges
_SHARE = 0.34  # of the plot's height that the highest ridge takes
_LEAST_APART = 5  # pixels between two ridges


class Ridge(NamedTuple):
    """One step: its column, its baseline in pixels, and its heights in pixels (rows,)."""

    column: int
    floor: int
    heights: NDArray[np.float64]


class RidgeView(HistoryCanvas):
    """At most 40 steps, evenly chosen; heights are comparable from ridge to ridge."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Ridges of values over steps", False, parent)
        self._ridges: list[Ridge] = []

    def arrows(self) -> dict[Qt.Key, tuple[int, int]]:
        """Values lie from left to right, newer steps are lower."""
        return {
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Home: (-MOST, 0),
            Qt.Key.Key_End: (MOST, 0),
        }

    def stops(self) -> list[int]:
        """Only what is drawn can be read."""
        return [ridge.column for ridge in self._ridges]

    def lines(self) -> list[int]:
        """Only rows of the axis: the others have no place in a ridge."""
        return list(range(self.rows))

    def left_width(self) -> int:
        """Nothing stands at the left."""
        return 0

    def plot_rect(self) -> QRect:
        """Steps stand at the right."""
        face = faces()
        last = int(self._history.steps[-1]) if len(self._history) else 0
        words = face.numbers_metrics.horizontalAdvance(f"{count_text(last)} NaN")
        return super().plot_rect().adjusted(0, 0, -words, 0)

    def prepare(self) -> None:
        """Also which steps are drawn, and how high."""
        self._binned.follow(self._history, self._octaves, self._logarithmic)
        plot = self.plot_rect()
        most = max(1, min(MOST, int(plot.height() * (1 - _SHARE)) // _LEAST_APART))
        chosen = evenly(len(self._history), most)
        table = self._binned.table[chosen, 1:-1]
        # Shares of all elements of the step: samples of different sizes stay comparable.
        sums = self._binned.table[chosen].sum(axis=1, keepdims=True)
        heights = table / np.where(sums > 0, sums, 1)
        if self._logarithmic:
            smallest = 1 / max(1.0, float(sums.max(initial=1)))
            heights = np.log1p(heights / smallest)
        highest = float(heights.max(initial=0))
        tall = plot.height() * (_SHARE if len(chosen) > 1 else 1)
        heights *= (tall - 1) / (highest if highest > 0 else 1)
        # As far apart as the ridges themselves leave room for.
        behind = np.arange(len(chosen))[::-1]
        room = plot.height() - 1 - heights.max(axis=1, initial=0)
        apart = float((room / np.maximum(behind, 1))[behind > 0].min(initial=plot.height()))
        floors = plot.bottom() - behind * apart
        self._ridges = [
            Ridge(int(column), round(float(floor)), one)
            for column, floor, one in zip(chosen, floors, heights, strict=True)
        ]
        if self._cursor is not None and self._ridges:
            columns = self.stops()
            place = int(np.searchsorted(columns, self.column(self._cursor[0]), side="right")) - 1
            self.put_cursor(columns[max(0, place)], self._cursor[1])

    def point_at(self, place: QPoint | None) -> None:
        """Read the ridge in front at the pointer, else the next one below."""
        plot = self.plot_rect()
        if self.empty() or place is None or not plot.contains(place) or not self.rows:
            self._cursor = None
            self.say("")
            return
        row = (place.x() - plot.left()) * self.rows // plot.width()
        hit = next(
            (
                ridge
                for ridge in reversed(self._ridges)
                if ridge.floor - ridge.heights[row] <= place.y() <= ridge.floor
            ),
            None,
        )
        below = [ridge for ridge in self._ridges if ridge.floor >= place.y()]
        ridge = hit or (below[0] if below else self._ridges[-1])
        self.put_cursor(ridge.column, row)

    def paint_plot(self, painter: QPainter, plot: QRect) -> None:
        """Ridges from the oldest to the newest, then the axes."""
        theme = current_theme()
        count = len(self._ridges)
        held, read = self._held(), None
        for number, ridge in enumerate(self._ridges):
            age = (number + 1) / count
            path = ridge_path(ridge, plot)
            colour = theme.warning if ridge is held else theme.accent
            painter.setPen(mix(colour, theme.base, 1 if ridge is held else 0.35 + 0.65 * age))
            painter.setBrush(mix(colour, theme.base, 0.06 + 0.26 * age))
            if self.rows:
                painter.drawPath(path)
            if self._cursor is not None and self.column(self._cursor[0]) == ridge.column:
                read = ridge, path
        if read is not None and self._cursor is not None and self.rows:
            ridge, path = read
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(theme.text)
            painter.drawPath(path)
            across = plot.left() + int((self._cursor[1] + 0.5) * plot.width() / self.rows)
            painter.setPen(self.cursor_pen())
            painter.drawLine(across, plot.top(), across, plot.bottom())
            top = round(ridge.floor - float(ridge.heights[self._cursor[1]]))
            painter.fillRect(across - 2, top - 2, 5, 5, theme.text)
        self._paint_steps(painter, plot, None if read is None else read[0], held)
        axis = self._binned.axis
        if axis is not None:
            values = axis.ticks(max(2, plot.width() // (9 * GRID)))
            places = plot.left() + axis.places(np.array(values)) / len(axis) * (plot.width() - 1)
            ticks = [Tick(round(p), value_text(v)) for p, v in zip(places, values, strict=True)]
            self.paint_bottom_axis(painter, plot, ticks, "value")
        else:
            painter.setFont(faces().words)
            painter.setPen(theme.muted)
            painter.drawText(plot, Qt.AlignmentFlag.AlignCenter, "no finite value")

    def _held(self) -> Ridge | None:
        """The ridge of the step that is marked, or the one drawn before it."""
        if self._marked is None or not self._ridges:
            return None
        place = int(np.searchsorted(self.stops(), self.column(self._marked), side="right")) - 1
        return self._ridges[max(0, place)]

    def _paint_steps(
        self, painter: QPainter, plot: QRect, read: Ridge | None, held: Ridge | None
    ) -> None:
        """Numbers of steps at the right: those read and marked, the newest, and what fits."""
        theme, face, history = current_theme(), faces(), self._history
        painter.setFont(face.numbers)
        tall = face.numbers_metrics.height()
        taken: list[int] = []
        first = [ridge for ridge in (read, held) if ridge is not None]
        for ridge in (*first, *reversed(self._ridges)):
            bad = [
                word
                for word, counts in (("NaN", history.nan), ("Inf", history.infinite))
                if counts[ridge.column]
            ]
            if any(abs(ridge.floor - other) < tall for other in taken):
                continue
            taken.append(ridge.floor)
            words = " ".join([count_text(int(history.steps[ridge.column])), *bad[:1]])
            painter.setPen(
                theme.text if ridge is read else theme.warning if ridge is held else theme.muted
            )
            if bad:
                painter.setPen(theme.danger)
            painter.drawText(plot.right() + GRID, ridge.floor + 3, words)


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers below ``count``, the first and the last among them."""
    if most == 1:
        return np.arange(count)[-1:]
    return np.unique(np.rint(np.linspace(0, count - 1, min(count, most))).astype(np.int64))


def ridge_path(ridge: Ridge, plot: QRect) -> QPainterPath:
    """The outline from floor to floor through the middles of the bins."""
    rows = len(ridge.heights)
    across = plot.left() + (np.arange(-1, rows + 1) + 0.5) * plot.width() / max(1, rows)
    across = np.clip(across, plot.left(), plot.right())
    down = ridge.floor - np.concatenate([[0], ridge.heights, [0]])
    path: QPainterPath = arrayToQPath(np.rint(across), np.rint(down), finiteCheck=False)
    return path
