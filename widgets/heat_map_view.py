"""One series over time as a heat map: steps from left to right, values from below upwards.

Colours are shares of the highest count of the same step, so that a picture never changes because
more steps came.  Steps that were not measured are hatched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPen
from PySide6.QtWidgets import QWidget

from widgets.history_canvas import HistoryCanvas
from widgets.numbers import count_text, value_text
from widgets.plot_canvas import Tick, faces
from widgets.ramps import ramp
from widgets.step_history import Floats, Steps, column_ends
from widgets.theme import GRID, current_theme
from widgets.ticks import nice_ticks

_BAND = GRID + 2  # height of a line of its own beside the axis
_BETWEEN = 2
_TROUBLE = 255  # level of NaN and infinities
_LEAST_ROOM = 16  # columns for which there is room from the start
_GROWTH = 1.25  # of the room when it is used up
_KEY = 8 * GRID  # width of the colours' key


class Band(NamedTuple):
    """Where one line is painted: its top and its height."""

    line: int
    top: int
    height: int


class HeatMapView(HistoryCanvas):
    """Counts of bins by colour; the cursor follows the pointer or the arrow keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Heat map of values over steps", True, parent)
        self._ends: Floats = np.empty(0)
        self._range = (0.0, 1.0)  # of steps

    def arrows(self) -> dict[Qt.Key, tuple[int, int]]:
        """Steps lie from left to right."""
        return {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
            Qt.Key.Key_Home: (-len(self._history), 0),
            Qt.Key.Key_End: (len(self._history), 0),
        }

    def prepare(self) -> None:
        """Also how far the steps reach."""
        super().prepare()
        history = self._history
        if len(history):
            self._ends = column_ends(history.steps)
            self._range = step_range(history.steps, self._ends, bool(history.dropped))

    # -- places --------------------------------------------------------------------------------

    def _across(self, step: float, plot: QRect) -> int:
        first, last = self._range
        return plot.left() + round((step - first) / (last - first) * plot.width())

    def _middle(self, step: int, plot: QRect) -> int:
        """Of the column of a step, or of the one before it."""
        column = self.column(step)
        left = self._across(float(self._history.steps[column]), plot)
        return (left + self._across(float(self._ends[column]), plot)) // 2

    def _bands(self, plot: QRect) -> tuple[list[Band], QRect]:
        """The lines beside the axis, and what is left of the plot for its rows."""
        rows, inner, bands = self.rows, QRect(plot), []
        for line in reversed([line for line in self.lines() if line >= rows]):
            bands.append(Band(line, inner.top(), _BAND))
            inner.setTop(inner.top() + _BAND + _BETWEEN)
        if -1 in self.lines():
            bands.append(Band(-1, inner.bottom() + 1 - _BAND, _BAND))
            inner.setBottom(inner.bottom() - _BAND - _BETWEEN)
        return bands, inner

    def point_at(self, place: QPoint | None) -> None:
        """Read the column and the line under the pointer."""
        plot = self.plot_rect()
        if self.empty() or place is None or not plot.contains(place):
            self._cursor = None
            self.say("")
            return
        first, last = self._range
        step = first + (place.x() - plot.left() + 0.5) / plot.width() * (last - first)
        column = int(np.searchsorted(self._history.steps, step, side="right")) - 1
        if column < 0 or step >= self._ends[column]:
            self._cursor = None
            self.say(self._gap_words(column))
            return
        bands, inner = self._bands(plot)
        for band in bands:
            if band.top - 1 <= place.y() <= band.top + band.height:
                self.put_cursor(column, band.line)
                return
        up = (inner.bottom() - place.y() + 0.5) / max(1, inner.height())
        self.put_cursor(column, min(max(int(up * self.rows), 0), max(0, self.rows - 1)))

    def _gap_words(self, column: int) -> str:
        """What is missing after a column."""
        steps = self._history.steps
        if not 0 <= column < len(steps) - 1:
            return ""
        first, last = int(self._ends[column]), int(steps[column + 1]) - 1
        if first >= last:
            return f"step {count_text(last)} was not measured"
        return f"steps {count_text(first)} to {count_text(last)} were not measured"

    # -- painting ------------------------------------------------------------------------------

    def paint_plot(self, painter: QPainter, plot: QRect) -> None:
        """The image, the gaps over it, the axes and the cursor."""
        bands, inner = self._bands(plot)
        picture = self._picture(plot, bands, inner)
        size = plot.size()
        image = QImage(
            picture.data, size.width(), size.height(), 4 * size.width(), QImage.Format.Format_RGB32
        )
        painter.drawImage(plot.topLeft(), image)
        self._paint_gaps(painter, plot)
        self._paint_axes(painter, plot, bands, inner)
        self._paint_key(painter, plot)
        if self._marked is not None:
            self.paint_mark(painter, plot, self._middle(self._marked, plot))
        if self._cursor is not None:
            self._paint_cursor(painter, plot, bands, inner)

    def _picture(self, plot: QRect, bands: list[Band], inner: QRect) -> NDArray[np.uint32]:
        """Colours of all pixels of the plot, (height, width).

        They are looked up line by line before the lines are made as high as they are painted; Qt
        takes ten times as long to paint an image that has a table of colours.
        """
        rows, history = self.rows, self._history
        trouble = np.stack([history.infinite, history.nan], axis=1) > 0
        levels = np.concatenate(
            [self._binned.levels[:, : rows + 2], trouble.astype(np.uint8) * _TROUBLE], axis=1
        )
        first, last = self._range
        columns = columns_of_pixels(
            levels, history.steps, self._ends, np.linspace(first, last, plot.width() + 1)
        )
        # Which line each pixel row shows, from the top; the last, empty one stands between bands.
        shown = np.full(plot.height(), levels.shape[1])
        for band in bands:
            top = band.top - plot.top()
            shown[top : top + band.height] = band.line + 1
        top, height = inner.top() - plot.top(), max(0, inner.height())
        lines = columns.T
        stretched = lines[1 : rows + 1]
        if rows > height > 0:
            stretched = merged(stretched, height)
        numbers = np.arange(height) * len(stretched) // max(1, height)
        if rows:
            shown[top : top + height] = levels.shape[1] + 1 + numbers[::-1]
        nothing = np.zeros((1, plot.width()), np.uint8)
        coloured = ramp(current_theme())[np.concatenate([lines, nothing, stretched])]
        return np.asarray(coloured[shown])

    def _paint_gaps(self, painter: QPainter, plot: QRect) -> None:
        theme = current_theme()
        hatch = QBrush(theme.muted, Qt.BrushStyle.BDiagPattern)
        painter.setClipRect(plot)
        for column in np.flatnonzero(self._ends[:-1] < self._history.steps[1:]):
            left = self._across(float(self._ends[column]), plot)
            right = self._across(float(self._history.steps[column + 1]), plot)
            gap = QRect(left, plot.top(), right - left, plot.height())
            painter.fillRect(gap, theme.window)
            painter.fillRect(gap, hatch)
        painter.setClipping(False)

    def _paint_axes(self, painter: QPainter, plot: QRect, bands: list[Band], inner: QRect) -> None:
        theme, face = current_theme(), faces()
        self.paint_frame(painter, plot)
        axis = self._binned.axis
        if axis is not None:
            values = axis.ticks(max(3, inner.height() // (4 * GRID)))
            places = inner.bottom() - axis.places(np.array(values)) / len(axis) * (
                inner.height() - 1
            )
            ticks = [Tick(round(p), value_text(v)) for p, v in zip(places, values, strict=True)]
            self.paint_left_axis(painter, plot, ticks, lines=False)
        words = {-1: "below", self.rows: "above", self.rows + 1: "Inf", self.rows + 2: "NaN"}
        painter.setFont(face.numbers)
        for band in bands:
            painter.setPen(theme.danger if band.line > self.rows else theme.muted)
            around = QRect(0, band.top - GRID, plot.left() - 6, band.height + 2 * GRID)
            place = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(around, place, words[band.line])
        first, last = self._range
        numbers = nice_ticks(first, last, max(2, plot.width() // (9 * GRID)))
        ticks = [
            Tick(self._across(step, plot), count_text(int(step)))
            for step in numbers
            if step == int(step)
        ]
        self.paint_bottom_axis(painter, plot, ticks, "step")

    def _paint_key(self, painter: QPainter, plot: QRect) -> None:
        """Few and many, in the line of the axis' label at the right."""
        theme, face = current_theme(), faces()
        if self.low or plot.width() < 5 * _KEY:
            return
        box = QRect(0, self.height() - GRID - GRID // 2, _KEY, GRID)
        many = "many"
        box.moveRight(plot.right() - face.words_metrics.horizontalAdvance(many) - GRID // 2)
        table = ramp(theme)
        for x in range(box.width()):
            colour = QColor(int(table[1 + x * 253 // (box.width() - 1)]))
            painter.fillRect(box.left() + x, box.top(), 1, box.height(), colour)
        painter.setFont(face.words)
        painter.setPen(theme.muted)
        few = "few"
        left = box.left() - face.words_metrics.horizontalAdvance(few) - GRID // 2
        painter.drawText(left, box.bottom(), few)
        painter.drawText(box.right() + 1 + GRID // 2, box.bottom(), many)

    def _paint_cursor(
        self, painter: QPainter, plot: QRect, bands: list[Band], inner: QRect
    ) -> None:
        """A line through the step and a frame around what is read."""
        if self._cursor is None:
            return
        step, line = self._cursor
        left = self._across(step, plot)
        right = self._across(float(self._ends[self.column(step)]), plot)
        middle = self._middle(step, plot)
        painter.setPen(self.cursor_pen())
        painter.drawLine(middle, plot.top(), middle, plot.bottom())
        cell = QRect(left - 1, 0, max(3, right - left), 0)
        for band in bands:
            if band.line == line:
                cell.setTop(band.top - 1)
                cell.setHeight(band.height + 1)
        if 0 <= line < self.rows:
            tall = inner.height() / self.rows
            top = inner.bottom() + 1 - round((line + 1) * tall)
            cell.setTop(top - 1)
            cell.setHeight(max(3, round(tall) + 1))
        theme = current_theme()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.base, 3))  # so that it stands off every colour
        painter.drawRect(cell)
        painter.setPen(QPen(theme.text, 1))
        painter.drawRect(cell)


def step_range(steps: Steps, ends: Floats, full: bool) -> tuple[float, float]:
    """From where to where the steps are drawn.

    There is room for some more, so that the picture grows in place; not once it is ``full``, when
    old steps leave at the left as new ones come.
    """
    first, last = float(steps[0]), float(ends[-1])
    if full:
        return first, last
    room = float(np.median(ends - steps)) * _LEAST_ROOM
    while room < last - first:
        room *= _GROWTH
    return first, first + room


def columns_of_pixels(
    levels: NDArray[np.uint8], steps: Steps, ends: Floats, bounds: Floats
) -> NDArray[np.uint8]:
    """Levels (pixels, lines) between the rising ``bounds`` (pixels + 1,), in steps.

    A pixel shows the highest levels of all columns that begin in it, so that nothing rare is lost;
    else the column that reaches over it; else nothing.
    """
    picture = np.zeros((len(bounds) - 1, levels.shape[1]), np.uint8)
    starts = np.searchsorted(steps, bounds)
    starts[-1] = len(steps) if bounds[-1] >= steps[-1] else starts[-1]
    counts = starts[1:] - starts[:-1]
    before = starts[:-1] - 1
    middles = (bounds[:-1] + bounds[1:]) / 2
    covered = (counts == 0) & (before >= 0) & (ends[before] > middles)
    picture[covered] = levels[before[covered]]
    for offset in range(int(counts.max())):  # there are few in one pixel
        there = counts > offset
        more = levels[starts[:-1][there] + offset]
        picture[there] = np.maximum(picture[there], more)
    return picture


def merged(lines: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Lines (rows, pixels) in groups of neighbours, ``height`` of them: their highest levels."""
    return np.asarray(np.maximum.reduceat(lines, np.arange(height) * len(lines) // height, axis=0))
