"""One histogram in a plot with axes.

pyqtgraph is imported when the first histogram is drawn: it would take the window's start from
0.25 s to 0.9 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QHBoxLayout,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from widgets import plotting
from widgets.elided_label import ElidedLabel
from widgets.empty_state import EmptyState
from widgets.numbers import count_text, value_text
from widgets.theme import GRID, mono_font, set_tone, ui_font

if TYPE_CHECKING:
    from widgets.histogram_plot import HistogramPlot


class HistogramView(QWidget):
    """A filled step outline, with units and the row's name as the title."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._underline = ""
        self._plot: HistogramPlot | None = None
        self.empty = EmptyState("chart", "Select a tensor to see how its values are spread.")
        self._title = ElidedLabel()
        title_font = mono_font()
        title_font.setWeight(QFont.Weight.Bold)
        self._title.setFont(title_font)
        self._line = ElidedLabel()
        self._line.setFont(ui_font(small=True))
        set_tone(self._line, "muted")
        self.log_button = QToolButton()
        self.log_button.setText("log")
        self.log_button.setFont(ui_font(small=True))
        self.log_button.setCheckable(True)
        self.log_button.setProperty("framed", True)  # see the style sheet
        self.log_button.setToolTip("Logarithmic counts: rare values are seen beside a spike")
        self.log_button.toggled.connect(self._set_logarithmic)
        head = QHBoxLayout()
        head.setSpacing(GRID)
        head.addWidget(self._title, 1)
        head.addWidget(self.log_button)
        self._page = QWidget()
        self._page.setBackgroundRole(QPalette.ColorRole.Base)
        self._page.setAutoFillBackground(True)
        self._column = QVBoxLayout(self._page)
        self._column.setContentsMargins(GRID, GRID // 2, GRID, GRID // 2)
        self._column.setSpacing(2)
        self._column.addLayout(head)
        self._column.addWidget(self._line)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._page)

    def set_histogram(
        self,
        title: str,
        low: float,
        high: float,
        counts: NDArray[np.int64],
        *,
        underline: str = "",
    ) -> None:
        """Draw ``counts`` of equal bins between ``low`` and ``high``.

        ``underline`` says below the title what the histogram is of (all elements, a sample).
        """
        if self._plot is None:
            plotting.ready()
            from widgets.histogram_plot import HistogramPlot

            self._plot = HistogramPlot()
            self._plot.bin_hovered.connect(self._read)
            self._column.addWidget(self._plot, 1)
        self._underline = underline
        self._title.setText(title)
        self._plot.set_histogram(low, high, counts)
        self._stack.setCurrentWidget(self._page)
        self._say(underline)

    def clear(self) -> None:
        """Back to the empty state."""
        self._stack.setCurrentWidget(self.empty)

    @property
    def showing(self) -> bool:
        """Whether a histogram is shown, not the empty state."""
        return self._stack.currentWidget() is self._page

    def _set_logarithmic(self, on: bool) -> None:
        if self._plot is not None:
            self._plot.set_logarithmic(on)

    def _read(self, low: float, high: float, count: int) -> None:
        """The bin under the pointer; a negative count means none."""
        if count < 0:
            self._say(self._underline)
            return
        elements = "1 element" if count == 1 else f"{count_text(count)} elements"
        self._say(f"{value_text(low)} … {value_text(high)}:  {elements}")

    def _say(self, words: str) -> None:
        self._line.setText(words or " ")

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._plot is not None:
            self._plot.take_theme()
