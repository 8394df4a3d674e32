"""The tree's header: a click sorts upwards, the next downwards, the third not at all."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFontMetrics, QMouseEvent, QPainter
from PySide6.QtWidgets import QHeaderView, QWidget

from widgets import icons
from widgets.theme import GRID, current_theme, ui_font

_ARROW = 12  # pixels


class TreeHeader(QHeaderView):
    """Columns can be dragged to other places, but for the first, which holds the branches."""

    menu_requested = Signal(QPoint, int)
    """A menu was asked for: where on the screen, and for which column (-1: beside all)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionsClickable(True)
        self.setSectionsMovable(True)
        self.setFirstSectionMovable(False)
        self.setHighlightSections(False)
        self.setSortIndicatorShown(True)
        self.setSortIndicatorClearable(True)
        self.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setMinimumSectionSize(4 * GRID)
        self.setStretchLastSection(False)
        self.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setMouseTracking(True)
        self._pointed = -1

    @property
    def visible_sections(self) -> list[int]:
        """Columns that are shown, from left to right."""
        return [
            column
            for place in range(self.count())
            if not self.isSectionHidden(column := self.logicalIndex(place))
        ]

    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:
        """The title, and an arrow where rows are sorted by it."""
        theme = current_theme()
        painter.save()
        hovered = logicalIndex == self._pointed
        painter.fillRect(rect, theme.hover if hovered else theme.window)
        painter.setPen(theme.border)
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.setPen(theme.faint)
        painter.drawLine(
            rect.right(), rect.top() + GRID // 2, rect.right(), rect.bottom() - GRID // 2
        )
        model = self.model()
        title = str(model.headerData(logicalIndex, Qt.Orientation.Horizontal) or "")
        align = model.headerData(
            logicalIndex, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole
        )
        at_right = bool(align and Qt.AlignmentFlag(align) & Qt.AlignmentFlag.AlignRight)
        sorted_here = self.sortIndicatorSection() == logicalIndex
        inner = rect.adjusted(GRID // 2 + (GRID // 2 if not at_right else 0), 0, -GRID, 0)
        font = ui_font()
        metrics = QFontMetrics(font)
        room = inner.width() - (_ARROW + GRID // 2 if sorted_here else 0)
        text = metrics.elidedText(title, Qt.TextElideMode.ElideRight, max(0, room))
        width = metrics.horizontalAdvance(text)
        left = inner.left() + (max(0, room - width) if at_right else 0)
        painter.setFont(font)
        painter.setPen(theme.text if sorted_here or hovered else theme.muted)
        painter.drawText(QRect(left, rect.top(), width + 1, rect.height()), _MIDDLE, text)
        if sorted_here:
            up = self.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder
            picture = icons.pixmap(
                "sort-up" if up else "sort-down",
                theme.accent.name(),
                _ARROW,
                self.devicePixelRatioF(),
            )
            top = rect.top() + (rect.height() - _ARROW) // 2
            painter.drawPixmap(left + width + GRID // 2, top, picture)
        painter.restore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Remember which title is under the pointer."""
        self._point_at(self.logicalIndexAt(event.position().toPoint()))
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: object) -> None:
        """None is."""
        self._point_at(-1)
        super().leaveEvent(event)  # type: ignore[arg-type]

    def _point_at(self, column: int) -> None:
        if column != self._pointed:
            self._pointed = column
            self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of columns."""
        self.menu_requested.emit(event.globalPos(), self.logicalIndexAt(event.pos()))

    def sizeHintForColumn(self, column: int) -> int:
        """Pixels that a title and its arrow take."""
        title = self.model().headerData(column, Qt.Orientation.Horizontal)
        return QFontMetrics(ui_font()).horizontalAdvance(str(title)) + _ARROW + 3 * GRID


_MIDDLE = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
