"""How the values of one tensor would change: two histograms over each other, and a table.

pyqtgraph is imported when the first one is drawn, as in :mod:`widgets.histogram_view`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from widgets import plotting
from widgets.elided_label import ElidedLabel
from widgets.numbers import count_text, value_text
from widgets.theme import GRID, current_theme, mix, mono_font, set_tone, ui_font

if TYPE_CHECKING:
    from widgets.histogram_plot import HistogramPlot


class Compared(NamedTuple):
    """One line of the table: a value as it is and as it would be, and both in full."""

    before: str
    after: str
    exact_before: str = ""
    exact_after: str = ""


class _Swatch(QWidget):
    """How one of the histograms is drawn, in small."""

    def __init__(self, filled: bool) -> None:
        super().__init__()
        self._filled = filled
        self.setFixedSize(QSize(2 * GRID, GRID + GRID // 2))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = current_theme()
        painter = QPainter(self)
        box = self.rect().adjusted(0, 1, -1, -2)
        if self._filled:
            painter.fillRect(box, mix(theme.accent, theme.base, 0.28))
            painter.setPen(QPen(theme.accent, 1))
            painter.drawRect(box)
        else:
            painter.setPen(QPen(theme.text, 1, Qt.PenStyle.DashLine))
            painter.drawLine(box.left(), box.center().y(), box.right(), box.center().y())


class ComparisonView(QWidget):
    """Before as a dashed outline, after as a filled one; keeps its size whatever it shows."""

    def __init__(self, labels: list[str], parent: QWidget | None = None) -> None:
        """``labels`` of the table's lines."""
        super().__init__(parent)
        self.setObjectName("comparison")
        self._plot: HistogramPlot | None = None
        self._before: NDArray[np.int64] = np.zeros(0, np.int64)
        self._after = self._before
        self._range = (0.0, 1.0)
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
        legend = QHBoxLayout()
        legend.setSpacing(GRID // 2)
        for filled, word in ((False, "before"), (True, "after")):
            name = QLabel(word)
            name.setFont(ui_font(small=True))
            set_tone(name, "muted")
            legend.addWidget(_Swatch(filled))
            legend.addWidget(name)
            legend.addSpacing(GRID)
        legend.addWidget(self._line, 1)
        legend.addWidget(self.log_button)
        self._frame = QWidget()
        self._frame.setBackgroundRole(QPalette.ColorRole.Base)
        self._frame.setAutoFillBackground(True)
        self._frame.setMinimumHeight(16 * GRID)
        self._place = QVBoxLayout(self._frame)
        self._place.setContentsMargins(GRID, GRID // 2, GRID, GRID // 2)
        self._place.addLayout(legend)
        self._place.addStretch(1)
        self._table = QGridLayout()
        self._table.setHorizontalSpacing(2 * GRID)
        self._table.setVerticalSpacing(GRID // 4)
        self._table.setColumnStretch(1, 1)
        self._table.setColumnStretch(2, 1)
        for cell, word in zip(self._table_row(0, ""), ("Before", "After"), strict=True):
            cell.setText(word)
            cell.setFont(ui_font(small=True))
            set_tone(cell, "muted")
        self._labels = labels
        self._cells = [self._table_row(row, label) for row, label in enumerate(labels, 1)]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addWidget(self._frame, 1)
        column.addLayout(self._table)

    def _table_row(self, row: int, label: str) -> tuple[QLabel, QLabel]:
        name = QLabel(label)
        set_tone(name, "muted")
        self._table.addWidget(name, row, 0)
        cells = QLabel(" "), QLabel(" ")
        for column, cell in enumerate(cells, 1):
            cell.setTextFormat(Qt.TextFormat.PlainText)
            cell.setFont(mono_font())
            cell.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._table.addWidget(cell, row, column)
        return cells

    def show_comparison(
        self,
        low: float,
        high: float,
        before: NDArray[np.int64],
        after: NDArray[np.int64],
        lines: list[Compared],
    ) -> None:
        """Draw counts of equal bins between ``low`` and ``high``; one line for each label."""
        if self._plot is None:
            plotting.ready()
            from widgets.histogram_plot import HistogramPlot

            self._plot = HistogramPlot()
            self._plot.bin_entered.connect(self._read)
            self._plot.set_logarithmic(self.log_button.isChecked())
            self._place.takeAt(self._place.count() - 1)  # the stretch that kept its room
            self._place.addWidget(self._plot, 1)
        self._before, self._after, self._range = before, after, (low, high)
        self._plot.set_histogram(low, high, after, before)
        self._plot.show()
        self._line.setText("")
        for (first, second), line in zip(self._cells, lines, strict=True):
            first.setText(line.before)
            first.setToolTip(line.exact_before)
            second.setText(line.after)
            second.setToolTip(line.exact_after)

    @property
    def shown(self) -> dict[str, tuple[str, str]]:
        """The table: label -> before and after."""
        texts = [(first.text(), second.text()) for first, second in self._cells]
        return dict(zip(self._labels, texts, strict=True))

    def _set_logarithmic(self, on: bool) -> None:
        if self._plot is not None:
            self._plot.set_logarithmic(on)

    def _read(self, number: int) -> None:
        """The bin under the pointer; -1 where there is none."""
        if not 0 <= number < len(self._before):
            self._line.setText("")
            return
        low, high = self._range
        width = (high - low) / len(self._before)
        left, right = low + number * width, low + (number + 1) * width
        self._line.setText(
            f"{value_text(left)} … {value_text(right)}:  {count_text(int(self._before[number]))} "
            f"before, {count_text(int(self._after[number]))} after"
        )

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._plot is not None:
            self._plot.take_theme()
