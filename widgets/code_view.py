"""Python source with line numbers and the colours of the theme; read only."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QGuiApplication, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from widgets.elided_label import ElidedLabel
from widgets.icons import icon
from widgets.python_colours import PythonColours
from widgets.theme import GRID, current_theme, mono_font, ui_font


class CodeView(QWidget):
    """A title (file and line) above the text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = ElidedLabel()
        self._title.setFont(ui_font(small=True))
        self._copy = QToolButton()
        self._copy.setIcon(icon("copy", "muted"))
        self._copy.setIconSize(QSize(16, 16))
        self._copy.setToolTip("Copy the source")
        self._copy.setAccessibleName("Copy the source")
        self._copy.clicked.connect(self.copy_all)
        self._text = _NumberedText()
        self._colours = PythonColours(self._text.document())
        head = QHBoxLayout()
        head.setContentsMargins(GRID, GRID // 2, GRID, GRID // 2)
        head.addWidget(self._title, 1)
        head.addWidget(self._copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._text, 1)
        self._copy.hide()

    def set_source(self, title: str, text: str, first_line: int) -> None:
        """Show ``text``, whose first line has the number ``first_line``."""
        self._title.setText(title)
        self._copy.setVisible(bool(text))
        self._text.set_text(text, first_line)

    def text(self) -> str:
        """The source shown."""
        return self._text.toPlainText()

    def clear(self) -> None:
        """Show nothing."""
        self.set_source("", "", 1)

    def copy_all(self) -> None:
        """Put the source on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._colours.take_theme()


class _NumberedText(QPlainTextEdit):
    """Text with a margin for line numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._first_line = 1
        self._margin = _Margin(self)
        self.setReadOnly(True)
        self.setFont(mono_font())
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTabStopDistance(4 * QFontMetrics(mono_font()).horizontalAdvance(" "))
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.updateRequest.connect(self._scroll_margin)

    def set_text(self, text: str, first_line: int) -> None:
        self._first_line = first_line
        self.setPlainText(text)
        self.setViewportMargins(self.margin_width() if text else 0, 0, 0, 0)
        self._margin.update()

    def margin_width(self) -> int:
        """Room for the widest line number."""
        digits = len(str(self._first_line + self.blockCount()))
        return QFontMetrics(mono_font()).horizontalAdvance("0") * max(3, digits) + 2 * GRID

    def _scroll_margin(self, rect: QRect, shift: int) -> None:
        if shift:
            self._margin.scroll(0, shift)
        else:
            self._margin.update(0, rect.y(), self._margin.width(), rect.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        inside = self.contentsRect()
        self._margin.setGeometry(
            QRect(inside.left(), inside.top(), self.margin_width(), inside.height())
        )

    def paint_margin(self, event: QPaintEvent) -> None:
        """Numbers of the lines in sight."""
        theme = current_theme()
        painter = QPainter(self._margin)
        painter.fillRect(event.rect(), theme.alternate)
        edge = self._margin.width() - 1
        painter.setPen(QPen(theme.faint, 1))
        painter.drawLine(edge, event.rect().top(), edge, event.rect().bottom())
        if not self.document().isEmpty():
            painter.setFont(mono_font())
            painter.setPen(theme.muted)
            self._paint_numbers(painter, event)
        painter.end()

    def _paint_numbers(self, painter: QPainter, event: QPaintEvent) -> None:
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        while block.isValid() and top <= event.rect().bottom():
            height = self.blockBoundingRect(block).height()
            place = QRect(0, round(top), self._margin.width() - GRID, round(height))
            number = str(self._first_line + block.blockNumber())
            painter.drawText(place, Qt.AlignmentFlag.AlignRight, number)
            top += height
            block = block.next()


class _Margin(QWidget):
    """Left of the text, painted by it."""

    def __init__(self, text: _NumberedText) -> None:
        super().__init__(text)
        self._text = text

    def paintEvent(self, event: QPaintEvent) -> None:
        self._text.paint_margin(event)
