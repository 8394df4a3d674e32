"""A label whose colour says what kind of sentence it holds, in every theme."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from widgets.theme import set_tone


class ToneLabel(QLabel):
    """Plain text in the tone "plain", "muted", "good", "warning" or "danger"."""

    def __init__(self, text: str = "", tone: str = "plain", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._tone = tone
        self._reserved = False
        self._elided = False
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

    def elide(self) -> None:
        """Take whatever width there is: the sentence's end gives way to an ellipsis."""
        self._elided = True
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def shown_text(self) -> str:
        """What there is room for."""
        if not self._elided:
            return self.text()
        return self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width()
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what there is room for."""
        if not self._elided:
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), self.shown_text())

    def hasHeightForWidth(self) -> bool:
        """Not where lines are reserved: QLabel sets its size policy anew with every text."""
        return not self._reserved and super().hasHeightForWidth()
