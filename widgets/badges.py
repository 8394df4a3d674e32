"""Badges: small rounded letters that say how a row is held, readable without colour."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap

from widgets.fonts import ui_font
from widgets.theme import Theme, current_theme, mix

SIZE = 16  # pixels


class Badge(NamedTuple):
    """A letter in the colour of a role.

    ``role`` is one of "module", "parameter", "buffer", "attribute", "tensor", "group".  A hollow
    badge is an outline only (a buffer that is not saved); a warning is drawn as a diamond shape
    in the warning tone.
    """

    letter: str
    role: str
    hollow: bool = False
    warning: bool = False


def paint_badge(painter: QPainter, rect: QRect, badge: Badge) -> None:
    """Draw a badge of 16 by 16 pixels in the middle of ``rect``."""
    ratio = painter.device().devicePixelRatioF()
    left = rect.x() + (rect.width() - SIZE) // 2
    top = rect.y() + (rect.height() - SIZE) // 2
    painter.drawPixmap(left, top, badge_pixmap(badge, current_theme(), ratio))


@lru_cache(maxsize=256)
def badge_pixmap(badge: Badge, theme: Theme, ratio: float = 1.0) -> QPixmap:
    """The badge as a picture, made once per theme and pixel ratio."""
    picture = QPixmap(round(SIZE * ratio), round(SIZE * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    colour = theme.warning if badge.warning else theme.tone(badge.role)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _paint_shape(painter, badge, theme, colour)
    font = QFont(ui_font(small=True))
    font.setPixelSize(11)
    font.setWeight(QFont.Weight.DemiBold)
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(QRectF(0, 0, SIZE, SIZE), Qt.AlignmentFlag.AlignCenter, badge.letter)
    painter.end()
    return picture


def _paint_shape(painter: QPainter, badge: Badge, theme: Theme, colour: QColor) -> None:
    """Ground of the letter: modules square, tensors round, so that shape tells as well."""
    frame = QRectF(0.5, 0.5, SIZE - 1, SIZE - 1)
    painter.setPen(QPen(colour, 1))
    if badge.hollow:
        painter.setBrush(Qt.BrushStyle.NoBrush)
    else:
        painter.setPen(QPen(mix(colour, theme.base, 0.45), 1))
        painter.setBrush(mix(colour, theme.base, 0.16))
    radius = 3.0 if badge.role in ("module", "group") else 7.5
    painter.drawRoundedRect(frame, radius, radius)
