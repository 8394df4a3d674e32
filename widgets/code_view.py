"""Python source with line numbers and the colours of the theme; read only."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from widgets.theme import mono_font


class CodeView(QWidget):
    """A title (file and line) above the text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel()
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setFont(mono_font())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._title)
        layout.addWidget(self._text, 1)

    def set_source(self, title: str, text: str, first_line: int) -> None:
        """Show ``text``, whose first line has the number ``first_line``."""
        self._title.setText(title)
        self._text.setPlainText(text)

    def clear(self) -> None:
        """Show nothing."""
        self.set_source("", "", 1)
