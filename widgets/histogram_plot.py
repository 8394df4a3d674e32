"""The plot inside a histogram view, by pyqtgraph."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtWidgets import QGraphicsRectItem, QVBoxLayout, QWidget

from widgets.numbers import short_count, value_text
from widgets.theme import GRID, current_theme, mix, mono_font, ui_font

_MOST_DECADES = 19  # of an int64 count


class _ValueAxis(pg.AxisItem):  # type: ignore[misc]
    """Ticks as the rest of the program writes values."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [value_text(round(value / spacing) * spacing) for value in values]


class _CountAxis(pg.AxisItem):  # type: ignore[misc]
    """Ticks with SI prefixes; whole numbers only."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [short_count(round(value)) if value == round(value) else "" for value in values]


class HistogramPlot(QWidget):
    """Counts of equal bins as a filled step outline, perhaps with a second, bare one over it."""

    bin_hovered = Signal(float, float, object)
    """Range and count of the bin under the pointer; a count of -1 when there is none."""
    bin_entered = Signal(int)
    """Number of the bin under the pointer; -1 when there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edges = np.zeros(1)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._second: NDArray[np.int64] | None = None
        self._logarithmic = False
        self._values = _ValueAxis("bottom")
        self._numbers = _CountAxis("left")
        self._view = pg.PlotWidget(
            axisItems={"bottom": self._values, "left": self._numbers}, enableMenu=False
        )
        # pyqtgraph makes this menu even where it is switched off, and never deletes it.
        unused = self._view.plotItem.ctrlMenu
        unused.setParent(self, unused.windowFlags())
        self._view.setFrameShape(self._view.Shape.NoFrame)
        self._view.hideButtons()
        self._view.setMouseEnabled(x=False, y=False)
        self._curve = pg.PlotCurveItem([0.0, 1.0], [0.0], stepMode="center", fillLevel=0.0)
        self._outline = pg.PlotCurveItem([0.0, 1.0], [0.0], stepMode="center")
        self._mark = QGraphicsRectItem()
        self._mark.setPen(pg.mkPen(None))
        self._view.addItem(self._curve)
        self._view.addItem(self._outline)
        self._view.addItem(self._mark, ignoreBounds=True)
        for axis in (self._values, self._numbers):
            axis.enableAutoSIPrefix(False)
            axis.setStyle(tickFont=mono_font(small=True), tickLength=4, maxTickLevel=0)
        self._numbers.setWidth(7 * GRID)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self._view.scene().sigMouseMoved.connect(self._hover)
        self.take_theme()

    def set_histogram(
        self,
        low: float,
        high: float,
        counts: NDArray[np.int64],
        second: NDArray[np.int64] | None = None,
    ) -> None:
        """Draw other counts.  Where all values are equal, the bins get a width to be seen.

        ``second`` are counts of the same bins, drawn as an outline.
        """
        if not high > low:
            room = abs(low) * 0.5 or 0.5
            low, high = low - room, high + room
        self._counts = np.asarray(counts)
        self._second = None if second is None else np.asarray(second)
        self._edges = np.linspace(low, high, len(counts) + 1)
        self._draw()

    def set_logarithmic(self, on: bool) -> None:
        """Draw log10(1 + count)."""
        self._logarithmic = on
        self._draw()

    def take_theme(self) -> None:
        """Read the colours again."""
        theme = current_theme()
        self._view.setBackground(theme.base)
        outline = theme.accent
        self._curve.setPen(pg.mkPen(outline, width=1))
        self._curve.setBrush(pg.mkBrush(mix(outline, theme.base, 0.28)))
        self._outline.setPen(pg.mkPen(theme.text, width=1, style=Qt.PenStyle.DashLine))
        mark = pg.mkColor(theme.text)
        mark.setAlpha(56)
        self._mark.setBrush(pg.mkBrush(mark))
        for axis in (self._values, self._numbers):
            axis.setPen(pg.mkPen(theme.border, width=1))
            axis.setTextPen(pg.mkPen(theme.muted))
            axis.label.setFont(ui_font(small=True))
        self._view.showGrid(x=False, y=True, alpha=0.4 if theme.dark else 0.5)
        self._label()

    def _label(self) -> None:
        colour = current_theme().muted.name()
        self._values.setLabel("value", color=colour)
        self._numbers.setLabel("elements (log)" if self._logarithmic else "elements", color=colour)

    def _heights(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.log10(1.0 + counts) if self._logarithmic else counts.astype(float)

    def _draw(self) -> None:
        self._outline.setVisible(self._second is not None)
        if not len(self._counts):
            self._curve.setData([0.0, 1.0], [0.0])
            return
        heights = self._heights(self._counts)
        self._curve.setData(self._edges, heights)
        highest = max(float(heights.max()), 0.5)
        if self._second is not None:
            outline = self._heights(self._second)
            self._outline.setData(self._edges, outline)
            highest = max(highest, float(outline.max()))
        self._view.setXRange(self._edges[0], self._edges[-1], padding=0.02)
        self._view.setYRange(0, highest * 1.04, padding=0)
        ticks = [
            (np.log10(1 + 10**power), short_count(10**power)) for power in range(_MOST_DECADES)
        ]
        self._numbers.setTicks([[(0.0, "0"), *ticks]] if self._logarithmic else None)
        self._label()
        self._mark.setRect(QRectF())

    def _hover(self, place: QPointF) -> None:
        across = self._view.getViewBox().mapSceneToView(place).x()
        number = int(np.searchsorted(self._edges, across, side="right")) - 1
        if 0 <= number < len(self._counts):
            low, high = float(self._edges[number]), float(self._edges[number + 1])
            top = self._view.viewRange()[1][1]
            self._mark.setRect(QRectF(low, 0, high - low, top))
            self.bin_hovered.emit(low, high, int(self._counts[number]))
            self.bin_entered.emit(number)
        else:
            self._leave()

    def leaveEvent(self, event: QEvent) -> None:
        """No bin is read any more."""
        super().leaveEvent(event)
        self._leave()

    def _leave(self) -> None:
        self._mark.setRect(QRectF())
        self.bin_hovered.emit(0.0, 0.0, -1)
        self.bin_entered.emit(-1)
