"""The painted part of a curve view: several curves on one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from pyqtgraph.functions import arrayToQPath
from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from widgets.curve_points import CurvePoints, Drawn, Reduced, reduced
from widgets.numbers import count_text, value_text
from widgets.plot_canvas import PlotCanvas, Tick, faces
from widgets.step_history import Floats
from widgets.theme import GRID, current_theme, mix
from widgets.ticks import decade_ticks, nice_ticks

_TONES: Final = ("accent", "tensor", "good", "module", "text")  # far apart in every theme
_STYLES: Final = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
_ECHO: Final = (2.0, 3.0)  # dash and gap, in widths of the line
_LEAST_APART = 10  # pixels between hollow points
_TOP = GRID + GRID // 2  # band for values that are not finite
_BAND = 0.32  # share of its colour that the spread of a dense curve has
_ROOM = 0.05  # of the height that stays free above and below
_CHOOSING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


def curve_pen(number: int, echo: bool = False) -> QPen:
    """How the curve of a number is drawn: colours first, then other dashes; an echo has its own."""
    colour = current_theme().tone(_TONES[number % len(_TONES)])
    pen = QPen(colour, 1, _STYLES[number // len(_TONES) % len(_STYLES)])
    if echo:
        pen.setDashPattern(_ECHO)
    return pen


@dataclass
class Curve:
    """One curve and what was last made of it."""

    key: int
    name: str
    number: int  # by which it is told apart
    points: CurvePoints = field(default_factory=CurvePoints)
    echo: bool = False  # of the one before it
    shown: bool = True
    drawn: Reduced | None = None
    drawn_for: tuple[float, ...] = ()
    revision: int = 0


class CurveCanvas(PlotCanvas):
    """Curves of what is shown, and the values at the cursor."""

    step_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Curves over steps", "Values appear here as steps are made.", parent)
        self.curves: list[Curve] = []
        self.logarithmic = False
        self.which = ""  # said of each step that is read
        self._steps = (0.0, 1.0)
        self._values = (0.0, 1.0)  # or their logarithms
        self._cursor: int | None = None  # step

    def shown(self) -> list[Curve]:
        """Curves that are drawn."""
        return [curve for curve in self.curves if curve.shown and len(curve.points)]

    def empty(self) -> bool:
        """No point anywhere; where all curves are switched off the axes stay."""
        return not any(len(curve.points) for curve in self.curves)

    # -- preparing -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Ranges of both axes, and the few points that are painted."""
        present = [curve for curve in self.curves if len(curve.points)]
        if not present:
            return
        first = float(min(curve.points.steps[0] for curve in present))
        last = float(max(curve.points.steps[-1] for curve in present))
        self._steps = (first, max(last, first + 1))
        width = self.plot_rect().width()
        ranges = []
        for curve in self.shown():
            wanted = (*self._steps, width, curve.revision)
            if curve.drawn is None or curve.drawn_for != wanted:
                curve.drawn = reduced(curve.points, *self._steps, width)
                curve.drawn_for = wanted
            values = curve.drawn.outline.values
            if self.logarithmic:
                values = np.log10(values[values > 0])
            if len(values):
                ranges.append((float(values.min()), float(values.max())))
        low = min((low for low, _ in ranges), default=0.0)
        high = max((high for _, high in ranges), default=1.0)
        if not high > low:
            room = 0.5 if self.logarithmic else abs(low) * 0.5 or 0.5
            low, high = low - room, high + room
        room = high / 2 * _ROOM - low / 2 * _ROOM  # halved: no overflow
        self._values = (low - 2 * room, high + 2 * room)
        self._read()

    # -- reading -------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._cursor is None:
            self.say("")
            return
        words = []
        for curve in self.shown():
            place = self._at(curve, self._cursor)
            if place is not None:
                words.append(f"{curve.name} {value_text(float(curve.points.values[place]))}")
        step = f"step {count_text(self._cursor)}"
        step += f", {self.which}" if self.which else ""
        self.say("  ·  ".join([step, *words]) if words else f"{step} was not measured")

    @staticmethod
    def _at(curve: Curve, step: int) -> int | None:
        """Place of a point at exactly this step."""
        place = int(np.searchsorted(curve.points.steps, step))
        there = place < len(curve.points) and curve.points.steps[place] == step
        return place if there else None

    def _nearest(self, step: float) -> int | None:
        """The measured step that is nearest, of all curves shown."""
        best: int | None = None
        for curve in self.shown():
            place = int(np.searchsorted(curve.points.steps, step))
            for candidate in curve.points.steps[max(0, place - 1) : place + 1].tolist():
                if best is None or abs(candidate - step) < abs(best - step):
                    best = candidate
        return best

    def point_at(self, place: QPoint | None) -> None:
        """Read the step nearest to the pointer."""
        plot = self.plot_rect()
        self._cursor = None
        if not self.empty() and place is not None and plot.contains(place):
            first, last = self._steps
            share = (place.x() - plot.left()) / max(1, plot.width() - 1)
            self._cursor = self._nearest(first + share * (last - first))
        self._read()

    def click(self) -> None:
        """Tell the step that is read."""
        if self._cursor is not None:
            self.step_clicked.emit(self._cursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move from point to point, with Page keys by a tenth; Return and Space click."""
        key = Qt.Key(event.key())
        first, last = self._steps
        tenth = (last - first) / 10
        here = last if self._cursor is None else self._cursor
        jumps = {
            Qt.Key.Key_PageUp: max(first, here - tenth),
            Qt.Key.Key_PageDown: min(last, here + tenth),
            Qt.Key.Key_Home: first,
            Qt.Key.Key_End: last,
        }
        if self.empty():
            super().keyPressEvent(event)
            return
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._cursor = self._next(-1 if key == Qt.Key.Key_Left else 1)
        elif key in jumps:
            self._cursor = self._nearest(jumps[key])
        elif key in _CHOOSING:
            self.click()
            return
        else:
            super().keyPressEvent(event)
            return
        self._read()
        self.refresh()

    def _next(self, direction: int) -> int | None:
        """The measured step before or after the cursor; the newest where there is no cursor."""
        if self._cursor is None:
            return self._nearest(self._steps[1])
        found = []
        for curve in self.shown():
            steps = curve.points.steps
            if direction < 0:
                place = int(np.searchsorted(steps, self._cursor)) - 1
            else:
                place = int(np.searchsorted(steps, self._cursor, side="right"))
            if 0 <= place < len(steps):
                found.append(int(steps[place]))
        nearest = max(found, default=None) if direction < 0 else min(found, default=None)
        return self._cursor if nearest is None else nearest

    # -- painting ------------------------------------------------------------------------------

    def plot_rect(self) -> QRect:
        """Below the band for what is not finite."""
        return super().plot_rect().adjusted(0, _TOP, 0, 0)

    def paint_plot(self, painter: QPainter, plot: QRect) -> None:
        """Axes, curves, marks of what is not finite, cursor."""
        self._paint_axes(painter, plot)
        base = current_theme().base
        lines = [
            (curve.drawn, curve_pen(curve.number, curve.echo), curve.echo) for curve in self.shown()
        ]
        for drawn, pen, _ in lines:
            # The spread of dense curves lies behind all lines, so that none hides another.
            if drawn is not None and drawn.middle is not None:
                spread = QPen(mix(pen.color(), base, _BAND), 1)
                self._paint_line(painter, plot, drawn.outline, spread)
        for drawn, pen, echo in lines:
            if drawn is not None:
                self._paint_line(painter, plot, drawn.middle or drawn.outline, pen)
                if echo:
                    self._paint_hollow(painter, plot, drawn.middle or drawn.outline, pen.color())
                self._paint_broken(painter, plot, drawn)
        if self._marked is not None:
            self.paint_mark(painter, plot, self._across(self._marked, plot))
        if self._cursor is not None:
            self._paint_cursor(painter, plot, self._cursor)

    def _across(self, step: int, plot: QRect) -> int:
        first, last = self._steps
        return plot.left() + round((step - first) / (last - first) * (plot.width() - 1))

    def _down(self, values: Floats, plot: QRect) -> Floats:
        low, high = self._values
        with np.errstate(divide="ignore", invalid="ignore"):
            placed = np.log10(values) if self.logarithmic else values
            share = (placed / 2 - low / 2) / (high / 2 - low / 2)
        return np.asarray(plot.bottom() - share * (plot.height() - 1))

    def _paint_axes(self, painter: QPainter, plot: QRect) -> None:
        low, high = self._values
        most = max(3, plot.height() // (4 * GRID))
        if self.logarithmic:
            bounds = (10.0 ** max(low, -320.0), 10.0 ** min(high, 308.0))
            values = decade_ticks(max(bounds[0], 5e-324), bounds[1], most)
        else:
            values = nice_ticks(low, high, most)
        places = self._down(np.array(values), plot)
        ticks = [
            Tick(round(float(place)), value_text(value))
            for value, place in zip(values, places, strict=True)
            if plot.top() <= place <= plot.bottom()
        ]
        self.paint_left_axis(painter, plot, ticks, lines=True)
        first, last = self._steps
        numbers = nice_ticks(first, last, max(2, plot.width() // (9 * GRID)))
        across = plot.left() - first / (last - first) * (plot.width() - 1)
        scale = (plot.width() - 1) / (last - first)
        steps = [
            Tick(round(across + step * scale), count_text(int(step)))
            for step in numbers
            if step == int(step)
        ]
        self.paint_bottom_axis(painter, plot, steps, "step")
        self.paint_frame(painter, plot)

    def _paint_line(self, painter: QPainter, plot: QRect, drawn: Drawn, pen: QPen) -> None:
        x = np.rint(drawn.across) + plot.left()
        down = self._down(drawn.values, plot)
        there = np.isfinite(down)
        y = np.rint(np.where(there, down, 0))
        joined = drawn.joined & there & np.append(there[1:], False)
        if there.any():
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            path = arrayToQPath(x[there], y[there], connect=joined[there].astype(np.int32))
            painter.drawPath(path)
            # A point without neighbours leaves no line.
            alone = there & ~joined & ~np.append(False, joined[:-1])
            for place in np.flatnonzero(alone):
                painter.fillRect(int(x[place]) - 1, int(y[place]) - 1, 3, 3, pen.color())
        for place in np.unique(x[~there]).tolist():  # a logarithm does not have them
            painter.fillRect(int(place) - 1, plot.bottom() - 2, 3, 3, current_theme().warning)

    def _paint_hollow(self, painter: QPainter, plot: QRect, drawn: Drawn, colour: QColor) -> None:
        """Points of an echo, as many as can be told apart."""
        down = self._down(drawn.values, plot)
        painter.setPen(colour)
        painter.setBrush(current_theme().base)
        last = -_LEAST_APART
        for across, y in zip(np.rint(drawn.across).tolist(), down.tolist(), strict=True):
            if math.isfinite(y) and across - last >= _LEAST_APART:
                painter.drawRect(plot.left() + int(across) - 2, round(y) - 2, 4, 4)
                last = across

    def _paint_broken(self, painter: QPainter, plot: QRect, drawn: Reduced) -> None:
        """Bars at the top where something is not finite."""
        theme, face = current_theme(), faces()
        if not len(drawn.broken):
            return
        for place in drawn.broken.tolist():
            painter.fillRect(plot.left() + place - 1, plot.top() - _TOP + 1, 3, GRID, theme.danger)
        painter.setFont(face.numbers)
        painter.setPen(theme.danger)
        painter.drawText(
            QRect(0, plot.top() - _TOP - GRID // 2, plot.left() - 6, 2 * GRID),
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            "NaN, Inf",
        )

    def _paint_cursor(self, painter: QPainter, plot: QRect, step: int) -> None:
        across = self._across(step, plot)
        painter.setPen(self.cursor_pen())
        painter.drawLine(across, plot.top(), across, plot.bottom())
        for curve in self.shown():
            place = self._at(curve, step)
            if place is None:
                continue
            down = float(self._down(curve.points.values[place : place + 1], plot)[0])
            if math.isfinite(down):
                self._paint_point(painter, across, round(down), curve_pen(curve.number).color())

    @staticmethod
    def _paint_point(painter: QPainter, across: int, down: int, colour: QColor) -> None:
        painter.fillRect(across - 4, down - 4, 9, 9, current_theme().base)
        painter.fillRect(across - 3, down - 3, 7, 7, colour)
