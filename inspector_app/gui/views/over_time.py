"""One row over time: what it put out and its gradients side by side, as heat maps or ridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import SeriesHistory, history_of
from inspector_app.gui.views.names import NamedSeries
from inspector_app.gui.views.nothing_drawn import NothingDrawn
from inspector_app.gui.views.sampled import sampled_words
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import BINS
from widgets import plotting
from widgets.theme import GRID

if TYPE_CHECKING:
    from widgets.heat_map_view import HeatMapView
    from widgets.ridge_view import RidgeView
    from widgets.step_history import StepHistory

_LEAST_WIDTH = 26 * GRID  # of a plot beside others
_WIDEST = "88 of 88"
_NAMED = 12  # of those that are left out
_NOTHING = "Watch modules to see how their values move from step to step."
_NO_RECORDS = "What is watched has no records yet, or none of what is chosen above."


class OverTimeView(View):
    """The series of one row, each with its own plot."""

    title = "Over time"

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.rows = self.add_choice("overTimeRow", "Row that is drawn", self._row_chosen)
        self.rows.setMinimumContentsLength(10)
        self.ridges = self.add_toggle(
            "overTimeRidges", "ridges", "Ridges, not a heat map", self._changed
        )
        self.octaves = self.add_toggle(
            "overTimeOctaves", "signed log", "Values on a signed logarithmic axis", self._changed
        )
        self.which = QToolButton()
        self.which.setObjectName("overTimeWhich")
        self.which.setProperty("framed", True)
        self.which.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.which.setMenu(QMenu(self.which))
        kept = self.which.sizePolicy()
        kept.setRetainSizeWhenHidden(True)  # nothing moves as another row is chosen
        self.which.setSizePolicy(kept)
        self.which.setText(_WIDEST)
        self.which.setFixedSize(self.which.sizeHint())
        self._add(self.which)
        self.row = -1
        self._hidden: set[int] = set()  # keys that a person did not want
        self._asked: list[int] = []  # and those that one wanted, the latest first
        self._offered: tuple[list[NamedSeries], list[NamedSeries]] | None = None
        self._drawn: dict[int, int] = {}  # key -> sequence number drawn up to
        self._histories: dict[int, StepHistory] = {}
        self._plots: list[HeatMapView | RidgeView] = []
        self._made_of: tuple[bool, list[int]] = (False, [])
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.empty = NothingDrawn(_NOTHING, _NO_RECORDS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.splitter)
        column.addWidget(self.empty)
        self.splitter.hide()

    def set_series(self, series: list[NamedSeries]) -> None:
        """Rows that can be chosen are those with a series that has fired."""
        super().set_series([one for one in series if one.kind != "scalar" and one.measured])
        names: dict[int, str] = {}
        for one in self.series:
            names.setdefault(one.row, one.name)
        self.rows.clear()
        for row, name in names.items():
            self.rows.addItem(name, row)
        if self.row not in names:
            self.row = next(iter(names), -1)
        self.rows.setCurrentIndex(self.rows.findData(self.row))
        kept = {one.key for one in self.series}
        for key in set(self._histories) - kept:
            del self._histories[key]
            self._drawn.pop(key, None)

    def select(self, rows: set[int]) -> None:
        """Follow the tree's selection where that is watched."""
        place = next((self.rows.findData(row) for row in rows if self.rows.findData(row) >= 0), -1)
        if place >= 0 and self.rows.itemData(place) != self.row:
            self.rows.setCurrentIndex(place)
            self.row = self.rows.itemData(place)
            self.draw()

    def draw(self) -> None:
        """Bring the histories of the row's series up to date, and their plots."""
        of_row = [one for one in self.series if one.row == self.row]
        shown = self._fitting(of_row)
        self._offer(of_row, shown)
        self.splitter.setVisible(bool(shown))
        self.empty.setVisible(not shown)
        if not shown:
            return
        self._make(shown)
        for one, plot in zip(shown, self._plots, strict=True):
            plot.set_title(one.title, self._how_sampled(one.key))
            plot.which = one.which
            plot.mark(self.step)
            if self._bring_up_to_date(one.key) or plot.octaves != self.octaves.isChecked():
                plot.set_octaves(self.octaves.isChecked())
                plot.refresh()

    def forget(self) -> None:
        """The records of another session begin anew."""
        self.read_anew()
        self._hidden.clear()
        self._asked.clear()

    def read_anew(self) -> None:
        """Other records of the same series."""
        self._histories.clear()
        self._drawn.clear()
        self._made_of = (False, [])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer plots side by side."""
        super().resizeEvent(event)
        if self.isVisible():
            self.draw()

    def _fitting(self, of_row: list[NamedSeries]) -> list[NamedSeries]:
        """As many as there is room for, those first that were asked for."""
        room = max(1, self.width() // _LEAST_WIDTH)
        asked = {key: place for place, key in enumerate(self._asked)}
        wanted = [one for one in of_row if one.key not in self._hidden] or of_row
        wanted = sorted(wanted, key=lambda one: asked.get(one.key, len(asked)))[:room]
        return [one for one in of_row if one in wanted]

    def _offer(self, of_row: list[NamedSeries], shown: list[NamedSeries]) -> None:
        """Say how many are shown, and list all to choose from."""
        if self._offered == (of_row, shown):
            return
        self._offered = of_row, shown
        left_out = [one.title for one in of_row if one not in shown]
        self.which.setVisible(len(of_row) > 1)
        self.which.setText(f"{len(shown)} of {len(of_row)}")
        names = ", ".join(left_out[:_NAMED]) + (", …" if len(left_out) > _NAMED else "")
        told = f"{self.which.text()} shown" + (f"; not shown: {names}" if names else "")
        self.which.setToolTip(told)
        self.which.setAccessibleName(told)
        menu = self.which.menu()
        menu.clear()
        for one in of_row:
            action = menu.addAction(one.title)
            action.setCheckable(True)
            action.setChecked(one in shown)
            action.setEnabled(shown != [one])
            action.toggled.connect(lambda on, key=one.key: self._want(key, on))

    def _want(self, key: int, on: bool) -> None:
        self._hidden.discard(key)
        self._asked = [other for other in self._asked if other != key]
        if on:
            self._asked.insert(0, key)
        else:
            self._hidden.add(key)
        self.draw()

    def _row_chosen(self) -> None:
        self.row = self.rows.currentData()
        self.draw()
        self.row_clicked.emit(self.row)

    def _changed(self, _: bool) -> None:
        self.draw()

    def _make(self, shown: list[NamedSeries]) -> None:
        """One plot for each series; made anew when others are shown."""
        wanted = (self.ridges.isChecked(), [one.key for one in shown])
        if wanted == self._made_of:
            return
        plotting.ready()
        from widgets.heat_map_view import HeatMapView
        from widgets.ridge_view import RidgeView
        from widgets.step_history import StepHistory

        self._made_of = wanted
        for plot in self._plots:
            plot.hide()
            plot.setParent(None)
            plot.deleteLater()
        self._plots = []
        for one in shown:
            plot = RidgeView() if wanted[0] else HeatMapView()
            plot.set_history(one.title, self._histories.setdefault(one.key, StepHistory()))
            plot.step_clicked.connect(self.step_clicked)
            self.splitter.addWidget(plot)
            self._plots.append(plot)

    def _how_sampled(self, key: int) -> str:
        """Of how many elements the newest record tells, and how exactly."""
        newest = self.store.newest(key)
        if newest is None:
            return ""
        records, place = newest
        return sampled_words(int(records.sampled[place]), int(records.count[place]))[0]

    def _bring_up_to_date(self, key: int) -> bool:
        """Append what was mirrored since; returns whether that was anything."""
        since = self._drawn.get(key, -1)
        new = self.store.since(since + 1, self.until)
        self._drawn[key] = (self.until or self.store.next) - 1
        records = history_of(new, key, self.store.keys)
        records = _one_a_step(records)
        if not len(records.steps):
            return False
        self._histories[key].append(
            records.steps, edges_of(records), records.counts, records.nan, records.infinite
        )
        return True


def edges_of(records: SeriesHistory) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(n, BINS + 1) edges of the bins of each record."""
    from widgets.binning import linear_edges, octave_edges

    high = records.low + BINS * np.ldexp(1.0, records.exponent)
    edges = linear_edges(records.low, high, BINS)
    if records.octaves.any():
        edges[records.octaves] = octave_edges(records.exponent[records.octaves], BINS)
    return edges


def _one_a_step(records: SeriesHistory) -> SeriesHistory:
    """The last record of each step: a module that fires several times is drawn as it ended."""
    if not len(records.steps):
        return records
    last = np.append(np.diff(records.steps) > 0, True)
    return SeriesHistory(*(column[last] for column in records))
