"""Everything about the selected row: facts, values, and the source of its class."""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from inspector_app.gui.models.watch_words import is_trouble, watch_line
from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.panels.values_panel import ValuesPanel
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import DescribeRow, Detail, Fact, ProbeState
from widgets.code_view import CodeView
from widgets.empty_state import EmptyState
from widgets.facts_view import FactLine, FactsView
from widgets.theme import GRID

_NO_ROW = "Select a row of the tree to see all about it."
_NO_SOURCE = "Select a module whose class is written in a file to read its source here."


class DetailPanel(QWidget):
    """Three tabs of which none moves; an answer for a row that is no longer shown is dropped."""

    def __init__(self, session: Asks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("detailPanel")
        self._session = session
        self._row: int | None = None
        self._asked: int | None = None
        self._probes: dict[int, ProbeState] = {}
        self.tabs = QTabWidget()
        self.tabs.setObjectName("detailTabs")
        self.tabs.setDocumentMode(True)

        self.facts = FactsView()
        self.facts.setObjectName("facts")
        self.facts_empty = EmptyState("info", _NO_ROW)
        self.probe_line = ToneLabel(tone="muted")
        self.probe_line.setObjectName("probeLine")
        self.probe_line.setContentsMargins(GRID, GRID // 2, GRID, GRID // 2)
        self.probe_line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.probe_line.hide()
        full = QWidget()
        rows = QVBoxLayout(full)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self.facts, 1)
        rows.addWidget(self.probe_line)
        self._facts_pages = _pages(self.facts_empty, full)
        self.values = ValuesPanel(session)
        self.source = CodeView()
        self.source.setObjectName("source")
        self.source_empty = EmptyState("code", _NO_SOURCE)
        self._source_pages = _pages(self.source_empty, self.source)
        self.tabs.addTab(self._facts_pages, "Facts")
        self.tabs.addTab(self.values, "Values")
        self.tabs.addTab(self._source_pages, "Source")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.tabs)

    def show_row(self, row_id: int) -> None:
        """Ask for all facts of a row; what is shown stays until they are there."""
        self._row = row_id
        self._show_probe()
        self._drop()
        self._asked = self._session.request(DescribeRow(row=row_id), self._arrived, self._failed)

    def clear(self) -> None:
        """Nothing is selected."""
        self._drop()
        self._row = None
        self._show_probe()
        self._facts_pages.setCurrentIndex(0)
        self.facts_empty.set_sentence(_NO_ROW)
        self._source_pages.setCurrentIndex(0)
        self.source_empty.set_sentence(_NO_SOURCE)
        self.values.show_row(None)

    def show_probes(self, states: list[ProbeState]) -> None:
        """How the probes of all watched rows stand; told of the row shown."""
        self._probes = {state.row: state for state in states}
        self._show_probe()

    def _show_probe(self) -> None:
        state = None if self._row is None else self._probes.get(self._row)
        self.probe_line.setVisible(state is not None)
        if state is not None:
            line = watch_line(state)
            self.probe_line.say(line, "warning" if is_trouble(state) else "muted")
            self.probe_line.setToolTip(f"{line}\n{state.reason}".strip())

    def show_values(self) -> None:
        """Bring the values to the front."""
        self.tabs.setCurrentWidget(self.values)

    def refresh(self) -> None:
        """The model changed: ask again for the row shown."""
        if self._row is not None:
            self.show_row(self._row)

    def _drop(self) -> None:
        if self._asked is not None:
            self._session.cancel(self._asked)
            self._asked = None

    def _failed(self, error: InspectorError) -> None:
        if isinstance(error, Cancelled):
            return
        self._asked = None
        self.facts_empty.set_sentence(error.sentence)
        self._facts_pages.setCurrentIndex(0)
        self.values.show_row(None)

    def _arrived(self, detail: Detail) -> None:
        if detail.row != self._row:
            return
        self._asked = None
        sections = [("", _lines(detail.facts))]
        if detail.registration:
            sections.insert(0, ("Registration", _lines(detail.registration)))
        self.facts.set_sections(detail.path or detail.title, sections)
        self._facts_pages.setCurrentIndex(1)
        if detail.source is not None:
            source = detail.source
            self.source.set_source(f"{source.file}:{source.line}", source.text, source.line)
            self._source_pages.setCurrentIndex(1)
        else:
            self._source_pages.setCurrentIndex(0)
        self.values.show_row(detail)


def _pages(empty: QWidget, full: QWidget) -> QStackedWidget:
    pages = QStackedWidget()
    pages.addWidget(empty)
    pages.addWidget(full)
    return pages


def _lines(facts: list[Fact]) -> list[FactLine]:
    return [FactLine(fact.label, fact.value, fact.exact, fact.tone) for fact in facts]
