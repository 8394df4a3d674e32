"""The tree with its filter."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QGraphicsOpacityEffect, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.changes import difference
from inspector_app.protocol.table import RowTable
from widgets.icons import icon
from widgets.numbers import count_text
from widgets.theme import GRID
from widgets.tree_view import LazyTreeView

_GREY = 0.5  # opacity
_OPENED = 500  # matches whose parents are opened
_MOST_OPENED = 4_000  # rows that one command brings into view
_WIDTHS = (30, 18, 14, 15, 7, 11, 9)  # of the columns, in grid units


class TreePanel(QWidget):
    """Filter box above, tree below; Escape clears the filter, Down and Return go to the tree.

    ``told(text, tone, detail)`` tells a person.
    """

    told = Signal(str, str, str)

    def __init__(self, model: RowTreeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("treePanel")
        self._model = model
        self._target = ""
        self._name_width = _WIDTHS[0] * GRID  # as it was fitted; 0 once a person chose one
        self._expanded: list[int] = []  # ids of the rows open before the filter
        self.filter = QLineEdit()
        self.filter.setObjectName("filter")
        self.filter.setAccessibleName("Filter rows by path")
        self.filter.setPlaceholderText("Filter by path (Ctrl+F)")
        self.filter.setClearButtonEnabled(True)
        self.filter.addAction(icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.matches = ToneLabel(tone="muted")
        self.matches.setObjectName("filterMatches")
        self.view = LazyTreeView()
        self.view.setObjectName("tree")
        self.view.setAccessibleName("Rows of the model")
        self.view.setModel(model)
        for column, width in enumerate(_WIDTHS):
            self.view.setColumnWidth(column, width * GRID)

        bar = QHBoxLayout()
        bar.setContentsMargins(GRID, GRID, GRID, GRID)
        bar.setSpacing(GRID)
        bar.addWidget(self.filter, 1)
        bar.addWidget(self.matches)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 0, 0, 0)
        column_layout.setSpacing(0)
        column_layout.addLayout(bar)
        column_layout.addWidget(self.view, 1)
        model.values_changed.connect(self.view.viewport().update)
        self.filter.textChanged.connect(self._filter_changed)
        self.filter.installEventFilter(self)
        self.view.viewport().installEventFilter(self)
        self.view.header().sectionResized.connect(self._resized)

    def _resized(self, column: int, _: int, size: int) -> None:
        """A person made a column wider or narrower: from then on names keep their width."""
        if column == 0 and size != self._name_width:
            self._name_width = 0

    def _fit_names(self) -> None:
        """Names take what the other columns leave."""
        if self._name_width:
            others = sum(self.view.columnWidth(column) for column in range(1, len(_WIDTHS)))
            self._name_width = max(_WIDTHS[0] * GRID, self.view.viewport().width() - others)
            self.view.setColumnWidth(0, self._name_width)

    def focus_filter(self) -> None:
        """Ready to type what to look for."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def show_target(self, table: RowTable, target: str, title: str) -> None:
        """Show the rows of another target, its root open and current.

        Where the same one was opened again, what is open and selected stays so.
        """
        again, self._target = target == self._target, target
        if again:
            self._model.apply_change(difference(self._model.table, table))
            self.view.current_row_changed.emit(self.view.current_row())
            return
        self._expanded = []
        self.filter.clear()
        self._model.set_table(table, title)
        if len(table):
            root = int(table.ids[0])
            self.view.expand(self._model.index_of(root))
            self.view.select_row(root)

    def set_grey(self, grey: bool) -> None:
        """Show that the rows are only what is remembered of a model; they can still be read."""
        effect = None
        if grey:
            effect = QGraphicsOpacityEffect(self.view.viewport())
            effect.setOpacity(_GREY)
        self.view.viewport().setGraphicsEffect(effect)  # type: ignore[arg-type]

    def expand_below(self, rows: list[int], opened: bool) -> None:
        """Open or close rows and all below them; of very many, only the upper levels are opened."""
        if opened:
            self._open_levels([self._model.index_of(row) for row in rows])
            return
        for row in rows:
            for index in reversed(self._open_below(self._model.index_of(row))):
                self.view.collapse(index)

    def _open_levels(self, level: list[QModelIndex]) -> None:
        """Open level by level: laying out a row takes Qt some 25 microseconds."""
        levels = came = 0
        while level:
            below = sum(self._model.rowCount(index) for index in level)
            if levels and came + below > _MOST_OPENED:
                words = "level" if levels == 1 else f"{count_text(levels)} levels"
                self.told.emit(
                    f"Opened the first {words}: more would be over {count_text(_MOST_OPENED)} rows "
                    "at once. Select rows further down to open all below them.",
                    "info",
                    "",
                )
                return
            for index in level:
                self.view.expand(index)
            levels, came = levels + 1, came + below
            level = [
                child
                for index in level
                for row in range(self._model.rowCount(index))
                if self._model.hasChildren(child := self._model.index(row, 0, index))
            ]

    def _open_below(self, index: QModelIndex) -> list[QModelIndex]:
        """The open ones of a row and of all below it, each after the one above it."""
        found: list[QModelIndex] = []
        waiting = [index]
        while waiting:
            index = waiting.pop()
            if self.view.isExpanded(index):
                found.append(index)
                rows = range(self._model.rowCount(index))
                waiting += [self._model.index(row, 0, index) for row in rows]
        return found

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys of the filter box that mean something else than text; a new width of the tree."""
        if watched is self.view.viewport() and event.type() == QEvent.Type.Resize:
            self._fit_names()
        if watched is self.filter and event.type() == QEvent.Type.KeyPress:
            assert isinstance(event, QKeyEvent)
            if event.key() == Qt.Key.Key_Escape:
                self.filter.clear()
                self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return True
            if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
                for row in self._model.matches()[:1]:
                    self.view.select_row(row)
                self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return True
        return super().eventFilter(watched, event)

    def _filter_changed(self, text: str) -> None:
        if not self._model.filter:
            self._expanded = [
                self._model.row_id(index) for index in self._open_below(self._model.index(0, 0))
            ]
        self._model.set_filter(text)
        if not self._model.filter:
            self._unfilter()
            return
        found = self._model.matches()
        words = f"{count_text(len(found))} match{'' if len(found) == 1 else 'es'}"
        self.matches.say(words, "muted" if found else "warning")
        above: set[int] = set()
        for row in found[:_OPENED]:
            index = self._model.index_of(row).parent()
            while index.isValid() and index.internalId() not in above:
                above.add(index.internalId())
                self.view.expand(index)
                index = index.parent()

    def _unfilter(self) -> None:
        """Open what was open before, and keep the current row in sight."""
        self.matches.say("")
        current = self.view.current_row()
        self.view.collapseAll()
        self.view.scheduleDelayedItemsLayout()  # once for all, not again for each of them
        for row in self._expanded:
            self.view.expand(self._model.index_of(row))
        if current >= 0:
            self.view.select_row(current)
