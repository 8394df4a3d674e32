"""A tree of very many rows with freeze boxes, badges and marks, fed by any item model.

It reads nothing but the texts of cells and the roles of :class:`TreeRole`; the first column is the
name.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import (
    QAbstractItemModel,
    QElapsedTimer,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QWidget,
)

from widgets.painted_tree import PaintedTree, look_of, model_of, row_id_of
from widgets.tree_delegate import RowDelegate
from widgets.tree_painter import INDENT, freeze_box
from widgets.tree_row import RowLook, TreeRole

__all__ = ["LazyTreeView", "RowLook", "TreeRole"]


_NO_TEXT_KEYS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


class LazyTreeView(PaintedTree):
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
    expand_below_asked = Signal()
    """The star was pressed: all below the selected rows is to be opened."""
    escaped = Signal()
    """Escape was pressed."""
    menu_requested = Signal(QPoint)
    """A menu for the selected rows was asked for, at a place on the screen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selected: list[int] | None = None  # ids, None until they are asked for
        self._typing = QElapsedTimer()  # since the last letter of a name that is looked for
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setExpandsOnDoubleClick(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSortingEnabled(True)
        self._delegate = RowDelegate(self)
        self.setItemDelegate(self._delegate)
        self.activated.connect(self._activate)

    # -- rows ----------------------------------------------------------------------------------

    def selected_rows(self) -> list[int]:
        """Ids of the selected rows; read once per selection, since thousands may be selected."""
        if model_of(self) is None:
            return []
        if self._selected is None:
            indexes = self.selectionModel().selectedRows(0)
            self._selected = [row for index in indexes if (row := row_id_of(index)) >= 0]
        return list(self._selected)

    def reset(self) -> None:
        """Other rows: nothing is selected, and Qt does not tell."""
        self._selected = None
        super().reset()

    def current_row(self) -> int:
        """Id of the current row, -1 where there is none."""
        return row_id_of(self.currentIndex())

    def select_row(self, row_id: int) -> bool:
        """Select one row, expand its parents and scroll to it; False where it is not shown."""
        index = self._index_of(row_id)
        if not index.isValid():
            return False
        # Not setCurrentIndex: that adds to the selection while Shift or Ctrl is held.
        command = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, command.ClearAndSelect | command.Rows)
        self.scrollTo(index)
        return True

    def rows_in_sight(self) -> list[QModelIndex]:
        """The rows that can be seen now, from the top."""
        rows = []
        index = self.indexAt(QPoint(0, 0))
        bottom = self.viewport().height()
        while index.isValid() and self.visualRect(index).top() < bottom:
            rows.append(index)
            index = self.indexBelow(index)
        return rows

    def _index_of(self, row_id: int) -> QModelIndex:
        model = model_of(self)
        if model is None:
            return QModelIndex()
        find = getattr(model, "index_of", None)
        if find is not None:
            found: QModelIndex = find(row_id)
            return found
        return next((index for index in _walk(model) if row_id_of(index) == row_id), QModelIndex())

    # -- signals -------------------------------------------------------------------------------

    def currentChanged(
        self,
        current: QModelIndex | QPersistentModelIndex,
        previous: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Tell which row is current."""
        super().currentChanged(current, previous)
        self.current_row_changed.emit(row_id_of(current))

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """Tell which rows are selected."""
        self._selected = None
        super().selectionChanged(selected, deselected)
        self.selection_rows_changed.emit(self.selected_rows())

    def _activate(self, index: QModelIndex) -> None:
        row = row_id_of(index)
        if row >= 0:
            self.row_activated.emit(row)

    # -- freezing ------------------------------------------------------------------------------

    def toggle_freeze(self, index: QModelIndex) -> None:
        """Ask to freeze a row, or to unfreeze it when all of it is frozen.

        Where the row is one of several selected, the wish is for all of them.
        """
        state = look_of(index).freeze
        if state is None:
            return
        wish = state != Qt.CheckState.Checked
        rows = self.selected_rows()
        row = row_id_of(index)
        if len(rows) > 1 and row in rows:
            self.freeze_rows_toggled.emit(rows, wish)
        else:
            self.freeze_toggled.emit(row, wish)

    def _box_at(self, place: QPoint) -> QModelIndex:
        """Index of the row whose freeze box is at ``place`` (in the viewport); else invalid."""
        index = self.indexAt(place)
        if not index.isValid() or index.column() != 0:
            return QModelIndex()
        has_box = look_of(index).freeze is not None
        hit = has_box and freeze_box(self.visualRect(index)).contains(place)
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

    # -- keys ----------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """While a name is being typed its letters are not commands."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and self._is_typing(event)
        ):
            event.accept()
            return True
        return super().event(event)

    def _is_typing(self, event: QKeyEvent) -> bool:
        pause = QGuiApplication.styleHints().keyboardInputInterval()
        begun = self._typing.isValid() and self._typing.elapsed() < pause
        text = event.text()
        return begun and bool(text) and text.isprintable() and not event.modifiers() & _NO_TEXT_KEYS

    def keyboardSearch(self, search: str) -> None:
        """Go to the next row whose name begins with what was typed."""
        self._typing.start()
        super().keyboardSearch(search)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of the tree; letters look for a name."""
        key = event.key()
        index = self.currentIndex()
        if self._is_typing(event):
            super().keyPressEvent(event)
            return
        menu_keys = key == Qt.Key.Key_F10 and event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        if key == Qt.Key.Key_Menu or menu_keys:
            self.menu_requested.emit(self._menu_place())
        elif key == Qt.Key.Key_Asterisk:
            self.expand_below_asked.emit()
        elif event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
            return
        elif key == Qt.Key.Key_Apostrophe:
            self._typing.start()  # the letters to come are a name, also those that are commands
        elif key == Qt.Key.Key_Space:
            self.toggle_freeze(index)
        elif key == Qt.Key.Key_Escape:
            self.escaped.emit()
        elif key == Qt.Key.Key_Left:
            self._go_left(index)
        elif key == Qt.Key.Key_Right:
            self._go_right(index)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _go_left(self, index: QModelIndex) -> None:
        """Close a row, or go to the one above it."""
        index = index.siblingAtColumn(0)
        if self.isExpanded(index) and self.model().hasChildren(index):
            self.collapse(index)
        elif index.parent().isValid():
            self.setCurrentIndex(index.parent())

    def _go_right(self, index: QModelIndex) -> None:
        """Open a row, or go to the first one below it."""
        index = index.siblingAtColumn(0)
        if not self.model().hasChildren(index):
            return
        if self.isExpanded(index):
            self.setCurrentIndex(self.model().index(0, 0, index))
        else:
            self.expand(index)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for a menu; where a key did, at the current row."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        self.menu_requested.emit(self._menu_place() if by_key else event.globalPos())
        event.accept()

    def _menu_place(self) -> QPoint:
        """On the screen, below the name of the current row."""
        index = self.currentIndex().siblingAtColumn(0)
        self.scrollTo(index)
        place = self.visualRect(index).bottomLeft() + QPoint(INDENT, 0)
        room = self.viewport().rect()
        place.setX(min(max(place.x(), room.left()), room.right()))
        place.setY(min(max(place.y(), room.top()), room.bottom()))
        return self.viewport().mapToGlobal(place)


def _walk(model: QAbstractItemModel) -> Iterator[QModelIndex]:
    """Every index of column 0, in preorder."""
    waiting = [model.index(row, 0) for row in reversed(range(model.rowCount()))]
    while waiting:
        index = waiting.pop()
        yield index
        waiting += [model.index(row, 0, index) for row in reversed(range(model.rowCount(index)))]
