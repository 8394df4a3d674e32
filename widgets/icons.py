"""Icons from SVG files, tinted with the colours of the theme.

An icon reads the theme whenever it is painted, so an action keeps one QIcon through every switch.
Tinted pixmaps are kept per name, colour, size and pixel ratio.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from widgets.theme import current_theme, mix

_folder = Path()


def set_icon_folder(path: str | Path) -> None:
    """Say where the SVG files lie; call it once before the first icon is painted."""
    global _folder
    _folder = Path(path)
    _source.cache_clear()
    pixmap.cache_clear()


def icon(name: str, tone: str = "text") -> QIcon:
    """The icon of a file ``name.svg`` in a colour of the theme ("text", "accent", "danger", ...).

    A name without a file gives an empty icon.
    """
    return QIcon(_TintedIcon(name, tone))


@lru_cache(maxsize=1024)
def pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """A square tinted pixmap, ``size`` in logical pixels; ``colour`` as ``#rrggbb``."""
    physical = max(1, round(size * ratio))
    picture = QPixmap(physical, physical)
    picture.fill(Qt.GlobalColor.transparent)
    source = _source(name)
    if source:
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        drawing = source.replace("currentColor", colour).encode()
        QSvgRenderer(QByteArray(drawing)).render(painter, QRectF(0, 0, physical, physical))
        painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@lru_cache(maxsize=256)
def _source(name: str) -> str:
    file = _folder / f"{name}.svg"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


class _TintedIcon(QIconEngine):
    """Paints one SVG in the colour that the theme and the state of the widget ask for."""

    def __init__(self, name: str, tone: str) -> None:
        super().__init__()
        self._name = name
        self._tone = tone

    def clone(self) -> QIconEngine:
        return _TintedIcon(self._name, self._tone)

    def isNull(self) -> bool:
        return not _source(self._name)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        size = min(rect.width(), rect.height())
        picture = self.scaledPixmap(
            QSize(size, size), mode, state, painter.device().devicePixelRatioF()
        )
        left = rect.x() + (rect.width() - size) // 2
        painter.drawPixmap(left, rect.y() + (rect.height() - size) // 2, picture)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return pixmap(self._name, self._colour(mode).name(), min(size.width(), size.height()))

    def scaledPixmap(
        self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float
    ) -> QPixmap:
        side = min(size.width(), size.height())
        return pixmap(self._name, self._colour(mode).name(), side, scale)

    def _colour(self, mode: QIcon.Mode) -> QColor:
        theme = current_theme()
        colour = theme.tone(self._tone)
        return mix(colour, theme.window, 0.4) if mode == QIcon.Mode.Disabled else colour
