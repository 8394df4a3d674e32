"""Painting of a row of the tree.

Everything is drawn from cached pictures, fonts and measures: a cell costs a few calls of the
painter and no look-up of icons.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap, QStaticText

from widgets import icons
from widgets.badges import badge_pixmap
from widgets.theme import GRID, Theme, mix, mono_font, ui_font
from widgets.tree_row import RowLook

ROW: Final = 3 * GRID  # height
BOX: Final = 16
GAP: Final = GRID // 2
INDENT: Final = 2 * GRID
_MARK = 12  # pixels of an icon
_LEVEL = QSize(4 * GRID, 4)  # of a bar
_LEAST_NAME = 8 * GRID  # marks give way before the name gets narrower than this
_DIM = 0.55  # opacity of badges of rows that are there only for those below

# Characters of control as the pictures that Unicode has for them.
_PICTURES = {**{code: 0x2400 + code for code in range(32)}, 127: 0x2421}
_UNSAFE = frozenset(map(chr, _PICTURES))


def one_line(text: str) -> str:
    """A text of the same length without line breaks: any string can be a name."""
    return text.translate(_PICTURES) if not _UNSAFE.isdisjoint(text) else text


def freeze_box(rect: QRect) -> QRect:
    """Where the freeze box stands in a name's cell; as high as the row, easy to hit."""
    return QRect(rect.left() + GAP // 2, rect.top(), BOX + GAP, rect.height())


def name_lead(look: RowLook) -> int:
    """Pixels before the name."""
    return GAP + BOX + GAP + len(look.badges) * (BOX + GAP)


def text_width(text: str) -> int:
    """Pixels that a text takes in a cell."""
    return _width(one_line(text), False)


class RowPainter:
    """Draws ``[freeze box] [badge] name marks`` and plain texts in the colours of one theme."""

    def __init__(self, painter: QPainter, theme: Theme, ratio: float) -> None:
        self._painter = painter
        self._theme = theme
        self._ratio = ratio

    def branches(self, rect: QRect, is_open: bool | None) -> None:
        """Guides for the levels above, and a chevron where there are rows below (not None)."""
        painter, theme = self._painter, self._theme
        if rect.left() < rect.right():
            painter.setPen(_guide_pen(theme))
        # A very deep row has more levels than there is room for.
        guide = rect.right() - INDENT - INDENT // 2 + 1
        top, bottom = rect.top(), rect.top() + rect.height()
        while guide > max(rect.left(), 0):
            painter.drawLine(guide, top, guide, bottom)
            guide -= INDENT
        if is_open is None:
            return
        name = "chevron-down" if is_open else "chevron-right"
        picture = icons.pixmap(name, theme.muted.name(), _MARK, self._ratio)
        left = rect.right() - INDENT + 1 + (INDENT - _MARK) // 2
        painter.drawPixmap(left, top + (rect.height() - _MARK) // 2, picture)

    def name(self, rect: QRect, text: str, look: RowLook) -> None:
        """The first cell of a row, behind the branches."""
        painter, theme, ratio = self._painter, self._theme, self._ratio
        left = rect.left() + GAP
        top = rect.top() + (rect.height() - BOX) // 2
        if look.dim:
            painter.setOpacity(_DIM)
        if look.freeze is not None:
            painter.drawPixmap(left, top, freeze_pixmap(look.freeze, theme, ratio))
        left += BOX + GAP
        for badge in look.badges:
            painter.drawPixmap(left, top, badge_pixmap(badge, theme, ratio))
            left += BOX + GAP
        right = rect.right() - GAP
        if look.live or look.note or look.marks:
            right = self._marks(rect, left, right, look)
        if look.dim:
            painter.setOpacity(1.0)
        text = one_line(text)
        shown = _elided(text, right - left, look.italic)
        if look.spans:
            self._spans(rect, left, text, shown, look)
        # What was found is to be read on its ground, also where it is frozen.
        muted = (look.frozen or look.dim) and not look.spans
        self._text(left, rect, shown, theme.muted if muted else theme.text, look.italic)

    def _marks(self, rect: QRect, left: int, right: int, look: RowLook) -> int:
        """Icons and a word at the end of the cell; where the name has to end."""
        painter, theme = self._painter, self._theme
        tones = []
        if look.live:
            right = self._levels(rect, left, right, look.levels)
            tones = [("live", theme.warning if look.troubled else theme.accent)]
        tones += [(name, theme.muted) for name in look.marks]
        for name, tone in tones:
            if right - _MARK - GAP < left + _LEAST_NAME:
                return right
            right -= _MARK
            picture = icons.pixmap(name, tone.name(), _MARK, self._ratio)
            painter.drawPixmap(right, rect.top() + (rect.height() - _MARK) // 2, picture)
            right -= GAP
        width = _note_width(look.note)
        if look.note and right - width - 2 * GAP > left + _LEAST_NAME:
            frame = QRect(right - width - GAP, rect.top() + GAP, width + GAP, rect.height() - GRID)
            painter.setFont(_note_font())
            painter.setPen(theme.tone(look.note_tone))
            painter.drawText(frame, _LEFT, look.note)
            right = frame.left() - GAP
        return right

    def _levels(self, rect: QRect, left: int, right: int, levels: tuple[float, ...]) -> int:
        """Bars below each other at the end of the cell; where the next mark has to end."""
        start = right - _LEVEL.width()
        if start - _MARK - GAP < left + _LEAST_NAME:
            return right
        painter, theme = self._painter, self._theme
        tall = _LEVEL.height()
        top = rect.top() + (rect.height() - len(levels) * (tall + 1)) // 2
        for level, tone in zip(levels, (theme.accent, theme.buffer), strict=False):
            painter.fillRect(start, top, _LEVEL.width(), tall, theme.faint)
            if math.isnan(level):
                painter.fillRect(start, top, _LEVEL.width(), tall, theme.danger)
            else:
                width = round(min(1.0, max(0.0, level)) * _LEVEL.width())
                painter.fillRect(start, top, width, tall, tone)
            top += tall + 1
        return start - GAP

    def _spans(self, rect: QRect, left: int, text: str, shown: str, look: RowLook) -> None:
        """A ground in the accent under what was found."""
        ground = found_ground(self._theme)
        for start, stop in shown_spans(text, shown, look.spans):
            before = _width(shown[:start], look.italic)
            width = _width(shown[start:stop], look.italic)
            mark = QRect(left + before, rect.top() + GAP, width, rect.height() - 2 * GAP)
            self._painter.fillRect(mark, ground)

    def fact(self, rect: QRect, text: str, muted: bool, at_right: bool) -> None:
        """Any other cell."""
        left = rect.left() + GAP
        room = rect.width() - GAP - (GRID if at_right else GAP)
        # Of several values the first is to be read; of a name its beginning and its end.
        shown = _elided(one_line(text), room, False, at_end=", " in text)
        if at_right:
            left += max(0, room - _width(shown, False))
        self._text(left, rect, shown, self._theme.muted if muted else self._theme.text, False)

    def _text(self, left: int, rect: QRect, text: str, colour: QColor, italic: bool) -> None:
        painter = self._painter
        painter.setFont(_font(italic))
        painter.setPen(colour)
        painter.drawStaticText(left, rect.top() + _text_top(), _static(text, italic))


def found_ground(theme: Theme) -> QColor:
    """Ground of what a filter found: the accent, light enough that text stays readable on it."""
    return mix(theme.accent, theme.base, 0.38 if theme.dark else 0.3)


def shown_spans(text: str, shown: str, spans: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """(start, stop) in ``shown``, a text whose middle was perhaps left out, of pieces of ``text``.

    What is left out is marked at the dots that stand for it.
    """
    pieces = [(start, start + length) for start, length in spans]
    if shown == text:
        return pieces
    head = next((at for at, (a, b) in enumerate(zip(text, shown, strict=False)) if a != b), 0)
    tail = len(text) - (len(shown) - head - 1)  # where in the text the end begins
    found = []
    for start, stop in pieces:
        begin = start if start < head else head if start < tail else start - tail + head + 1
        end = stop if stop <= head else head + 1 if stop <= tail else stop - tail + head + 1
        found.append((begin, end))
    return found


_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)


@lru_cache(maxsize=2)
def _font(italic: bool) -> QFont:
    """All that the tree holds are names, shapes and numbers: one face for every column."""
    font = mono_font()
    font.setItalic(italic)
    return font


@lru_cache(maxsize=2)
def _metrics(italic: bool) -> QFontMetrics:
    return QFontMetrics(_font(italic))


@lru_cache(maxsize=1)
def _note_font() -> QFont:
    return ui_font(small=True)


@lru_cache(maxsize=64)
def _note_width(note: str) -> int:
    return QFontMetrics(_note_font()).horizontalAdvance(note)


@lru_cache(maxsize=4096)
def _width(text: str, italic: bool) -> int:
    """Pixels of a text: measuring costs more than painting."""
    return _metrics(italic).horizontalAdvance(text)


@lru_cache(maxsize=1)
def _text_top() -> int:
    """Pixels from the top of a row to the top of its text."""
    return (ROW - _metrics(False).height()) // 2


@lru_cache(maxsize=8)
def _guide_pen(theme: Theme) -> QPen:
    return QPen(theme.faint, 1)


@lru_cache(maxsize=4096)
def _elided(text: str, width: int, italic: bool, at_end: bool = False) -> str:
    """A text without its middle, or its end, where it is too wide."""
    mode = Qt.TextElideMode.ElideRight if at_end else Qt.TextElideMode.ElideMiddle
    return _metrics(italic).elidedText(text, mode, width)


@lru_cache(maxsize=4096)
def _static(text: str, italic: bool) -> QStaticText:
    """A text laid out once: what a row says is painted again and again."""
    static = QStaticText(text)
    static.setTextFormat(Qt.TextFormat.PlainText)
    static.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)
    static.prepare(font=_font(italic))
    return static


def _paint_flake(painter: QPainter, theme: Theme) -> None:
    """A snowflake of three strokes: any more would be a blot at this size."""
    painter.setPen(QPen(theme.on_accent, 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for degrees in (30, 90, 150):
        across = 4.6 * math.cos(math.radians(degrees))
        up = 4.6 * math.sin(math.radians(degrees))
        middle = BOX / 2
        painter.drawLine(
            QPointF(middle - across, middle - up), QPointF(middle + across, middle + up)
        )


@lru_cache(maxsize=32)
def freeze_pixmap(state: Qt.CheckState, theme: Theme, ratio: float = 1.0) -> QPixmap:
    """The freeze box: empty, half with a bar, or filled with a snowflake."""
    picture = QPixmap(round(BOX * ratio), round(BOX * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    frame = QRectF(1.5, 1.5, BOX - 3, BOX - 3)
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
        painter.drawRoundedRect(QRectF(4, 7, BOX - 8, 2), 1, 1)
    painter.end()
    return picture
