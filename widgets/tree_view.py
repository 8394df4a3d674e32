"""A tree of very many rows with freeze boxes and badges, fed by any item model.

It reads nothing but item roles (:class:`TreeRole`); the first column is the name.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelection,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QTreeView, QWidget

from widgets import icons
from widgets.theme import GRID, Theme, current_theme
from widgets.tree_delegate import RowDelegate, TreeRole

__all__ = ["LazyTreeView", "TreeRole"]

_INDENT = 2 * GRID


class LazyTreeView(QTreeView):
    """The tree itself.

    A model may offer ``index_of(row_id) -> QModelIndex``; without it, :meth:`select_row` searches
    the rows one by one.
    """

    row_activated = Signal(int)
    """Double click or Return on a row."""
    freeze_toggled = Signal(int, bool)
    """The freeze box of one row was clicked: its id, and whether it is to be frozen."""
    freeze_rows_toggled = Signal(list, bool)
    """Instead of ``freeze_toggled`` when several rows are selected and one of them is toggled."""
    current_row_changed = Signal(int)
    """Id of the current row, -1 where there is none."""
    selection_rows_changed = Signal(list)
    """Ids of all selected rows, in the order of the tree."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selected: list[int] | None = None  # ids, None until they are asked for
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setIndentation(_INDENT)
        self.setMouseTracking(True)
        self.setExpandsOnDoubleClick(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.header().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self.header().setHighlightSections(False)
        self._delegate = RowDelegate(self)
        self.setItemDelegate(self._delegate)
        self.activated.connect(self._activate)

    # -- rows ----------------------------------------------------------------------------------

    def selected_rows(self) -> list[int]:
        """Ids of the selected rows; read once per selection, since thousands may be selected."""
        if _model_of(self) is None:
            return []
        if self._selected is None:
            indexes = self.selectionModel().selectedRows(0)
            self._selected = [row for index in indexes if (row := _row_id(index)) >= 0]
        return list(self._selected)

    def reset(self) -> None:
        """Other rows: nothing is selected, and Qt does not tell."""
        self._selected = None
        super().reset()

    def current_row(self) -> int:
        """Id of the current row, -1 where there is none."""
        return _row_id(self.currentIndex())

    def select_row(self, row_id: int) -> bool:
        """Select one row, expand its parents and scroll to it; False where it is not shown."""
        index = self._index_of(row_id)
        if not index.isValid():
            return False
        self.setCurrentIndex(index)
        self.scrollTo(index)
        return True

    def _index_of(self, row_id: int) -> QModelIndex:
        model = _model_of(self)
        if model is None:
            return QModelIndex()
        find = getattr(model, "index_of", None)
        if find is not None:
            found: QModelIndex = find(row_id)
            return found
        return next((index for index in _walk(model) if _row_id(index) == row_id), QModelIndex())

    # -- signals -------------------------------------------------------------------------------

    def currentChanged(
        self,
        current: QModelIndex | QPersistentModelIndex,
        previous: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Tell which row is current."""
        super().currentChanged(current, previous)
        self.current_row_changed.emit(_row_id(current))

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """Tell which rows are selected."""
        self._selected = None
        super().selectionChanged(selected, deselected)
        self.selection_rows_changed.emit(self.selected_rows())

    def _activate(self, index: QModelIndex) -> None:
        row = _row_id(index)
        if row >= 0:
            self.row_activated.emit(row)

    # -- freezing ------------------------------------------------------------------------------

    def toggle_freeze(self, index: QModelIndex) -> None:
        """Ask to freeze a row, or to unfreeze it when all of it is frozen.

        Where the row is one of several selected, the wish is for all of them.
        """
        index = index.siblingAtColumn(0)
        state = index.data(TreeRole.FREEZE)
        if state is None:
            return
        wish = Qt.CheckState(state) != Qt.CheckState.Checked
        rows = self.selected_rows()
        row = _row_id(index)
        if len(rows) > 1 and row in rows:
            self.freeze_rows_toggled.emit(rows, wish)
        else:
            self.freeze_toggled.emit(row, wish)

    def _box_at(self, place: QPoint) -> QModelIndex:
        """Index of the row whose freeze box is at ``place`` (in the viewport); else invalid."""
        index = self.indexAt(place)
        if not index.isValid() or index.column() != 0:
            return QModelIndex()
        box = self._delegate.freeze_box(self.visualRect(index))
        hit = box.contains(place) and index.data(TreeRole.FREEZE) is not None
        return index if hit else QModelIndex()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on a freeze box asks, any other selects."""
        if event.button() == Qt.MouseButton.LeftButton:
            index = self._box_at(event.position().toPoint())
            if index.isValid():
                self.toggle_freeze(index)
                event.accept()
                return
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """The second of two quick clicks on a freeze box is a click as well."""
        if self._box_at(event.position().toPoint()).isValid():
            self.mousePressEvent(event)
        else:
            super().mouseDoubleClickEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand over what can be clicked."""
        over_box = self._box_at(event.position().toPoint()).isValid()
        wanted = Qt.CursorShape.PointingHandCursor if over_box else Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != wanted:
            self.viewport().setCursor(wanted)
        super().mouseMoveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space toggles the freeze box of the current row."""
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            self.toggle_freeze(self.currentIndex())
            event.accept()
        else:
            super().keyPressEvent(event)

    # -- painting ------------------------------------------------------------------------------

    def drawBranches(
        self, painter: QPainter, rect: QRect, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Faint guides for the levels above and a chevron where there are rows below."""
        theme = current_theme()
        height = rect.height()
        painter.setPen(QPen(theme.faint, 1))
        # A very deep row has more levels than the viewport has room for.
        guide = rect.right() - _INDENT - _INDENT // 2 + 1
        while guide > max(rect.left(), 0):
            painter.drawLine(guide, rect.top(), guide, rect.top() + height)
            guide -= _INDENT
        if self.hasFocus() and index.row() == self.currentIndex().row():
            self._mark_current(painter, rect, index, theme)
        if not self.model().hasChildren(index):
            return
        name = "chevron-down" if self.isExpanded(index) else "chevron-right"
        side = 12
        picture = icons.pixmap(name, theme.muted.name(), side, self.devicePixelRatioF())
        painter.drawPixmap(
            rect.right() - _INDENT + 1 + (_INDENT - side) // 2,
            rect.top() + (height - side) // 2,
            picture,
        )

    def _mark_current(
        self,
        painter: QPainter,
        rect: QRect,
        index: QModelIndex | QPersistentModelIndex,
        theme: Theme,
    ) -> None:
        """A bar at the left edge of the row that the keys act on."""
        if _row_id(index) == self.current_row():
            painter.fillRect(rect.left(), rect.top(), 3, rect.height(), theme.accent)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()


def _row_id(index: QModelIndex | QPersistentModelIndex) -> int:
    if not index.isValid():
        return -1
    if index.column():
        index = index.sibling(index.row(), 0)
    row = index.data(TreeRole.ROW_ID)
    return -1 if row is None else int(row)


def _model_of(view: QTreeView) -> QAbstractItemModel | None:
    """The model of a view; Qt's type hints leave out that there may be none yet."""
    return view.model()


def _walk(model: QAbstractItemModel) -> Iterator[QModelIndex]:
    """Every index of column 0, in preorder."""
    waiting = [model.index(row, 0) for row in reversed(range(model.rowCount()))]
    while waiting:
        index = waiting.pop()
        yield index
        waiting += [model.index(row, 0, index) for row in reversed(range(model.rowCount(index)))]
