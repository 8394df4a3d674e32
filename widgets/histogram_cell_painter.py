"""Looks of one cell of the histogram grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QImage,
    QPaintEngine,
    QPainter,
    QPen,
    QPixmap,
    QRegion,
)
from PySide6.QtWidgets import QWidget

from widgets.histogram_cells import (
    Record,
    bar_pixels,
    bar_rects,
    draw_parts,
    draw_rects,
)
from widgets.numbers import count_text, short_count, value_text
from widgets.path_text import fitted
from widgets.theme import GRID, current_theme, mix, mono_font, ui_font

_PAD = GRID
_TITLE = 3 * GRID  # heights of the lines
_STATUS = 2 * GRID
_PLOT = 6 * GRID
_AXIS = 2 * GRID + GRID // 2


@dataclass
class CellState:
    """What one cell shows."""

    key: int
    title: str
    record: Record | None = None

    def words(self) -> str:
        """All of it, for a tooltip and for screen readers."""
        record = self.record
        if record is None:
            return f"{self.title}\nno record yet"
        lines = [self.title, f"step {count_text(record.step)}"]
        if len(record.counts):
            mean, deviation = value_text(record.mean), value_text(record.deviation)
            lines.append(f"from {value_text(record.low)} to {value_text(record.high)}")
            lines.append(f"mean {mean}, standard deviation {deviation}")
        else:
            lines.append("no finite value")
        if record.nan or record.infinite:
            lines.append(f"{count_text(record.nan)} NaN, {count_text(record.infinite)} infinite")
        if record.detail:
            lines.append(record.detail)
        return "\n".join(lines)


class PlacedCell(NamedTuple):
    """A cell, where it is painted, and what the pointer and the keys do to it."""

    state: CellState
    rect: QRect
    current: bool
    hovered: bool
    bin_number: int  # under the pointer, -1 where there is none


class PlacedPlots(NamedTuple):
    """Plots with as many bins each, as columns: heights (n, bins), the others (n,)."""

    heights: NDArray[np.float32]  # shares of the highest
    means: NDArray[np.float64]  # shares of the width
    lefts: NDArray[np.intp]  # pixels of the upper left corner
    tops: NDArray[np.intp]


@dataclass(frozen=True)
class CellLook:
    """Sizes of a cell: title, status line, plot and axis line below each other."""

    width: int
    height: int = _TITLE + _STATUS + _PLOT + _AXIS + GRID // 2

    @property
    def plot_size(self) -> QSize:
        """Of the plot inside a cell."""
        return QSize(self.width - 2 * _PAD, _PLOT - GRID // 4)

    @property
    def plot_corner(self) -> QPoint:
        """Of the plot, from that of the cell."""
        return QPoint(_PAD, _TITLE + _STATUS + GRID // 4)

    def plot(self, rect: QRect) -> QRect:
        """The plot inside a cell."""
        return QRect(rect.topLeft() + self.plot_corner, self.plot_size)


def cell_look(width: int) -> CellLook:
    """Sizes for a width in pixels."""
    return CellLook(max(8 * GRID, width))


@lru_cache(maxsize=2)
def _metrics(mono: bool) -> QFontMetrics:
    return QFontMetrics(mono_font(small=True) if mono else ui_font(small=True))


@lru_cache(maxsize=1)
def _letter() -> int:
    """Width of a character of the monospaced face."""
    return _metrics(True).horizontalAdvance("0")


@lru_cache(maxsize=4096)
def _elided(words: str, width: int) -> str:
    """A sentence without its end."""
    return _metrics(False).elidedText(words, Qt.TextElideMode.ElideRight, width)


@lru_cache(maxsize=4096)
def _fitting(wordings: tuple[str, ...], width: int) -> str:
    """The first of several that fits; of the last one what does."""
    metrics = _metrics(False)
    for words in wordings[:-1]:
        if metrics.horizontalAdvance(words) <= width:
            return words
    return _elided(wordings[-1], width)


@lru_cache(maxsize=4096)
def _title(path: str, width: int) -> str:
    return fitted(path, width, _metrics(True))


class CellPainter:
    """Paints cells on a widget; use it as a context manager around one paint event.

    Texts are painted font by font, since changing it costs more than a word.
    """

    def __init__(self, device: QWidget, look: CellLook, logarithmic: bool) -> None:
        self._look = look
        self._logarithmic = logarithmic
        self._theme = current_theme()
        self._painter = QPainter(device)
        self._on_screen = self._painter.paintEngine().type() == QPaintEngine.Type.Raster

    def __enter__(self) -> CellPainter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._painter.end()

    def clear(self, area: QRegion) -> None:
        """The ground between cells."""
        self._painter.setClipRegion(area)
        self._painter.fillRect(area.boundingRect(), self._theme.window)
        self._painter.setClipping(False)

    def paint_grounds(self, cells: list[PlacedCell]) -> None:
        """Ground and frame; the frame tells current, under the pointer and troubled."""
        theme = self._theme
        for cell in cells:
            record = cell.state.record
            colour = theme.border
            if cell.current:
                colour = theme.accent
            elif record is not None and (record.nan or record.infinite):
                colour = theme.danger
            elif cell.hovered:
                colour = theme.muted
            # Filled: a line is drawn across the bounds of the cell where a pixel is no whole one.
            self._painter.fillRect(cell.rect, colour)
            wide = 2 if cell.current else 1
            self._painter.fillRect(cell.rect.adjusted(wide, wide, -wide, -wide), theme.base)

    def paint_plots(self, plots: PlacedPlots) -> None:
        """Filled outlines without antialiasing, and the means, each in one go for all."""
        if self._on_screen:
            self._draw_pixels(plots)
        else:
            self._draw_lines(plots)

    def paint_words(self, cells: list[PlacedCell]) -> None:
        """What stands around the plots, over :meth:`paint_grounds`."""
        self._painter.setFont(mono_font(small=True))
        for cell in cells:
            self._paint_title(cell)
            if cell.state.record is not None and len(cell.state.record.counts):
                self._paint_axis(cell, cell.state.record)
        self._painter.setFont(ui_font(small=True))
        for cell in cells:
            self._paint_status(cell)

    def mark_bin(self, cell: PlacedCell) -> None:
        """Shade the column of the bin under the pointer."""
        if cell.bin_number < 0 or cell.state.record is None:
            return
        number, bins = cell.bin_number, len(cell.state.record.counts)
        plot = self._look.plot(cell.rect)
        left = plot.left() + number * plot.width() // bins
        right = plot.left() + (number + 1) * plot.width() // bins
        mark = QColor(self._theme.text)
        mark.setAlpha(56)
        self._painter.fillRect(left, plot.top(), max(1, right - left), plot.height(), mark)

    def _tones(self) -> tuple[QColor, QColor, QColor, QColor]:
        """Ground, fill, outline and mean."""
        theme = self._theme
        return theme.base, mix(theme.accent, theme.base, 0.28), theme.accent, theme.text

    def _draw_pixels(self, plots: PlacedPlots) -> None:
        """As one picture, which is several times as fast."""
        pixels = bar_pixels(plots.heights, plots.means, self._look.plot_size)
        count, high, wide = pixels.shape
        coded = QImage(pixels.data, wide, count * high, wide, QImage.Format.Format_Indexed8)
        coded.setColorTable([tone.rgb() for tone in self._tones()])
        draw_parts(self._painter, QPixmap.fromImage(coded), plots.lefts, plots.tops, high)

    def _draw_lines(self, plots: PlacedPlots) -> None:
        """As rectangles, which stay sharp in a picture of lines whatever its size."""
        painter, size = self._painter, self._look.plot_size
        _, fill_tone, tone, mean_tone = self._tones()
        floors = plots.tops + size.height() - 1
        fill, outline = bar_rects(plots.heights, plots.lefts, floors, size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill_tone)
        draw_rects(painter, fill)
        painter.setBrush(tone)
        draw_rects(painter, outline)
        painter.setPen(QPen(mean_tone, 1, Qt.PenStyle.DashLine))
        known = (plots.means >= 0) & (plots.means <= 1)
        across = plots.lefts[known] + np.rint(plots.means[known] * (size.width() - 1)).astype(int)
        for x, top in zip(across.tolist(), plots.tops[known].tolist(), strict=True):
            painter.drawLine(x, top, x, top + size.height() - 1)

    def _paint_title(self, cell: PlacedCell) -> None:
        state, rect = cell.state, cell.rect
        self._painter.setPen(self._theme.text)
        title = _title(state.title, self._look.width - 2 * _PAD)
        self._painter.drawText(rect.left() + _PAD, rect.top() + _TITLE - GRID, title)

    def _paint_axis(self, cell: PlacedCell, record: Record) -> None:
        """The numbers below the plot: bounds and mean, or what the pointer reads."""
        painter, theme = self._painter, self._theme
        plot = self._look.plot(cell.rect)
        floor = plot.bottom() + 1
        baseline = floor + 2 * GRID - 3
        painter.fillRect(plot.left(), floor, plot.width(), 1, theme.border)
        letter = _letter()
        if cell.bin_number >= 0:
            low, high = record.bin_edges(cell.bin_number)
            left_words = f"{value_text(low)} … {value_text(high)}"
            right_words = short_count(int(record.counts[cell.bin_number]))
            middle = ""
            painter.setPen(theme.text)
        else:
            left_words, right_words = value_text(record.low), value_text(record.high)
            middle = f"μ {value_text(record.mean)}"
            painter.setPen(theme.muted)
        painter.drawText(plot.left(), baseline, left_words)
        painter.drawText(plot.right() + 1 - letter * len(right_words), baseline, right_words)
        room = plot.width() - letter * (len(left_words) + len(right_words) + 2)
        if middle and letter * len(middle) <= room:
            painter.setPen(theme.text)
            left = plot.left() + letter * (len(left_words) + 1)
            painter.drawText(left + (room - letter * len(middle)) // 2, baseline, middle)

    def _paint_status(self, cell: PlacedCell) -> None:
        """Step and note at the left, NaN and Inf at the right; or why there is nothing."""
        painter, theme, record = self._painter, self._theme, cell.state.record
        plot = self._look.plot(cell.rect)
        if record is None or not len(record.counts):
            painter.setPen(theme.muted)
            words = "no record yet" if record is None else "no finite value"
            painter.drawText(plot, Qt.AlignmentFlag.AlignCenter, words)
        if record is None:
            return
        baseline = cell.rect.top() + _TITLE + GRID
        right = plot.right() + 1
        for count, word in ((record.infinite, "Inf"), (record.nan, "NaN")):
            if count:
                right = self._paint_trouble(f"{word} {short_count(count)}", right, baseline)
        words = f"step {count_text(record.step)}"
        room = right - plot.left() - GRID
        if record.notes:
            words = _fitting(tuple(f"{words} · {note}" for note in record.notes), room)
        painter.setPen(theme.muted)
        painter.drawText(plot.left(), baseline, _elided(words, room))

    def _paint_trouble(self, words: str, right: int, baseline: int) -> int:
        """A small filled label that ends at ``right``; returns where the next one may end."""
        width = _metrics(False).horizontalAdvance(words) + GRID
        self._painter.fillRect(right - width, baseline - 11, width, 14, self._theme.danger)
        self._painter.setPen(self._theme.base)
        self._painter.drawText(right - width + GRID // 2, baseline, words)
        return right - width - GRID // 2
