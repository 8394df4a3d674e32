"""One line below the filter: how many rows it found, or what is wrong with it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.numbers import count_text
from widgets.theme import GRID, ui_font


class FilterStatus(ToneLabel):
    """Lies over the panel: a long sentence takes more lines and moves nothing."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("", "muted", parent)
        self.setObjectName("filterStatus")
        self.setFont(ui_font(small=True))
        self.setWordWrap(True)
        self.setAutoFillBackground(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setContentsMargins(GRID + GRID // 2, GRID // 4, GRID, GRID // 2)

    @property
    def line_height(self) -> int:
        """Pixels that one line takes."""
        return QFontMetrics(self.font()).height() + GRID // 4 + GRID // 2

    def place(self, left: int, top: int, width: int) -> None:
        """Stand here, and be as high as the sentence needs."""
        self.setGeometry(left, top, width, max(self.line_height, self.heightForWidth(width)))
        self.raise_()

    def say_count(self, found: int | None, rows: int) -> None:
        """How many of all rows were found; None where nothing is looked for."""
        if not rows:
            self._say("", "muted")
        elif found is None:
            self._say(f"{count_text(rows)} rows", "muted")
        elif found:
            self._say(f"{count_text(found)} of {count_text(rows)} rows", "muted")
        else:
            self._say(f"No match in {count_text(rows)} rows. Escape shows all.", "warning")

    def say_problem(self, sentence: str, unfinished: bool) -> None:
        """Why a filter cannot be used; quietly while it is still being written."""
        self._say(sentence, "muted" if unfinished else "danger")

    def _say(self, sentence: str, tone: str) -> None:
        if sentence != self.text() or tone != self.tone:
            self.say(sentence, tone)
            self.place(self.x(), self.y(), self.width())
