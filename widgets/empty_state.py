"""What an empty panel shows: one sentence that says what would fill it, and a button that does."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from widgets import icons
from widgets.theme import GRID, current_theme, mix, set_tone


class EmptyState(QWidget):
    """An icon, a sentence and, where there is something to do, a button."""

    clicked = Signal()

    def __init__(
        self,
        icon: str,
        sentence: str,
        button_text: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._sentence = QLabel(sentence, alignment=Qt.AlignmentFlag.AlignCenter)
        self._sentence.setWordWrap(True)
        set_tone(self._sentence, "muted")
        self.button = QPushButton(button_text or "")
        self.button.setVisible(button_text is not None)
        self.button.clicked.connect(self.clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        layout.setSpacing(GRID)
        layout.addStretch()
        layout.addWidget(self._picture)
        layout.addWidget(self._sentence)
        layout.addWidget(self.button, alignment=Qt.AlignmentFlag.AlignCenter)
        layout.addStretch()
        self._tint()

    @property
    def sentence(self) -> str:
        """What is said now."""
        return self._sentence.text()

    def set_sentence(self, sentence: str) -> None:
        """Say something else."""
        self._sentence.setText(sentence)

    def set_icon(self, icon: str) -> None:
        """Show another icon."""
        self._icon = icon
        self._tint()

    def set_button(self, text: str | None) -> None:
        """Name the button; None takes it away."""
        self.button.setText(text or "")
        self.button.setVisible(text is not None)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._tint()

    def _tint(self) -> None:
        theme = current_theme()
        colour = mix(theme.muted, theme.base, 0.7)
        ratio = self.devicePixelRatioF()
        self._picture.setPixmap(icons.pixmap(self._icon, colour.name(), 4 * GRID, ratio))
