"""A label whose colour says what kind of sentence it holds, in every theme."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from widgets.theme import set_tone


class ToneLabel(QLabel):
    """Plain text in the tone "plain", "muted", "good", "warning" or "danger"."""

    def __init__(self, text: str = "", tone: str = "plain", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._tone = tone
        self._reserved = False
        set_tone(self, tone)

    @property
    def tone(self) -> str:
        """The tone shown now."""
        return self._tone

    def say(self, text: str, tone: str = "plain") -> None:
        """Show another sentence."""
        self.setText(text)
        if tone != self._tone:
            self._tone = tone
            set_tone(self, tone)

    def reserve_lines(self, height: int) -> None:
        """Wrap within ``height`` pixels, whatever is said: nothing around it moves.

        The layout is not asked to follow the text: Qt's forms then give rows less than they need.
        """
        self._reserved = True
        self.setWordWrap(True)
        self.setMinimumHeight(height)

    def hasHeightForWidth(self) -> bool:
        """Not where lines are reserved: QLabel sets its size policy anew with every text."""
        return not self._reserved and super().hasHeightForWidth()
