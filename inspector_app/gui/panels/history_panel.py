"""The list of edits, with undo and redo; edits that were undone stand grey."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QEvent, QSize, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QListView,
    QStackedLayout,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.models.history_model import Index
from widgets.empty_state import EmptyState
from widgets.theme import GRID


class _NarrowDelegate(QStyledItemDelegate):
    """Asks for no width, so that long titles lose their middle and nothing scrolls sideways."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(0, super().sizeHint(option, index).height())


class _HistoryList(QListView):
    """Copies what it shows: the command that copies rows of the tree has the same keys."""

    def event(self, event: QEvent) -> bool:
        copies = (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Copy)
        )
        if copies:
            event.accept()
        return copies or super().event(event)


class HistoryPanel(QWidget):
    """Shows a history model; the journal itself lives in the backend."""

    def __init__(
        self, model: QAbstractItemModel, undo: QAction, redo: QAction, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("historyPanel")
        bar = QToolBar()
        bar.setObjectName("historyBar")
        bar.addAction(undo)
        bar.addAction(redo)
        bar.setIconSize(QSize(2 * GRID, 2 * GRID))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.list = _HistoryList()
        self.list.setObjectName("historyList")
        self.list.setStyleSheet(f"padding-left: {GRID}px")  # in line with the toolbar above
        self.list.setAccessibleName("Edits so far")
        self.list.setModel(model)
        self.list.setItemDelegate(_NarrowDelegate(self.list))
        self.list.setIconSize(QSize(2 * GRID, 2 * GRID))
        self.list.setUniformItemSizes(True)
        self.list.setSpacing(GRID // 4)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        empty = EmptyState("history", "Edits of the model are listed here and can be undone.")
        self._pages = QStackedLayout()
        self._pages.addWidget(empty)
        self._pages.addWidget(self.list)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addLayout(self._pages, 1)
        model.modelReset.connect(self._model_changed)
        model.rowsInserted.connect(self._model_changed)
        model.rowsRemoved.connect(self._model_changed)
        self._model_changed()

    def _model_changed(self) -> None:
        self._pages.setCurrentIndex(1 if self.list.model().rowCount() else 0)
        self.list.scrollToBottom()
