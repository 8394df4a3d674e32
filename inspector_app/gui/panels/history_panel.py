"""The list of edits, with undo and redo; edits that were undone stand grey."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QListView, QStackedLayout, QToolBar, QVBoxLayout, QWidget

from widgets.empty_state import EmptyState
from widgets.theme import GRID


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
        self.list = QListView()
        self.list.setObjectName("historyList")
        self.list.setStyleSheet(f"padding-left: {GRID}px")  # in line with the toolbar above
        self.list.setAccessibleName("Edits so far")
        self.list.setModel(model)
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
