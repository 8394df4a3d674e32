"""A tree of very many rows with freeze boxes, badges and marks, fed by any item model.

It reads nothing but the texts of cells and the roles of :class:`TreeRole`; the first column is the
name.  A row is painted in one go: Qt asks a model about each cell, this asks about each row.
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
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QCursor,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from widgets.theme import current_theme
from widgets.tree_delegate import RowDelegate
from widgets.tree_header import TreeHeader
from widgets.tree_painter import INDENT, ROW, RowPainter, freeze_box
from widgets.tree_row import PLAIN, RowLook, TreeRole

__all__ = ["LazyTreeView", "RowLook", "TreeRole"]

_CURRENT_BAR = 3  # pixels
_NO_TEXT_KEYS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


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
        self._hovered = QModelIndex()
        self._cells: list[tuple[int, int, int, bool]] = []  # of other columns: see _measure
        self._name_cell = (0, 0)
        self.setHeader(TreeHeader(self))
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setIndentation(INDENT)
        self.setMouseTracking(True)
        self.setExpandsOnDoubleClick(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSortingEnabled(True)
        self._delegate = RowDelegate(self)
        self.setItemDelegate(self._delegate)
        self.activated.connect(self._activate)

    @property
    def tree_header(self) -> TreeHeader:
        """The header, of its own kind."""
        header = self.header()
        assert isinstance(header, TreeHeader)
        return header

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
        # Not setCurrentIndex: that adds to the selection while Shift or Ctrl is held.
        command = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, command.ClearAndSelect | command.Rows)
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
        state = _look(index).freeze
        if state is None:
            return
        wish = state != Qt.CheckState.Checked
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
        hit = freeze_box(self.visualRect(index)).contains(place) and _look(index).freeze is not None
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

    # -- painting ------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows, all with the measures of this moment."""
        self._measure()
        super().paintEvent(event)

    def _measure(self) -> None:
        """Where columns stand now: (column, left, width, whether it stands at the right)."""
        header = self.tree_header
        model = _model_of(self)
        self._cells = []
        if model is None:
            return
        room = self.viewport().rect()
        for column in header.visible_sections:
            left, width = header.sectionViewportPosition(column), header.sectionSize(column)
            if column == 0:
                self._name_cell = (left, width)
            elif left + width > room.left() and left < room.right():
                align = model.headerData(
                    column, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole
                )
                at_right = bool(align and Qt.AlignmentFlag(align) & Qt.AlignmentFlag.AlignRight)
                self._cells.append((column, left, width, at_right))
        place = self.viewport().mapFromGlobal(QCursor.pos())
        under = self.viewport().underMouse() and room.contains(place)
        self._hovered = self.indexAt(place).siblingAtColumn(0) if under else QModelIndex()

    def drawRow(
        self,
        painter: QPainter,
        options: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """A whole row: ground, branches, name, and all other cells in sight."""
        theme = current_theme()
        rect, state = options.rect, options.state
        here = QModelIndex(index)  # type: ignore[arg-type]  # it takes both
        row = RowPainter(painter, theme, self.devicePixelRatioF())
        if self.selectionModel().isSelected(here):
            painter.fillRect(rect, theme.selection)
        elif here == self._hovered:
            painter.fillRect(rect, theme.hover)
        elif (rect.top() + self.verticalOffset()) // ROW % 2:
            painter.fillRect(rect, theme.alternate)
        look = here.data(TreeRole.LOOK) or PLAIN
        left, width = self._name_cell
        if left + width > 0:
            indent = self.visualRect(here).left() - left
            is_open = bool(state & QStyle.StateFlag.State_Open)
            has_rows = bool(state & QStyle.StateFlag.State_Children)
            painter.save()
            painter.setClipRect(QRect(left, rect.top(), width, rect.height()))
            row.branches(
                QRect(left, rect.top(), indent, rect.height()), is_open if has_rows else None
            )
            name = QRect(left + indent, rect.top(), width - indent, rect.height())
            row.name(name, str(here.data() or ""), look)
            painter.restore()
        muted = look.frozen or look.dim
        for column, left, width, at_right in self._cells:
            text = here.siblingAtColumn(column).data()
            if text:
                row.fact(QRect(left, rect.top(), width, rect.height()), str(text), muted, at_right)
        if here.row() == self.currentIndex().row() and self.hasFocus():
            self._mark_current(painter, rect, here)

    def _mark_current(self, painter: QPainter, rect: QRect, index: QModelIndex) -> None:
        """A bar at the left edge of the row that the keys act on."""
        if _row_id(index) == self.current_row():
            painter.fillRect(0, rect.top(), _CURRENT_BAR, rect.height(), current_theme().accent)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()


def _look(index: QModelIndex) -> RowLook:
    look = index.siblingAtColumn(0).data(TreeRole.LOOK)
    return look if isinstance(look, RowLook) else PLAIN


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
