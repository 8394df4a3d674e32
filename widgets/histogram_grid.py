"""Many small histograms, painted as one item and repainted only where something changed.

Only what is in sight is painted; while the grid is hidden it does nothing but remember the newest
record of each series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, thread_time
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from widgets.cell_layout import cell_layout, usual_size
from widgets.cell_queue import CellQueue
from widgets.cell_records import CellRecords, RecordColumns
from widgets.histogram_cell_painter import (
    CellPainter,
    CellState,
    PlacedCell,
    PlacedPlots,
)
from widgets.histogram_cells import Record

_FRAME_TIME = 33  # milliseconds between two paintings
_LATE = 0.01  # seconds that a painting may be made up for


class GridSeries(NamedTuple):
    """One cell: the key of the series and its title."""

    key: int
    title: str


class HistogramGrid(QAbstractScrollArea):
    """Cells in as many columns as fit, scrolling vertically.

    Arrow keys move from cell to cell, Return clicks.  ``sight_changed`` comes before cells are
    painted that were out of sight.
    """

    series_clicked = Signal(int)
    sight_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Histograms")
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._series: list[GridSeries] = []
        self._records = CellRecords(0)  # by place, as all below
        self._place: dict[int, int] = {}  # key -> place in the list
        self._queue = CellQueue()
        self._bands: set[int] = set()  # rows of which only the band of the plots is asked for
        self._logarithmic = False
        self._layout = cell_layout(0, 0)
        self._current = 0
        self._pointer: QPoint | None = None
        self._framed = 0.0  # when a frame was due last
        self._frame = QTimer(self)
        self._frame.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame.setSingleShot(True)
        self._frame.timeout.connect(self._repaint_dirty)

    # -- data ----------------------------------------------------------------------------------

    def set_series(self, series: list[GridSeries]) -> None:
        """Which cells there are; records of series that stay are kept."""
        old, former = self._records, self._place
        self._series = series
        self._place = {one.key: place for place, one in enumerate(series)}
        self._records = CellRecords(len(series))
        kept = [(place, former[key]) for key, place in self._place.items() if key in former]
        mine, others = np.array(kept, np.intp).reshape(-1, 2).T
        self._records.keep(old, mine, others)
        self._queue.clear()
        self._current = min(self._current, max(0, len(series) - 1))
        self._lay_out()
        self._repaint()

    def update_records(self, keys: list[int], records: RecordColumns) -> None:
        """The newest records of some series; of several between two frames only the last is drawn.

        Each key has a cell.
        """
        places = [self._place[key] for key in keys]
        at = np.array(places, np.intp)
        former = self._records.states(at)
        self._records.put(at, records)
        self._mark(places, at[self._records.states(at) != former].tolist())

    def update_record(self, key: int, record: Record) -> None:
        """The newest record of one series; a key without a cell is passed over."""
        if key in self._place:
            self.update_records([key], RecordColumns.of(record))

    def take_record(self, key: int) -> None:
        """The series has no record at the step looked at: its cell says so."""
        place = self._place.get(key)
        if place is not None:
            self._records.take(place)
            self._repaint(self._layout.rect(place))

    def record(self, key: int) -> Record | None:
        """What the cell of a series holds."""
        return self._records.record(self._place[key])

    def keys_in_sight(self) -> list[int]:
        """Of the cells that can be seen, wholly or in part."""
        in_sight = self._in_sight()
        return [one.key for one in self._series[in_sight.start : in_sight.stop]]

    @property
    def logarithmic(self) -> bool:
        """Whether heights are logarithms of counts."""
        return self._logarithmic

    def set_logarithmic(self, on: bool) -> None:
        """Draw the logarithm of the counts, so that rare values are seen beside a spike."""
        self._logarithmic = on
        self._repaint()

    def _mark(self, places: list[int], whole: Sequence[int] = ()) -> None:
        if not self.isVisible():
            return  # everything is painted when the grid is shown
        self._queue.add(places, whole)
        if not self._frame.isActive():
            self._start_frame()

    def _start_frame(self) -> None:
        """The next one comes a frame's time after the last, however long that took."""
        passed = 1000 * (monotonic() - self._framed)
        self._frame.start(max(1, round(_FRAME_TIME - passed)))

    def _repaint_dirty(self) -> None:
        """Ask for what the next frame paints."""
        # Timers come late: what this one lost is made up for by the next.
        self._framed = max(self._framed + _FRAME_TIME / 1000, monotonic() - _LATE)
        layout = self._layout
        for part in self._queue.next_frame(self._in_sight(), layout.columns):
            if part.whole:
                rect = layout.rect(part.first).united(layout.rect(part.last))
            else:
                rect = layout.plots(part.first, part.last)
                self._bands.add(part.first // layout.columns)
            self.viewport().update(rect)
        if self._queue:
            self._start_frame()

    # -- geometry ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Columns and scroll range for the present width."""
        bar, view = self.verticalScrollBar(), self.viewport()
        self._layout = cell_layout(len(self._series), view.width())
        bar.setRange(0, max(0, self._layout.height - view.height()))
        bar.setPageStep(view.height())
        bar.setSingleStep(self._layout.step // 4)
        self._scrolled()

    def _scrolled(self) -> None:
        self._layout = replace(self._layout, down=self.verticalScrollBar().value())

    def _in_sight(self) -> range:
        return self._layout.in_sight(self.viewport().rect())

    def sizeHint(self) -> QSize:
        """Three columns and two rows."""
        return usual_size()

    # -- events --------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cells that the event touches."""
        began = thread_time()  # other programs do not make more cells too many
        layout, region = self._layout, event.region()
        whole: list[int] = []  # places
        plots: list[int] = []  # of which nothing else is touched
        ground = region
        in_sight = layout.in_sight(event.rect())
        for first in range(in_sight.start, in_sight.stop, layout.columns):
            places = range(first, min(first + layout.columns, in_sight.stop))
            band = layout.band(first)
            if first // layout.columns in self._bands and not layout.beside(band, region):
                ground = ground.subtracted(band)  # what is beside plots stays as it was painted
                plots += layout.reached(places, region)
            else:
                whole += layout.reached(places, region)
        drawn = self._records.drawn(np.array(plots, np.intp)).tolist()
        whole += [place for place, is_drawn in zip(plots, drawn, strict=True) if not is_drawn]
        cells = [self._placed(place) for place in whole]
        with CellPainter(self.viewport(), layout.look, self._logarithmic) as painter:
            painter.clear(ground)
            painter.paint_grounds(cells)
            for some in self._records.plots(np.array(whole + plots, np.intp), self._logarithmic):
                left, top = layout.plot_corners(some.places)
                painter.paint_plots(PlacedPlots(some.heights, some.means, left, top))
            painter.paint_words(cells)
            if self._pointer is not None and (hovered := self._layout.at(self._pointer)) >= 0:
                painter.mark_bin(self._placed(hovered))
        self._bands.clear()
        self._queue.learn(len(whole) + len(plots), thread_time() - began)

    def _placed(self, place: int) -> PlacedCell:
        """A cell as it is to be painted now."""
        one = self._series[place]
        state = CellState(one.key, one.title, self._records.record(place))
        hovered = self._pointer is not None and self._layout.at(self._pointer) == place
        number = self._hovered_bin(place) if hovered else -1
        current = place == self._current and self.hasFocus()
        return PlacedCell(state, self._layout.rect(place), current, hovered, number)

    def _repaint(self, rect: QRect | None = None) -> None:
        """Paint all again, or a part of it, with everything in it."""
        self._bands.clear()
        self.viewport().update(self.viewport().rect() if rect is None else rect)

    def scrollContentsBy(self, across: int, down: int) -> None:
        """Everything has another place."""
        self._scrolled()
        self.sight_changed.emit()
        self._repaint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer columns."""
        super().resizeEvent(event)
        self._lay_out()
        self.sight_changed.emit()
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
            place = self._layout.at(event.pos())
            text = "" if place < 0 else self._placed(place).state.words()
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
            place = -1 if point is None else self._layout.at(point)
            if place >= 0:
                self._repaint(self._layout.rect(place))
        self._pointer = pointer
        over = pointer is not None and self._layout.at(pointer) >= 0
        shape = Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != shape:
            self.viewport().setCursor(shape)

    def _hovered_bin(self, place: int) -> int:
        record = self._records.record(place)
        if self._pointer is None or record is None or not len(record.counts):
            return -1
        plot = self._layout.plots(place, place)
        across = self._pointer.x() - plot.left()
        if not 0 <= across < plot.width():
            return -1
        return across * len(record.counts) // plot.width()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a cell."""
        place = self._layout.at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and place >= 0:
            self._go_to(place)
            self.series_clicked.emit(self._series[place].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move, Return and Space click."""
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: -self._layout.columns,
            Qt.Key.Key_Down: self._layout.columns,
            Qt.Key.Key_Home: -self._current,
            Qt.Key.Key_End: len(self._series) - 1 - self._current,
        }
        key = Qt.Key(event.key())
        if key in steps and self._series:
            target = self._current + steps[key]
            if 0 <= target < len(self._series):
                self._go_to(target)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._series:
            self.series_clicked.emit(self._series[self._current].key)
        else:
            super().keyPressEvent(event)

    def _go_to(self, place: int) -> None:
        """Make a cell the current one and bring it into sight."""
        self._current = place
        self.verticalScrollBar().setValue(self._layout.to_show(place, self.viewport().height()))
        self.setAccessibleDescription(self._placed(place).state.words())
        self._repaint()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which cell is current."""
        super().focusInEvent(event)
        self._repaint()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Hide the ring."""
        super().focusOutEvent(event)
        self._repaint()
