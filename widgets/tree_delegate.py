"""Sizes and tooltips of the tree's cells; the view paints whole rows by itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
)

from widgets.theme import GRID
from widgets.tree_painter import ROW, freeze_box, name_lead, one_line, text_width
from widgets.tree_row import PLAIN, TreeRole

__all__ = ["RowDelegate", "one_line"]

Index = QModelIndex | QPersistentModelIndex

FREEZE_TIPS = {
    Qt.CheckState.Checked: "Frozen: the optimizer will not change it. Click to unfreeze.",
    Qt.CheckState.PartiallyChecked: "Partly frozen. Click to freeze all of it.",
    Qt.CheckState.Unchecked: "Trainable. Click to freeze.",
}


class RowDelegate(QStyledItemDelegate):
    """What a view has to know of a cell beside its paint."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """A row is three grid steps high; the width fits the text."""
        text = index.data(Qt.ItemDataRole.DisplayRole)
        width = text_width(str(text)) if text is not None else 0
        lead = name_lead(index.data(TreeRole.LOOK) or PLAIN) if index.column() == 0 else 0
        return QSize(lead + width + 2 * GRID, ROW)

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: Index,
    ) -> bool:
        """Over a freeze box, say what a click does; elsewhere the model's own tooltip."""
        if event.type() == QEvent.Type.ToolTip and index.isValid() and index.column() == 0:
            freeze = (index.data(TreeRole.LOOK) or PLAIN).freeze
            if freeze is not None and freeze_box(option.rect).contains(event.pos()):
                QToolTip.showText(event.globalPos(), FREEZE_TIPS[freeze], view)
                return True
        return super().helpEvent(event, view, option, index)
