"""Statistics and histogram of one tensor, measured when it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import Detail, Measure, Statistics
from widgets import plotting
from widgets.empty_state import EmptyState
from widgets.facts_view import FactLine, FactsView
from widgets.numbers import count_text, value_text

if TYPE_CHECKING:
    from widgets.histogram_view import HistogramView

_PATIENCE = 200  # milliseconds
_NO_VALUES = "Select a parameter, a buffer or another tensor that holds values to see them here."


class ValuesPanel(QWidget):
    """Asks for the statistics of the row shown once it is visible, and drops stale answers."""

    def __init__(self, session: Asks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("valuesPanel")
        self._session = session
        self._detail: Detail | None = None
        self._slow = QTimer(self)  # what is shown stays until a measure takes long
        self._slow.setSingleShot(True)
        self._slow.setInterval(_PATIENCE)
        self._slow.timeout.connect(lambda: self._say("Measuring…"))
        self._asked: tuple[int, int] | None = None  # request, row
        self.measured: int | None = None  # row whose statistics are shown
        self._histogram: HistogramView | None = None
        self.empty = EmptyState("chart", _NO_VALUES)
        self.facts = FactsView()
        self.facts.setObjectName("valuesFacts")
        self._page = QWidget()
        self._column = QVBoxLayout(self._page)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self.facts, 1)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self._page)

    def show_row(self, detail: Detail | None) -> None:
        """Speak of another row; None for none."""
        self._forget()
        self._detail = detail
        self.measured = None
        if detail is None or not detail.has_values:
            self._say(_NO_VALUES)
        elif self.isVisible():
            self._measure()

    def refresh(self) -> None:
        """The values may have changed: measure again when looked at."""
        self._forget()
        self.measured = None
        if self.isVisible():
            self._measure()

    def showEvent(self, event: QShowEvent) -> None:
        """Measure what was selected while hidden."""
        super().showEvent(event)
        self._measure()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: give the work up."""
        super().hideEvent(event)
        self._forget()

    def _forget(self) -> None:
        self._slow.stop()
        if self._asked is not None:
            self._session.cancel(self._asked[0])
            self._asked = None

    def _measure(self) -> None:
        detail = self._detail
        if detail is None or not detail.has_values or detail.row == self.measured:
            return
        if self._asked is not None and self._asked[1] == detail.row:
            return
        number = self._session.request(
            Measure(row=detail.row), self._arrived, self._failed, f"Measuring {detail.title}"
        )
        self._asked = (number, detail.row)
        self._slow.start()

    def _failed(self, error: InspectorError) -> None:
        if isinstance(error, Cancelled):
            return
        self._asked = None
        self._slow.stop()
        self._say(error.sentence)

    def _say(self, sentence: str) -> None:
        self.empty.set_sentence(sentence)
        self._pages.setCurrentWidget(self.empty)

    def _arrived(self, found: Statistics) -> None:
        if self._detail is None or found.row != self._detail.row:
            return
        self._asked = None
        self._slow.stop()
        self.measured = found.row
        view = self._histogram_view()
        self._pages.setCurrentWidget(self._page)  # first: a hidden text scrolls as it likes
        lines = [("Statistics of all elements", statistics_lines(found))]
        self.facts.set_sections(self._detail.path or self._detail.title, lines)
        view.set_histogram(self._detail.path, found.low, found.high, found.counts)

    def _histogram_view(self) -> HistogramView:
        """Made on first use: its plotting library would double the start of the program."""
        if self._histogram is None:
            plotting.ready()
            from widgets.histogram_view import HistogramView

            self._histogram = HistogramView()
            self._histogram.setObjectName("valuesHistogram")
            self._column.addWidget(self._histogram, 1)
        return self._histogram


def statistics_lines(found: Statistics) -> list[FactLine]:
    """What is worth a line, with exact values in the tooltip."""

    def measured(label: str, value: float | None) -> FactLine:
        if value is None:
            return FactLine(label, "none", "There is no finite element.", "quiet")
        return FactLine(label, value_text(value), repr(value))

    share = f" ({found.zeros / found.count:.1%})" if found.count else ""
    infinite = found.positive_infinity + found.negative_infinity
    lost = f"{count_text(found.nan)} NaN, {count_text(infinite)} infinite"
    positive, negative = count_text(found.positive_infinity), count_text(found.negative_infinity)
    return [
        FactLine("Elements", count_text(found.count)),
        FactLine(
            "Not finite",
            lost,
            f"+inf {positive}, -inf {negative}",
            "danger" if found.nan or infinite else "quiet",
        ),
        measured("Mean", found.mean),
        measured("Deviation", found.deviation),
        measured("Minimum", found.minimum),
        measured("Maximum", found.maximum),
        measured("Norm", found.norm),
        FactLine("Zeros", count_text(found.zeros) + share),
    ]
