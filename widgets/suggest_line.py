"""A line to type in, with a menu of what is often typed."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QMenu, QWidget

from widgets.icons import icon


class Suggestion(NamedTuple):
    """One entry of the menu: what it is called, what it means as text, and more about it."""

    title: str
    text: str
    explanation: str = ""


class SuggestLine(QLineEdit):
    """Down, or a click on the arrow, opens the menu; ``suggested(text)`` once one was taken.

    What is taken replaces the text, unless a subclass says otherwise in :meth:`take`.
    """

    suggested = Signal(str)

    def __init__(self, suggestions: list[Suggestion], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        for suggestion in suggestions:
            action = self.menu.addAction(suggestion.title)
            action.setToolTip(suggestion.explanation)
            action.triggered.connect(lambda _=False, text=suggestion.text: self._taken(text))
        opener = QAction(icon("chevron-down", "muted"), "Suggestions", self)
        opener.triggered.connect(self.open_menu)
        self.addAction(opener, QLineEdit.ActionPosition.TrailingPosition)

    def open_menu(self) -> None:
        """Show what can be taken, below the line."""
        self.menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def take(self, text: str) -> None:
        """Put a suggestion in."""
        self.setText(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Down opens the menu, as in a box of choices."""
        if event.key() == Qt.Key.Key_Down:
            self.open_menu()
        else:
            super().keyPressEvent(event)

    def _taken(self, text: str) -> None:
        self.take(text)
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.suggested.emit(text)
