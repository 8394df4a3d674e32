"""Where the cells of a grid are: in as many columns as fit, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QRegion

from widgets.histogram_cell_painter import CellLook, cell_look
from widgets.theme import GRID

_LEAST_WIDTH = 24 * GRID
_MARGIN = GRID
_GAP = GRID


@dataclass(frozen=True)
class CellLayout:
    """Places of ``count`` cells in a viewport of some width that is scrolled ``down`` by pixels."""

    count: int
    width: int
    look: CellLook
    columns: int
    down: int = 0

    @property
    def step(self) -> int:
        """Pixels from a row to the next."""
        return self.look.height + _GAP

    @property
    def height(self) -> int:
        """Of all rows, with what is around them."""
        return 2 * _MARGIN - _GAP + -(-self.count // self.columns) * self.step

    def rect(self, place: int) -> QRect:
        """Where a cell is in the viewport now."""
        row, column = divmod(place, self.columns)
        left = _MARGIN + column * (self.look.width + _GAP)
        top = _MARGIN + row * self.step - self.down
        return QRect(left, top, self.look.width, self.look.height)

    def at(self, point: QPoint) -> int:
        """The cell at a point of the viewport, -1 between cells."""
        column = (point.x() - _MARGIN) // (self.look.width + _GAP)
        row = (point.y() - _MARGIN + self.down) // self.step
        place = row * self.columns + column
        inside = 0 <= column < self.columns and 0 <= place < self.count
        return place if inside and self.rect(place).contains(point) else -1

    def in_sight(self, rect: QRect) -> range:
        """Cells of the rows that a part of the viewport shows."""
        top = rect.top() + self.down - _MARGIN
        first = max(0, top // self.step) * self.columns
        last = (max(0, top + rect.height()) // self.step + 1) * self.columns
        return range(first, min(last, self.count))

    def to_show(self, place: int, height: int) -> int:
        """How far a viewport of that height is scrolled down so that a cell is in sight."""
        rect = self.rect(place)
        if rect.top() < _MARGIN:
            return self.down + rect.top() - _MARGIN
        return self.down + max(0, rect.bottom() + 1 + _MARGIN - height)

    def plot_corners(self, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(n,) upper left corners of the plots of some cells."""
        row, column = np.divmod(places, self.columns)
        corner = self.rect(0).topLeft() + self.look.plot_corner
        return corner.x() + column * (self.look.width + _GAP), corner.y() + row * self.step

    def plots(self, first: int, last: int) -> QRect:
        """What the plots of some cells of a row are in."""
        return self.look.plot(self.rect(first)).united(self.look.plot(self.rect(last)))

    def band(self, place: int) -> QRect:
        """What the plots of a row are in, across the whole width."""
        plot = self.look.plot(self.rect(place))
        return QRect(0, plot.top(), self.width, plot.height())

    def beside(self, band: QRect, region: QRegion) -> bool:
        """Whether a region reaches the cells above or below such a band."""
        above = self.look.plot_corner.y()
        below = self.look.height - above - band.height()
        return region.intersects(
            QRect(0, band.top() - above, self.width, above)
        ) or region.intersects(QRect(0, band.bottom() + 1, self.width, below))

    def reached(self, places: range, region: QRegion) -> range:
        """Those cells of a row that a region reaches, from the first to the last."""
        row = self.rect(places[0]).united(self.rect(places[-1]))
        bounds = region.intersected(row).boundingRect()
        step = self.look.width + _GAP
        first, last = ((x - _MARGIN) // step for x in (bounds.left(), bounds.right()))
        return range(places[0] + max(0, first), places[0] + last + 1)


def cell_layout(count: int, width: int) -> CellLayout:
    """As many columns as fit into a width."""
    room = width - 2 * _MARGIN
    columns = max(1, (room + _GAP) // (_LEAST_WIDTH + _GAP))
    look = cell_look((room - (columns - 1) * _GAP) // columns)
    return CellLayout(count, width, look, columns)


def usual_size() -> QSize:
    """Of three columns and two rows."""
    look = cell_look(_LEAST_WIDTH)
    return QSize(3 * (look.width + _GAP) + 4 * _MARGIN, 2 * (look.height + _GAP) + 2 * _MARGIN)
