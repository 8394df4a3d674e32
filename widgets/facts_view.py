"""Facts about one thing, in sections of label and value; everything can be selected and copied."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextLength,
    QTextTableFormat,
)
from PySide6.QtWidgets import QFrame, QTextEdit, QToolButton, QVBoxLayout, QWidget

from widgets.icons import icon
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
        self._text = QTextEdit()
        self._text.setReadOnly(True)
        self._text.setFrameShape(QFrame.Shape.NoFrame)
        self._text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._text.setUndoRedoEnabled(False)
        self._text.document().setDocumentMargin(GRID)
        self._text.document().setDefaultFont(ui_font())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        self._copy = QToolButton(self)
        self._copy.setIcon(icon("copy", "muted"))
        self._copy.setIconSize(QSize(16, 16))
        self._copy.setToolTip("Copy all facts")
        self._copy.setAccessibleName("Copy all facts")
        self._copy.setCursor(Qt.CursorShape.ArrowCursor)
        self._copy.clicked.connect(self.copy_all)
        self._copy.hide()

    def set_sections(self, title: str, sections: list[Section]) -> None:
        """Show other facts; facts about the same title keep the scroll position."""
        same = title == self._title
        self._title, self._sections = title, sections
        bar = self._text.verticalScrollBar()
        place = bar.value()
        self._write()
        # Its own cursor was carried to the end, and is scrolled to when the widget is shown.
        self._text.moveCursor(QTextCursor.MoveOperation.Start)
        bar.setValue(place if same else 0)
        self._copy.setVisible(bool(title or sections))

    def clear(self) -> None:
        """Show nothing."""
        self.set_sections("", [])

    def text(self) -> str:
        """All facts as lines of plain text, values in full."""
        parts = [self._title]
        for name, lines in self._sections:
            parts.append(f"\n{name}" if name else "")
            parts += [f"{line.label}: {line.exact or line.value}" for line in lines]
        return "\n".join(parts).strip()

    def copy_all(self) -> None:
        """Put all facts on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.set_sections(self._title, self._sections)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the copy button in its corner."""
        super().resizeEvent(event)
        size = self._copy.sizeHint()
        self._copy.setGeometry(
            self.width() - size.width() - 2 * GRID, GRID // 2, size.width(), size.height()
        )

    # -- writing -------------------------------------------------------------------------------

    def _write(self) -> None:
        document = self._text.document()
        document.clear()
        cursor = QTextCursor(document)
        cursor.beginEditBlock()
        room = QTextBlockFormat()
        room.setRightMargin(5 * GRID)  # for the copy button
        room.setLeftMargin(GRID / 4)
        cursor.setBlockFormat(room)
        theme = current_theme()
        title_font = mono_font()
        title_font.setBold(True)
        cursor.insertText(self._title, _format(title_font, theme.text))
        for name, lines in self._sections:
            self._write_section(cursor, name, lines)
        cursor.endEditBlock()

    def _write_section(self, cursor: QTextCursor, name: str, lines: list[FactLine]) -> None:
        theme = current_theme()
        head = QTextBlockFormat()
        head.setTopMargin(1.5 * GRID)
        head.setBottomMargin(GRID // 4)
        head.setLeftMargin(GRID / 4)  # where the cells' text begins
        cursor.movePosition(QTextCursor.MoveOperation.End)
        font = ui_font(small=True)
        font.setWeight(QFont.Weight.DemiBold)
        cursor.insertBlock(head)
        cursor.insertText(name, _format(font, theme.muted))
        if not lines:
            return
        layout = QTextTableFormat()
        layout.setBorder(0)
        layout.setCellSpacing(0)
        layout.setCellPadding(GRID / 4)
        layout.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
        layout.setColumnWidthConstraints(
            [
                QTextLength(QTextLength.Type.FixedLength, 16 * GRID),
                QTextLength(QTextLength.Type.VariableLength, 0),
            ]
        )
        table = cursor.insertTable(len(lines), 2, layout)
        for row, line in enumerate(lines):
            label = _format(ui_font(), theme.muted)
            table.cellAt(row, 0).firstCursorPosition().insertText(line.label, label)
            font = ui_font() if _is_sentence(line.value) else mono_font()
            value = _format(font, theme.tone(line.tone))
            value.setToolTip(line.exact)
            table.cellAt(row, 1).firstCursorPosition().insertText(line.value, value)
        cursor.movePosition(QTextCursor.MoveOperation.End)


def _format(font: QFont, colour: QColor) -> QTextCharFormat:
    form = QTextCharFormat()
    form.setFont(font)
    form.setForeground(colour)
    return form


def _is_sentence(value: str) -> bool:
    """Sentences are set in the face for words; names, shapes and numbers in the other."""
    words = [word.strip(".,;:()") for word in value.split()]
    alphabetic = [word.isalpha() for word in words]
    return all(alphabetic) or sum(alphabetic) >= 2
