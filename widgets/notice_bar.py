"""A line in place that tells what happened and offers a way on; never a modal box."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget
from shiboken6 import isValid

from widgets import icons
from widgets.theme import GRID, current_theme, mix

Tone = Literal["info", "warning", "danger", "good"]


class NoticeBar(QWidget):
    """One notice at a time; the newest takes the place of the one before."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tone: Tone = "info"
        self._detail = ""
        self._had_keyboard: QWidget | None = None  # before a question took it
        self._picture = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._actions: list[QPushButton] = []
        self._copy = _tool_button("copy", "Copy the details")
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._detail))
        self._close = _tool_button("close", "Dismiss")
        self._close.clicked.connect(self.dismiss)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(2 * GRID, GRID // 2, GRID, GRID // 2)
        self._layout.setSpacing(GRID)
        self._layout.addWidget(self._picture)
        self._layout.addWidget(self._text, 1)
        self._layout.addWidget(self._copy)
        self._layout.addWidget(self._close)
        self.setMinimumHeight(5 * GRID)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence shown, empty where there is no notice."""
        return "" if self.isHidden() else self._text.text()

    @property
    def tone(self) -> Tone:
        """Tone of the notice shown last."""
        return self._tone

    def show_notice(
        self,
        text: str,
        tone: Tone = "info",
        actions: list[tuple[str, Callable[[], object]]] | None = None,
        detail: str = "",
    ) -> None:
        """Show a sentence, with buttons that carry out what they name and then dismiss it.

        ``detail`` (a traceback, the last lines of a log) stands in the tooltip and is copied by a
        button of its own.
        """
        self._tone = tone
        self._text.setText(text)
        self._text.setToolTip(detail)
        self._detail = detail
        self._copy.setVisible(bool(detail))
        for button in self._actions:
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._actions = []
        for label, action in actions or []:
            self._add_button(label, partial(self._carry_out, action))
        self._tint()
        self.show()

    def focus_action(self) -> None:
        """Give the keyboard to the first button, for a question that waits for an answer.

        Whoever had it gets it back when the notice goes.
        """
        focused = self.window().focusWidget()
        if self._actions:
            if focused is None or not self.isAncestorOf(focused):
                self._had_keyboard = focused
            self._actions[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def dismiss(self) -> None:
        """Take the notice away."""
        focused = self.window().focusWidget()
        inside = focused is not None and self.isAncestorOf(focused)
        before, self._had_keyboard = self._had_keyboard, None
        if inside and before is not None and isValid(before):
            before.setFocus(Qt.FocusReason.OtherFocusReason)
        self.hide()

    def _add_button(self, label: str, action: Callable[[], object]) -> None:
        button = QPushButton(label)
        button.setObjectName(f"noticeAction_{len(self._actions)}")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keyboard where it is
        button.clicked.connect(lambda: action())
        self._layout.insertWidget(self._layout.count() - 2, button)
        button.show()  # at once, also where the bar is shown already, so that it can have the focus
        self._actions.append(button)

    def _carry_out(self, action: Callable[[], object]) -> None:
        self.dismiss()
        action()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape dismisses, Return presses a button as it does in a dialog."""
        focused = self.window().focusWidget()
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and focused in self._actions:
            next(button for button in self._actions if button is focused).click()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._tint()

    def _tint(self) -> None:
        colour = current_theme().tone(self._tone)
        ratio = self.devicePixelRatioF()
        self._picture.setPixmap(icons.pixmap(self._tone, colour.name(), 2 * GRID, ratio))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Ground in a tint of the tone, with a bar of the full tone at the left."""
        theme = current_theme()
        colour = theme.tone(self._tone)
        painter = QPainter(self)
        painter.fillRect(self.rect(), mix(colour, theme.base, 0.1))
        painter.fillRect(QRectF(0, 0, GRID // 2, self.height()), colour)
        painter.setPen(QPen(mix(colour, theme.base, 0.35), 1))
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)


def _tool_button(name: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icons.icon(name, "muted"))
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button
