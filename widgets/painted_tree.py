"""A tree that paints its rows by itself, each in one go: Qt would ask about every cell.

A row costs a third of what a delegate for each of its cells does.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    Qt,
)
from PySide6.QtGui import QCursor, QPainter, QPaintEvent
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem, QTreeView, QWidget

from widgets.theme import GRID, current_theme
from widgets.tree_header import TreeHeader
from widgets.tree_painter import INDENT, ROW, RowPainter
from widgets.tree_row import PLAIN, RowLook, TreeRole

_CURRENT_BAR = 3  # pixels
_LEAST_NAME = 12 * GRID  # room for box, badge and the dots of a name


class PaintedTree(QTreeView):
    """Draws what a model says in :class:`TreeRole` and in the texts of its cells.

    A model may offer ``row_texts(index, columns) -> list[str]``; without it, cells are asked for
    their texts one by one.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hovered = QModelIndex()
        self._cells: list[tuple[int, int, int, bool]] = []  # of other columns: see _measure
        self._name_cell = (0, 0)  # left, width
        self._texts_of: Callable[[QModelIndex, list[int]], list[str]] = _texts_of
        self.setHeader(TreeHeader(self))
        self.setUniformRowHeights(True)
        self.setIndentation(INDENT)
        self.setMouseTracking(True)

    @property
    def tree_header(self) -> TreeHeader:
        """The header, of its own kind."""
        header = self.header()
        assert isinstance(header, TreeHeader)
        return header

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows, all with the measures of this moment."""
        self._measure()
        super().paintEvent(event)

    def _measure(self) -> None:
        """Where columns stand now: (column, left, width, whether it stands at the right)."""
        header = self.tree_header
        model = model_of(self)
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
        self._texts_of = getattr(model, "row_texts", _texts_of)
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
            is_deep = indent + _LEAST_NAME > width  # it would reach into the next cell
            if is_deep:
                painter.save()
                painter.setClipRect(QRect(left, rect.top(), width, rect.height()))
            row.branches(
                QRect(left, rect.top(), indent, rect.height()), is_open if has_rows else None
            )
            name = QRect(left + indent, rect.top(), width - indent, rect.height())
            row.name(name, str(here.data() or ""), look)
            if is_deep:
                painter.restore()
        muted = look.frozen or look.dim
        texts = self._texts_of(here, [cell[0] for cell in self._cells])
        for text, (_, left, width, at_right) in zip(texts, self._cells, strict=True):
            if text:
                row.fact(QRect(left, rect.top(), width, rect.height()), text, muted, at_right)
        if here.row() == self.currentIndex().row() and self.hasFocus():
            self._mark_current(painter, rect, here)

    def _mark_current(self, painter: QPainter, rect: QRect, index: QModelIndex) -> None:
        """A bar at the left edge of the row that the keys act on."""
        if row_id_of(index) == row_id_of(self.currentIndex()):
            painter.fillRect(0, rect.top(), _CURRENT_BAR, rect.height(), current_theme().accent)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()


def _texts_of(index: QModelIndex, columns: list[int]) -> list[str]:
    """Texts of some cells of a row."""
    return [str(index.siblingAtColumn(column).data() or "") for column in columns]


def look_of(index: QModelIndex) -> RowLook:
    """How the row of an index is drawn."""
    look = index.siblingAtColumn(0).data(TreeRole.LOOK)
    return look if isinstance(look, RowLook) else PLAIN


def row_id_of(index: QModelIndex | QPersistentModelIndex) -> int:
    """The id of the row of an index; -1 for none."""
    if not index.isValid():
        return -1
    if index.column():
        index = index.sibling(index.row(), 0)
    row = index.data(TreeRole.ROW_ID)
    return -1 if row is None else int(row)


def model_of(view: QTreeView) -> QAbstractItemModel | None:
    """The model of a view; Qt's type hints leave out that there may be none yet."""
    return view.model()
