"""Facts about one thing, in sections of label and value; everything can be selected and copied."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QMenu,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from widgets.theme import GRID, current_theme, mono_font, ui_font

FactTone = Literal["plain", "good", "warning", "danger", "quiet"]


class FactLine(NamedTuple):
    """One line: ``exact`` is the value in full, shown as the tooltip and copied."""

    label: str
    value: str
    exact: str = ""
    tone: FactTone = "plain"


Section = tuple[str, list[FactLine]]


class FactsView(QWidget):
    """A title and sections of facts, scrolling when they are many."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = ""
        self._sections: list[Section] = []
        self._heading = QLabel()
        self._page = QWidget()
        self._grid = QGridLayout(self._page)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidget(self._page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._heading)
        layout.addWidget(self._scroll, 1)

    def set_sections(self, title: str, sections: list[Section]) -> None:
        """Show other facts."""
        self._title, self._sections = title, sections
        self._heading.setText(title)
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        row = 0
        for name, lines in sections:
            self._grid.addWidget(QLabel(name), row, 0, 1, 2)
            row += 1
            for line in lines:
                self._grid.addWidget(QLabel(line.label), row, 0)
                value = QLabel(line.value)
                value.setToolTip(line.exact)
                self._grid.addWidget(value, row, 1)
                row += 1
        self._grid.setRowStretch(row, 1)

    def clear(self) -> None:
        """Show nothing."""
        self.set_sections("", [])
