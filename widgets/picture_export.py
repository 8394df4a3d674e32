"""What a widget shows as a picture, and columns as a table: each file whole or not there."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QWidget

from widgets.theme import GRID, current_theme, ui_font

_CAPTION = 3 * GRID  # height
_DOTS = 96  # of an inch, as SVG counts its pixels


class ExportFailed(Exception):
    """Says what was not written, why, and what to do."""


def save_png(
    widget: QWidget, path: str | os.PathLike[str], scale: float = 2.0, caption: str = ""
) -> None:
    """Write the widget as it would be painted now, ``scale`` pixels for each of its own.

    A ``caption`` stands above it.  Raises ExportFailed.
    """
    size = _size(widget, caption) * scale
    image = QImage(size, QImage.Format.Format_RGB32)
    if image.isNull():
        raise ExportFailed(f"A picture of {size.width()} x {size.height()} pixels is too large.")
    image.setDevicePixelRatio(scale)
    painter = QPainter(image)
    _paint(painter, widget, caption)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not image.save(buffer, "PNG"):  # type: ignore[call-overload]
        raise ExportFailed("Qt could not encode the picture: save it as SVG.")
    _write(path, bytes(buffer.data().data()))


def save_svg(widget: QWidget, path: str | os.PathLike[str], caption: str = "") -> None:
    """Write the same in lines and text.  Raises ExportFailed."""
    from PySide6.QtSvg import QSvgGenerator

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setResolution(_DOTS)
    size = _size(widget, caption)
    generator.setSize(size)
    generator.setViewBox(QRect(QPoint(), size))
    generator.setTitle(widget.accessibleName() or widget.windowTitle())
    painter = QPainter(generator)
    _paint(painter, widget, caption)
    painter.end()
    _write(path, bytes(buffer.data().data()))


def _size(widget: QWidget, caption: str) -> QSize:
    return widget.size() + QSize(0, _CAPTION if caption else 0)


def _paint(painter: QPainter, widget: QWidget, caption: str) -> None:
    if not caption:
        widget.render(painter, QPoint())
        return
    theme = current_theme()
    band = QRect(0, 0, widget.width(), _CAPTION)
    painter.fillRect(band, theme.base)
    painter.setPen(theme.text)
    painter.setFont(ui_font(small=True))
    painter.drawText(band.adjusted(GRID, 0, -GRID, 0), Qt.AlignmentFlag.AlignVCenter, caption)
    widget.render(painter, QPoint(0, _CAPTION))


def save_csv(path: str | os.PathLike[str], columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of equal length under their names, as UTF-8 with commas.

    Numbers keep all their digits.  Raises ExportFailed; ValueError for columns that differ in
    length.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    lists = [_plain(column) for column in columns.values()]
    writer.writerows(zip(*lists, strict=True))
    _write(path, text.getvalue().encode())


def _plain(column: Sequence[Any]) -> list[Any]:
    """Python's own numbers: they are written with the fewest digits that give them back."""
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file in one step: a temporary one beside it, written out, then renamed."""
    target = Path(path)
    try:
        target = target.resolve()  # a link stays one, and its target gets the content
        if target.exists() and not target.is_file():
            raise ExportFailed(f"{target} is not a file: choose another name.")
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, _mode(target))
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportFailed(
            f"{target} was not written ({reason}): choose another folder, or make room."
        ) from error


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, else what a new file of this process gets."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
