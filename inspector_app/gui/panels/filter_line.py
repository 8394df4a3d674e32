"""The line to filter the tree with: completes what it can, and opens the help of its language."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QRect, QStringListModel, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView, QWidget

from inspector_app.gui.filtering.completing import complete
from inspector_app.protocol.table import RowTable
from widgets.icons import icon
from widgets.theme import GRID, mono_font

_OF_COMPLETIONS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape, Qt.Key.Key_Tab)
_ROWS = 12  # of the list of completions


class FilterLine(QLineEdit):
    """``left`` for the tree with Return or Down, ``escaped`` with Escape."""

    left = Signal()
    escaped = Signal()
    help_asked = Signal()

    def __init__(self, table: Callable[[], RowTable], parent: QWidget | None = None) -> None:
        """``table`` gives the rows whose values complete what is typed."""
        super().__init__(parent)
        self._table = table
        self._start = 0  # of what a completion replaces
        self.setObjectName("filter")
        self.setAccessibleName("Filter rows")
        self.setPlaceholderText("Filter: a piece of a path, class:Conv*, dtype:bf16, >1M")
        self.setClearButtonEnabled(True)
        self.addAction(icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.help_action = QAction(icon("help", "muted"), "What can be written here", self)
        self.help_action.triggered.connect(self.help_asked)
        self.addAction(self.help_action, QLineEdit.ActionPosition.TrailingPosition)
        self._options = QStringListModel(self)
        self.completions = QListView()
        self.completions.setObjectName("completions")
        self.completions.setAccessibleName("What can be written next")
        self.completions.setFont(mono_font())
        self.completer_list = QCompleter(self._options, self)
        self.completer_list.setPopup(self.completions)
        self.completer_list.setWidget(self)
        self.completer_list.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self.completer_list.setMaxVisibleItems(_ROWS)
        self.completer_list.activated[str].connect(self._take)  # type: ignore[index]
        self.textEdited.connect(lambda _: self._offer())

    def _offer(self, keys: bool = False) -> None:
        """Show what could come next, where there is anything."""
        done = complete(self.text(), self.cursorPosition(), self._table(), keys=keys)
        if not done.options:
            if self.completions.isVisible():
                self.completions.hide()
            return
        self._start = done.start
        self._options.setStringList([option.text for option in done.options])
        place = QRect(self.cursorRect().left(), 0, 36 * GRID, self.height() + GRID // 4)
        self.completer_list.complete(place)

    def _take(self, option: str) -> None:
        """Put a completion in the place of what was typed."""
        text, cursor = self.text(), self.cursorPosition()
        self.setText(text[: self._start] + option + text[cursor:])
        self.setCursorPosition(self._start + len(option))
        if option.endswith(":"):
            self._offer()

    def event(self, event: QEvent) -> bool:
        """Escape is ours while the line has the focus, whatever command has it elsewhere."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that mean something else than text."""
        key, control = event.key(), event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if self.completions.isVisible() and key in _OF_COMPLETIONS:
            chosen = self.completions.selectionModel().hasSelection()
            if chosen or key == Qt.Key.Key_Escape:
                event.ignore()  # the completer takes it then
                return
            self.completions.hide()
        if key == Qt.Key.Key_Escape:
            self.escaped.emit()
        elif key == Qt.Key.Key_Space and control:
            self._offer(keys=True)
        elif key in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left.emit()
        else:
            super().keyPressEvent(event)
            return
        event.accept()
