"""Gradient flow over depth: what every layer gets, in the model's order, on a logarithmic axis."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.functions import arrayToQPath
from PySide6.QtCore import QEvent, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from widgets.histogram_cells import draw_rects
from widgets.numbers import count_text, value_text
from widgets.path_text import fitted
from widgets.plot_canvas import PlotCanvas, Tick, faces
from widgets.theme import GRID, current_theme, mix
from widgets.ticks import common_start, decade_ticks

Floats = NDArray[np.float64]

KEPT = 32  # steps drawn
_LOW = 20 * GRID  # height of a plot below which bands are narrower
_NEAR = 2  # decades within which a threshold widens the axis
_CHOOSING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class DepthLayer(NamedTuple):
    """One place on the axis: the key it is told by, and its name."""

    key: int
    name: str


class DepthPlot(PlotCanvas):
    """Mean and largest magnitude of each layer: the newest step strong, those before it faint.

    Zeros stand on a line of their own at the bottom, layers with NaN or infinities at the top.
    """

    key_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            "Gradient flow over depth",
            "Watch gradients of several modules to see how they flow from layer to layer.",
            parent,
        )
        self._layers: list[DepthLayer] = []
        self._short: list[str] = []  # names without what all begin with
        self._longest = ""  # of them
        self._steps: NDArray[np.int64] = np.empty(0, np.int64)
        self._mean: Floats = np.empty((0, 0))
        self._largest: Floats = np.empty((0, 0))
        self._broken: NDArray[np.bool_] = np.empty((0, 0), np.bool_)
        self._thresholds = {"vanishing": 1e-7, "exploding": 100.0}
        self._words = ("mean", "largest")
        self._current = -1  # place of the layer chosen elsewhere
        self._cursor = -1
        self._range = (-1.0, 1.0)  # decades

    # -- for those who feed it -----------------------------------------------------------------

    def set_layers(self, layers: list[DepthLayer]) -> None:
        """What stands on the axis, in the model's order; values have to be given anew."""
        self._layers = list(layers)
        start = common_start([layer.name for layer in layers])
        self._short = [layer.name[len(start) :] for layer in layers]
        self._longest = max(self._short, key=len, default="")
        self._current = self._cursor = -1
        nothing = np.empty((0, len(layers)))
        self.set_values(np.empty(0, np.int64), nothing, nothing)
        self.say("")

    def set_values(
        self,
        steps: NDArray[np.int64],
        mean: Floats,
        largest: Floats,
        broken: NDArray[np.bool_] | None = None,
    ) -> None:
        """Magnitudes of shape (n, layers) at ``steps`` (n,), the newest last.

        NaN stands for what was not measured; ``broken`` marks layers with NaN or infinities among
        their values.  Raises ValueError for other shapes.
        """
        if broken is None:
            broken = np.zeros(np.shape(mean), np.bool_)
        shape = (len(steps), len(self._layers))
        if not np.shape(mean) == np.shape(largest) == np.shape(broken) == shape:
            raise ValueError(
                f"{shape[0]} steps of {shape[1]} layers need arrays of that shape, not "
                f"{np.shape(mean)}, {np.shape(largest)} and {np.shape(broken)}"
            )
        self._steps = np.asarray(steps, np.int64)[-KEPT:]
        self._mean = np.asarray(mean, np.float64)[-KEPT:]
        self._largest = np.asarray(largest, np.float64)[-KEPT:]
        self._broken = np.asarray(broken)[-KEPT:]
        self.refresh()

    def set_thresholds(self, vanishing: float | None, exploding: float | None) -> None:
        """Magnitudes at which the dashed lines stand; None, and what has no logarithm: none."""
        given = {"vanishing": vanishing, "exploding": exploding}
        self._thresholds = {word: value for word, value in given.items() if value}
        self.refresh()

    def set_words(self, mean: str, largest: str) -> None:
        """What the two lines are called: "root mean square" where it is not the mean."""
        self._words = (mean, largest)
        self.refresh()

    def set_current(self, key: int | None) -> None:
        """Mark the layer that is selected elsewhere; None or an unknown key marks none."""
        keys = [layer.key for layer in self._layers]
        self._current = keys.index(key) if key in keys else -1
        self.refresh()

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """What is shown as a table: a row for each step and layer that was measured or broken."""
        step, layer = np.nonzero(~np.isnan(self._mean) | ~np.isnan(self._largest) | self._broken)
        names = np.array([layer.name for layer in self._layers], object)
        return {
            "step": self._steps[step],
            "layer": names[layer],
            self._words[0]: self._mean[step, layer],
            self._words[1]: self._largest[step, layer],
            "nan or infinite": self._broken[step, layer].astype(np.int64),
        }

    # -- reading -------------------------------------------------------------------------------

    def empty(self) -> bool:
        """No layer, or no step yet."""
        return not self._layers or not len(self._steps)

    def prepare(self) -> None:
        """The range of the axis, in whole decades; what the cursor reads."""
        values = np.concatenate([self._mean.ravel(), self._largest.ravel()])
        values = np.log10(values[np.isfinite(values) & (values > 0)])
        low, high = (values.min(), values.max()) if len(values) else (-1.0, 1.0)
        for threshold in map(math.log10, self._thresholds.values()):
            if low - _NEAR <= threshold <= high + _NEAR:
                low, high = min(low, threshold), max(high, threshold)
        self._range = (math.floor(low - 0.1), math.ceil(high + 0.1))
        self._read()

    def _read(self) -> None:
        if self.empty() or not 0 <= self._cursor < len(self._layers):
            self.say("")
            return
        mean, largest = self._mean[-1, self._cursor], self._largest[-1, self._cursor]
        if math.isnan(mean) and math.isnan(largest):
            words = "not measured in this step"
        else:
            middle, most = self._words
            words = f"{middle} {value_text(mean)}, {most} {value_text(largest)}"
        if self._broken[-1, self._cursor]:
            words += ", with NaN or infinities"
        name = self._layers[self._cursor].name
        self.say(f"{name}:  {words}  ·  step {count_text(int(self._steps[-1]))}")

    def point_at(self, place: QPoint | None) -> None:
        """Read the layer above or below the pointer."""
        self._cursor = -1 if place is None else self._layer_at(place)
        self._read()

    def _layer_at(self, place: QPoint) -> int:
        plot = self.plot_rect()
        across = place.x() - plot.left()
        if self.empty() or not 0 <= across < plot.width() or place.y() < plot.top():
            return -1
        return across * len(self._layers) // plot.width()

    def click(self) -> None:
        """Tell the key of the layer that is read."""
        if 0 <= self._cursor < len(self._layers):
            self.key_clicked.emit(self._layers[self._cursor].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows, Home and End move; Return and Space click."""
        key, last = Qt.Key(event.key()), len(self._layers) - 1
        here = self._cursor if self._cursor >= 0 else self._current
        targets = {
            Qt.Key.Key_Left: max(0, here - 1),
            Qt.Key.Key_Right: min(last, here + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        if not self.empty() and key in targets:
            self._cursor = targets[key]
            self._read()
            self.refresh()
        elif not self.empty() and key in _CHOOSING:
            self.click()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Names that were shortened are told in full."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self._layer_at(event.pos())
            name = self._layers[number].name if number >= 0 else ""
            QToolTip.showText(event.globalPos(), name, self)
            return True
        return super().event(event)

    # -- painting ------------------------------------------------------------------------------

    def foot_height(self) -> int:
        """Room for the names, which stand upright."""
        metrics = faces().numbers_metrics
        longest = metrics.horizontalAdvance(self._longest)  # all letters are as wide
        return min(longest, self.height() // 4, 16 * GRID) + GRID

    def paint_plot(self, painter: QPainter, plot: QRect) -> None:
        """Lines of all steps, marks of the newest, thresholds, names and cursor."""
        theme = current_theme()
        band = _band(plot)
        inner = plot.adjusted(0, band, 0, -band)
        across = plot.left() + (np.arange(len(self._layers)) + 0.5) * plot.width() / len(
            self._layers
        )
        if self._current >= 0:
            self._paint_column(painter, plot, self._current, theme.selection)
        low, high = 10.0 ** self._range[0], 10.0 ** self._range[1]
        values = decade_ticks(low, high, max(2, inner.height() // (4 * GRID)))
        ticks = [Tick(self._down(value, inner), value_text(value)) for value in values]
        if band < 3 * GRID:  # none so near to the words of the bands that the two would touch
            ticks = [tick for tick in ticks if inner.top() + 4 < tick.place < inner.bottom() - 4]
        self.paint_left_axis(painter, plot, ticks, lines=True)
        self._paint_bands(painter, plot, across)
        self._paint_thresholds(painter, plot, inner)
        count = len(self._steps)
        for number in range(count):
            newest = number == count - 1
            share = 1.0 if newest else 0.12 + 0.3 * (number + 1) / count
            for rows, tone in ((self._mean, theme.buffer), (self._largest, theme.accent)):
                colour = mix(tone, theme.base, share)
                self._paint_line(painter, across, rows[number], inner, colour, newest)
        self.paint_frame(painter, plot)
        if 0 <= self._cursor < len(self._layers):
            painter.setPen(self.cursor_pen())
            x = int(across[self._cursor])
            painter.drawLine(x, plot.top(), x, plot.bottom())
        self._paint_names(painter, plot, across)

    def _down(self, value: float, inner: QRect) -> int:
        low, high = self._range
        share = (math.log10(value) - low) / (high - low)
        return inner.bottom() - round(share * (inner.height() - 1))

    def _paint_column(self, painter: QPainter, plot: QRect, number: int, colour: QColor) -> None:
        count = len(self._layers)
        left = plot.left() + number * plot.width() // count
        right = plot.left() + (number + 1) * plot.width() // count
        painter.fillRect(left, plot.top(), max(2, right - left), plot.height(), colour)

    def _paint_line(
        self,
        painter: QPainter,
        across: Floats,
        values: Floats,
        inner: QRect,
        colour: QColor,
        marked: bool,
    ) -> None:
        """Layers without a place on the axis break the line."""
        low, high = self._range
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (np.log10(values) - low) / (high - low)
        down = inner.bottom() - share * (inner.height() - 1)
        drawn = np.isfinite(down)
        if not drawn.any():
            return
        # The last number of an infinite stretch is passed on, as Qt takes no infinity.
        connected = drawn & np.append(drawn[1:], False)
        x, y = np.rint(across)[drawn], np.rint(down[drawn])
        painter.setPen(QPen(colour, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(arrayToQPath(x, y, connect=connected[drawn].astype(np.int32)))
        if marked:
            size = 5 if len(across) * 8 < inner.width() else 3
            extent = np.full(len(x), float(size))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            draw_rects(painter, np.stack([x - size // 2, y - size // 2, extent, extent], axis=1))

    def _paint_bands(self, painter: QPainter, plot: QRect, across: Floats) -> None:
        """Zeros at the bottom, NaN and infinities at the top, of the newest step."""
        theme, face = current_theme(), faces()
        zero = (self._largest[-1] == 0) & ~self._broken[-1]
        top, bottom = plot.top() + GRID, plot.bottom() - GRID
        painter.setFont(face.numbers)
        for there, middle, word, colour in (
            (self._broken[-1], top, "NaN, Inf", theme.danger),
            (zero, bottom, "0", theme.warning),
        ):
            painter.setPen(colour if there.any() else theme.muted)
            painter.drawText(
                QRect(0, middle - GRID, plot.left() - 6, 2 * GRID),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                word,
            )
            painter.setPen(QPen(colour, 1))
            for place in np.flatnonzero(there):
                x = int(across[place])
                if word == "0":  # a ring: nothing flows
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawEllipse(QPoint(x, middle), 3, 3)
                else:
                    painter.fillRect(x - 3, middle - 3, 7, 7, colour)
        for edge in (plot.top() + _band(plot), plot.bottom() - _band(plot)):
            painter.fillRect(plot.left(), edge, plot.width(), 1, theme.faint)

    def _paint_thresholds(self, painter: QPainter, plot: QRect, inner: QRect) -> None:
        theme, face = current_theme(), faces()
        painter.setFont(face.words)
        for word, value in self._thresholds.items():
            if not self._range[0] <= math.log10(value) <= self._range[1]:
                continue
            place = self._down(value, inner)
            painter.setPen(QPen(theme.warning, 1, Qt.PenStyle.DashLine))
            painter.drawLine(plot.left(), place, plot.right(), place)
            words = f"{word} {value_text(value)}"
            width = face.words_metrics.horizontalAdvance(words)
            base = place + 2 * GRID - 4 if word == "vanishing" else place - 4
            painter.drawText(plot.right() - width, base, words)

    def _paint_names(self, painter: QPainter, plot: QRect, across: Floats) -> None:
        """Upright, as many as there is room for; the one that is read is always among them."""
        theme, face = current_theme(), faces()
        tall = face.numbers_metrics.height()
        every = -(-len(self._layers) * tall // plot.width())
        room = self.foot_height() - GRID // 2
        painter.setFont(face.numbers)
        chosen = self._cursor if self._cursor >= 0 else self._current
        named = [n for n in range(0, len(self._layers), every) if abs(n - chosen) >= every]
        for number in [*named, chosen] if chosen >= 0 else range(0, len(self._layers), every):
            name = fitted(self._short[number], room, face.numbers_metrics)
            painter.setPen(theme.text if number == chosen else theme.muted)
            painter.save()
            painter.translate(across[number], plot.bottom() + GRID // 2)
            painter.rotate(-90)
            painter.drawText(
                QRect(-room, -tall, room, 2 * tall),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                name,
            )
            painter.restore()

    def paint_note(self, painter: QPainter, left: int, right: int, base: int) -> int:
        """Which line is which, in the head."""
        theme, metrics = current_theme(), faces().words_metrics
        middle, most = self._words
        for colour, words in ((theme.buffer, middle), (theme.accent, most)):
            right -= metrics.horizontalAdvance(words)
            painter.setPen(theme.muted)
            painter.drawText(right, base, words)
            right -= 2 * GRID + 6
            painter.fillRect(right, base - 5, 2 * GRID, 1, colour)
            painter.fillRect(right + GRID - 2, base - 7, 5, 5, colour)
            right -= 2 * GRID
        return right


def _band(plot: QRect) -> int:
    """Height above and below the axis for what has no place on a logarithmic one."""
    return 3 * GRID if plot.height() >= _LOW else 2 * GRID
