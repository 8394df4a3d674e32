"""Painting of one cell of the tree.

Everything is drawn from cached pictures and fonts: a cell costs a few calls of the painter and no
look-up of icons.
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import lru_cache

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
)

from widgets import icons
from widgets.badges import badge_pixmap
from widgets.theme import GRID, Theme, current_theme, mix, mono_font

Index = QModelIndex | QPersistentModelIndex


class TreeRole(IntEnum):
    """What a row tells the tree beside its text; all are read from column 0 but MATCH's text."""

    BADGES = Qt.ItemDataRole.UserRole + 1
    """A sequence of :class:`widgets.badges.Badge`."""
    FREEZE = Qt.ItemDataRole.UserRole + 2
    """``Qt.CheckState``: Checked frozen, PartiallyChecked in part, Unchecked trainable; None where
    there is nothing to freeze."""
    FROZEN = Qt.ItemDataRole.UserRole + 3
    """True where the row is drawn muted because nothing in it is trained."""
    TIED = Qt.ItemDataRole.UserRole + 4
    """True (or the path of the other row, for the tooltip) where the memory is shared."""
    ITALIC = Qt.ItemDataRole.UserRole + 5
    """True where there is no data behind the row yet (meta, lazy)."""
    MATCH = Qt.ItemDataRole.UserRole + 6
    """(start, length) of the part of the text that the filter found."""
    ROW_ID = Qt.ItemDataRole.UserRole + 7
    """The row's own id, an int of 0 or more."""
    LIVE = Qt.ItemDataRole.UserRole + 8
    """True where a probe watches the row."""


FREEZE_TIPS = {
    Qt.CheckState.Checked: "Frozen: the optimizer will not change it. Click to unfreeze.",
    Qt.CheckState.PartiallyChecked: "Partly frozen. Click to freeze all of it.",
    Qt.CheckState.Unchecked: "Trainable. Click to freeze.",
}

_ROW = 3 * GRID
_BOX = 16
_GAP = GRID // 2


class RowDelegate(QStyledItemDelegate):
    """Draws ``[freeze box] [badge] name`` in column 0 and plain text in the others."""

    def freeze_box(self, rect: QRect) -> QRect:
        """Where the freeze box stands in a cell of column 0; as high as the row, easy to hit."""
        return QRect(rect.left() + _GAP // 2, rect.top(), _BOX + _GAP, rect.height())

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """A row is three grid steps high; the width fits the text."""
        text = index.data(Qt.ItemDataRole.DisplayRole)
        metrics = _metrics(False)
        width = metrics.horizontalAdvance(str(text)) if text is not None else 0
        lead = self._lead(index) if index.column() == 0 else 0
        return QSize(lead + width + 2 * GRID, _ROW)

    def _lead(self, index: Index) -> int:
        """Pixels before the name."""
        badges = index.data(TreeRole.BADGES) or ()
        return _GAP + _BOX + _GAP + len(badges) * (_BOX + _GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw a cell over the row's ground."""
        theme = current_theme()
        rect: QRect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, theme.selection)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.hover)
        if index.column() == 0:
            self._paint_name(painter, rect, index, theme)
        else:
            self._paint_fact(painter, rect, index, theme)

    def _paint_name(self, painter: QPainter, rect: QRect, index: Index, theme: Theme) -> None:
        ratio = painter.device().devicePixelRatioF()
        left = rect.left() + _GAP
        top = rect.top() + (rect.height() - _BOX) // 2
        state = index.data(TreeRole.FREEZE)
        if state is not None:
            painter.drawPixmap(left, top, freeze_pixmap(Qt.CheckState(state), theme, ratio))
        left += _BOX + _GAP
        for badge in index.data(TreeRole.BADGES) or ():
            painter.drawPixmap(left, top, badge_pixmap(badge, theme, ratio))
            left += _BOX + _GAP
        right = rect.right() - _GAP
        for name, role, tone in (
            ("link", TreeRole.TIED, "muted"),
            ("live", TreeRole.LIVE, "accent"),
        ):
            if index.data(role):
                right -= 12 + _GAP
                picture = icons.pixmap(name, theme.tone(tone).name(), 12, ratio)
                painter.drawPixmap(right + _GAP, rect.top() + (rect.height() - 12) // 2, picture)
        italic = bool(index.data(TreeRole.ITALIC))
        text_rect = QRect(left, rect.top(), right - left, rect.height())
        text = one_line(str(index.data(Qt.ItemDataRole.DisplayRole) or ""))
        metrics = _metrics(italic)
        shown = _elided(text, text_rect.width(), italic)
        match = index.data(TreeRole.MATCH)
        if match and shown == text:
            start, length = match
            before = metrics.horizontalAdvance(text[:start])
            width = metrics.horizontalAdvance(text[start : start + length])
            mark = QRect(left + before, rect.top() + _GAP, width, rect.height() - 2 * _GAP)
            painter.fillRect(mark, mix(theme.warning, theme.base, 0.32))
        painter.setFont(_font(italic))
        painter.setPen(theme.muted if index.data(TreeRole.FROZEN) else theme.text)
        painter.drawText(text_rect, _LEFT, shown)

    def _paint_fact(self, painter: QPainter, rect: QRect, index: Index, theme: Theme) -> None:
        text = index.data(Qt.ItemDataRole.DisplayRole)
        if not text:
            return
        alignment = index.data(Qt.ItemDataRole.TextAlignmentRole)
        number = bool(alignment and Qt.AlignmentFlag(alignment) & Qt.AlignmentFlag.AlignRight)
        inner = rect.adjusted(_GAP, 0, -GRID if number else -_GAP, 0)
        shown = _elided(one_line(str(text)), inner.width(), False)
        painter.setFont(_font(False))
        frozen = index.sibling(index.row(), 0).data(TreeRole.FROZEN)
        painter.setPen(theme.muted if frozen else theme.text)
        painter.drawText(inner, _RIGHT if number else _LEFT, shown)

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: Index,
    ) -> bool:
        """Over a freeze box, say what a click does; elsewhere the model's own tooltip."""
        if event.type() == QEvent.Type.ToolTip and index.isValid() and index.column() == 0:
            state = index.data(TreeRole.FREEZE)
            if state is not None and self.freeze_box(option.rect).contains(event.pos()):
                QToolTip.showText(event.globalPos(), FREEZE_TIPS[Qt.CheckState(state)], view)
                return True
        return super().helpEvent(event, view, option, index)


# Characters of control as the pictures that Unicode has for them.
_PICTURES = {**{code: 0x2400 + code for code in range(32)}, 127: 0x2421}


def one_line(text: str) -> str:
    """A text of the same length without line breaks: any string can be a name."""
    return text.translate(_PICTURES)


_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)


@lru_cache(maxsize=2)
def _font(italic: bool) -> QFont:
    """All that the tree holds are names, shapes and numbers: one face for every column."""
    font = mono_font()
    font.setItalic(italic)
    return font


@lru_cache(maxsize=2)
def _metrics(italic: bool) -> QFontMetrics:
    return QFontMetrics(_font(italic))


@lru_cache(maxsize=4096)
def _elided(text: str, width: int, italic: bool) -> str:
    """A text without its middle where it is too wide: measuring costs more than painting."""
    return _metrics(italic).elidedText(text, Qt.TextElideMode.ElideMiddle, width)


def _paint_flake(painter: QPainter, theme: Theme) -> None:
    """A snowflake of three strokes: any more would be a blot at this size."""
    painter.setPen(QPen(theme.on_accent, 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for degrees in (30, 90, 150):
        across = 4.6 * math.cos(math.radians(degrees))
        up = 4.6 * math.sin(math.radians(degrees))
        middle = _BOX / 2
        painter.drawLine(
            QPointF(middle - across, middle - up), QPointF(middle + across, middle + up)
        )


@lru_cache(maxsize=32)
def freeze_pixmap(state: Qt.CheckState, theme: Theme, ratio: float = 1.0) -> QPixmap:
    """The freeze box: empty, half with a bar, or filled with a snowflake."""
    picture = QPixmap(round(_BOX * ratio), round(_BOX * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    frame = QRectF(1.5, 1.5, _BOX - 3, _BOX - 3)
    frozen = state == Qt.CheckState.Checked
    partial = state == Qt.CheckState.PartiallyChecked
    painter.setPen(QPen(theme.accent if frozen or partial else theme.muted, 1))
    painter.setBrush(theme.accent if frozen else theme.base)
    painter.drawRoundedRect(frame, 3, 3)
    if frozen:
        _paint_flake(painter, theme)
    elif partial:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.accent)
        painter.drawRoundedRect(QRectF(4, 7, _BOX - 8, 2), 1, 1)
    painter.end()
    return picture
