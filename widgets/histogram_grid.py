"""Many small histograms, painted as one item and repainted only where something changed.

Only what is in sight is painted; while the grid is hidden it does nothing but remember the newest
record of each series.
"""

from __future__ import annotations

from bisect import bisect
from time import monotonic, thread_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from widgets.histogram_cell_painter import CellLook, CellPainter, CellState, PlacedCell, cell_look
from widgets.histogram_cells import Record
from widgets.theme import GRID

_FRAME_TIME = 33  # milliseconds between two paintings
_LATE = 0.01  # seconds that a painting may be made up for
_PAINT_TIME = 0.016  # seconds that a frame may paint
_WORDS_EVERY = 10  # frames after which the words of a cell are painted again
_LEAST_AT_ONCE = 8  # cells of a frame, however slow the machine
_LEAST_WIDTH = 24 * GRID
_MARGIN = GRID
_GAP = GRID


class GridSeries(NamedTuple):
    """One cell: the key of the series and its title."""

    key: int
    title: str


class HistogramGrid(QAbstractScrollArea):
    """Cells in as many columns as fit, scrolling vertically.

    Arrow keys move from cell to cell, Return clicks.
    """

    series_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Histograms")
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._cells: list[CellState] = []
        self._place: dict[int, int] = {}  # key -> place in the list
        self._dirty: set[int] = set()  # places that wait for the next frame
        self._unread: set[int] = set()  # those whose words are behind their plots
        self._bands: set[int] = set()  # rows of which only the band of the plots is asked for
        self._turn = 0  # rows whose words are painted in this frame
        self._logarithmic = False
        self._columns = 1
        self._look: CellLook = cell_look(_LEAST_WIDTH)
        self._current = 0
        self._pointer: QPoint | None = None
        self._at_once = 64  # cells of a frame, as far as known
        self._painted = -1  # the last of them
        self._framed = 0.0  # when a frame was due last
        self._frame = QTimer(self)
        self._frame.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame.setSingleShot(True)
        self._frame.timeout.connect(self._repaint_dirty)

    # -- data ----------------------------------------------------------------------------------

    def set_series(self, series: list[GridSeries]) -> None:
        """Which cells there are; records of series that stay are kept."""
        old = {cell.key: cell.record for cell in self._cells}
        self._cells = [CellState(one.key, one.title, old.get(one.key)) for one in series]
        self._place = {cell.key: place for place, cell in enumerate(self._cells)}
        self._dirty.clear()
        self._unread.clear()
        self._current = min(self._current, max(0, len(self._cells) - 1))
        self._lay_out()
        self._repaint()

    def update_record(
        self,
        key: int,
        low: float,
        high: float,
        counts: NDArray[np.int64],
        mean: float,
        deviation: float,
        nan: int,
        infinite: int,
        step: int,
        notes: tuple[str, ...] = (),
        detail: str = "",
        octaves: bool = False,
    ) -> None:
        """The newest record of a series; of several between two frames only the last is drawn.

        ``counts`` are of equal bins from ``low`` to ``high``, or with ``octaves`` of those between
        powers of two of either sign.  Of ``notes`` the first that fits is shown; ``detail`` stands
        in the tooltip.  A key without a cell is passed over.
        """
        place = self._place.get(key)
        if place is None:
            return
        self._cells[place].record = Record(
            low, high, counts, mean, deviation, nan, infinite, step, notes, detail, octaves
        )
        self._mark(place)

    def take_record(self, key: int) -> None:
        """The series has no record at the step looked at: its cell says so."""
        place = self._place.get(key)
        if place is not None:
            self._cells[place].record = None
            self._repaint(self._rect(place))

    def mark_removed(self, key: int) -> None:
        """The series gets no more records: its cell is drawn muted until the next set_series."""
        place = self._place.get(key)
        if place is not None:
            self._cells[place].removed = True
            self._mark(place)

    @property
    def logarithmic(self) -> bool:
        """Whether heights are logarithms of counts."""
        return self._logarithmic

    def set_logarithmic(self, on: bool) -> None:
        """Draw the logarithm of the counts, so that rare values are seen beside a spike."""
        self._logarithmic = on
        self._repaint()

    def _mark(self, place: int) -> None:
        if not self.isVisible():
            return  # everything is painted when the grid is shown
        self._dirty.add(place)
        if not self._frame.isActive():
            self._start_frame()

    def _start_frame(self) -> None:
        """The next one comes a frame's time after the last, however long that took."""
        passed = 1000 * (monotonic() - self._framed)
        self._frame.start(max(1, round(_FRAME_TIME - passed)))

    def _repaint_dirty(self) -> None:
        """Some of the plots that wait, going round: a frame must not take longer than it may.

        Words take as long as plots and cannot be read thirty times a second: row by row they get
        their turn.
        """
        # Timers come late: what this one lost is made up for by the next.
        self._framed = max(self._framed + _FRAME_TIME / 1000, monotonic() - _LATE)
        view = self.viewport().rect()
        waiting = sorted(self._dirty.intersection(self._in_sight(view)))
        start = bisect(waiting, self._painted)
        waiting = waiting[start:] + waiting[:start]
        now, later = waiting[: self._at_once], waiting[self._at_once :]
        if now:
            self._painted = now[-1]
        self._turn = (self._turn + 1) % _WORDS_EVERY
        self._unread.update(now)
        written = {p for p in self._unread if p // self._columns % _WORDS_EVERY == self._turn}
        self._unread -= written
        areas: dict[int, QRect] = {}  # by row: clipping to many rectangles is slow
        for place in written.union(now):
            row, rect = place // self._columns, self._rect(place)
            if row % _WORDS_EVERY != self._turn:
                rect = self._look.plot(rect)
                self._bands.add(row)
            areas[row] = areas[row].united(rect) if row in areas else rect
        for rect in areas.values():
            self.viewport().update(rect)
        self._dirty = set(later)
        if later or self._unread:
            self._start_frame()

    def _learn(self, cells: int, seconds: float) -> None:
        """How many cells can be painted in the time that a frame has."""
        if cells:
            fitting = int(_PAINT_TIME * cells / max(seconds, 1e-6))
            self._at_once = max(_LEAST_AT_ONCE, (self._at_once + fitting) // 2)

    # -- geometry ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Columns and scroll range for the present width."""
        width = self.viewport().width() - 2 * _MARGIN
        self._columns = max(1, (width + _GAP) // (_LEAST_WIDTH + _GAP))
        self._look = cell_look((width - (self._columns - 1) * _GAP) // self._columns)
        rows = -(-len(self._cells) // self._columns)
        step = self._look.height + _GAP
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, 2 * _MARGIN - _GAP + rows * step - self.viewport().height()))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(step // 4)

    def _rect(self, place: int) -> QRect:
        """Where a cell is in the viewport now."""
        row, column = divmod(place, self._columns)
        look = self._look
        left = _MARGIN + column * (look.width + _GAP)
        top = _MARGIN + row * (look.height + _GAP) - self.verticalScrollBar().value()
        return QRect(left, top, look.width, look.height)

    def _at(self, point: QPoint) -> int:
        """The cell at a point of the viewport, -1 between cells."""
        look = self._look
        column = (point.x() - _MARGIN) // (look.width + _GAP)
        row = (point.y() - _MARGIN + self.verticalScrollBar().value()) // (look.height + _GAP)
        place = row * self._columns + column
        inside = 0 <= column < self._columns and 0 <= place < len(self._cells)
        return place if inside and self._rect(place).contains(point) else -1

    def _in_sight(self, rect: QRect) -> range:
        """Cells of the rows that a part of the viewport shows."""
        step = self._look.height + _GAP
        top = rect.top() + self.verticalScrollBar().value() - _MARGIN
        first = max(0, top // step) * self._columns
        last = (max(0, top + rect.height()) // step + 1) * self._columns
        return range(first, min(last, len(self._cells)))

    def sizeHint(self) -> QSize:
        """Three columns and two rows."""
        look = cell_look(_LEAST_WIDTH)
        return QSize(3 * (look.width + _GAP) + 4 * _MARGIN, 2 * (look.height + _GAP) + 2 * _MARGIN)

    # -- events --------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cells that the event touches."""
        began = thread_time()  # other programs do not make more cells too many
        region = event.region()
        current = self._current if self.hasFocus() else -1
        hovered = -1 if self._pointer is None else self._at(self._pointer)
        cells: list[PlacedCell] = []
        plots: list[PlacedCell] = []  # of which nothing else is touched
        bands: list[QRect] = []  # of their rows, across the whole width
        in_sight = self._in_sight(event.rect())
        for first in range(in_sight.start, in_sight.stop, self._columns):
            whole, band = self._touched(first, region)
            whole |= first // self._columns not in self._bands
            if not whole:
                bands.append(band)
            for place in range(first, min(first + self._columns, in_sight.stop)):
                rect = self._rect(place)
                if not region.intersects(rect):
                    continue
                is_hovered = place == hovered
                number = self._hovered_bin(place) if is_hovered else -1
                state = self._cells[place]
                cell = PlacedCell(state, rect, place == current, is_hovered, number)
                drawn = state.record is not None and len(state.record.counts)
                (plots if drawn and not whole else cells).append(cell)
        ground = region
        for band in bands:  # what is beside plots stays as it was painted
            ground = ground.subtracted(band)
        with CellPainter(self.viewport(), self._look, self._logarithmic) as painter:
            painter.clear(ground)
            painter.paint_plots(plots)
            painter.paint(cells)
        self._bands.clear()
        self._learn(len(cells) + len(plots), thread_time() - began)

    def _touched(self, first: int, region: QRegion) -> tuple[bool, QRect]:
        """Whether more than the plots of a row is to be painted, and the band that those are in."""
        width, rect = self.viewport().width(), self._rect(first)
        plot = self._look.plot(rect)
        above = QRect(0, rect.top(), width, plot.top() - rect.top())
        below = QRect(0, plot.bottom() + 1, width, rect.bottom() - plot.bottom())
        band = QRect(0, plot.top(), width, plot.height())
        return region.intersects(above) or region.intersects(below), band

    def _repaint(self, rect: QRect | None = None) -> None:
        """Paint all again, or a part of it, with everything in it."""
        self._bands.clear()
        self.viewport().update(self.viewport().rect() if rect is None else rect)

    def scrollContentsBy(self, across: int, down: int) -> None:
        """Everything has another place."""
        self._repaint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer columns."""
        super().resizeEvent(event)
        self._lay_out()
        self._repaint()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what came while the grid was hidden."""
        super().showEvent(event)
        self._repaint()

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._repaint()

    def viewportEvent(self, event: QEvent) -> bool:
        """Tooltips, and the pointer leaving."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._at(event.pos())
            text = "" if place < 0 else self._cells[place].words()
            QToolTip.showText(event.globalPos(), text, self.viewport())
            return True
        if event.type() == QEvent.Type.Leave:
            self._move_pointer(None)
        return super().viewportEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read the bin under the pointer."""
        self._move_pointer(event.position().toPoint())

    def _move_pointer(self, pointer: QPoint | None) -> None:
        for point in (self._pointer, pointer):
            place = -1 if point is None else self._at(point)
            if place >= 0:
                self._repaint(self._rect(place))
        self._pointer = pointer
        over = pointer is not None and self._at(pointer) >= 0
        shape = Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != shape:
            self.viewport().setCursor(shape)

    def _hovered_bin(self, place: int) -> int:
        record = self._cells[place].record
        if self._pointer is None or record is None or not len(record.counts):
            return -1
        plot = self._look.plot(self._rect(place))
        across = self._pointer.x() - plot.left()
        if not 0 <= across < plot.width():
            return -1
        return across * len(record.counts) // plot.width()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a cell."""
        place = self._at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and place >= 0:
            self._go_to(place)
            self.series_clicked.emit(self._cells[place].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move, Return and Space click."""
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: -self._columns,
            Qt.Key.Key_Down: self._columns,
            Qt.Key.Key_Home: -self._current,
            Qt.Key.Key_End: len(self._cells) - 1 - self._current,
        }
        key = Qt.Key(event.key())
        if key in steps and self._cells:
            target = self._current + steps[key]
            if 0 <= target < len(self._cells):
                self._go_to(target)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._cells:
            self.series_clicked.emit(self._cells[self._current].key)
        else:
            super().keyPressEvent(event)

    def _go_to(self, place: int) -> None:
        """Make a cell the current one and bring it into sight."""
        self._current = place
        rect = self._rect(place)
        bar = self.verticalScrollBar()
        if rect.top() < _MARGIN:
            bar.setValue(bar.value() + rect.top() - _MARGIN)
        elif (below := rect.bottom() + 1 + _MARGIN - self.viewport().height()) > 0:
            bar.setValue(bar.value() + below)
        self.setAccessibleDescription(self._cells[place].words())
        self._repaint()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which cell is current."""
        super().focusInEvent(event)
        self._repaint()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Hide the ring."""
        super().focusOutEvent(event)
        self._repaint()
