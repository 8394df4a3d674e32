"""A label whose colour says what kind of sentence it holds, in every theme."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QWidget

from widgets.theme import current_theme


class ToneLabel(QLabel):
    """Plain text in the tone "plain", "muted", "good", "warning" or "danger"."""

    def __init__(self, text: str = "", tone: str = "plain", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._tone = tone
        self._colour()

    @property
    def tone(self) -> str:
        """The tone shown now."""
        return self._tone

    def say(self, text: str, tone: str = "plain") -> None:
        """Show another sentence."""
        self.setText(text)
        if tone != self._tone:
            self._tone = tone
            self._colour()

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of a new theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ApplicationPaletteChange:
            self._colour()

    def _colour(self) -> None:
        theme = current_theme()
        colour = {
            "muted": theme.muted,
            "good": theme.good,
            "warning": theme.warning,
            "danger": theme.danger,
        }.get(self._tone, theme.text)
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, colour)
        self.setPalette(palette)
