"""Watched rows in the tree: a bar for what was measured last, and how their probes stand."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.live import Live
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.models.watch_words import Level, Levels
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import GetProbeStates, ProbeKind, ProbeStates, Series
from widgets.painted_tree import row_id_of
from widgets.tree_view import LazyTreeView

_STATES_EVERY = 1000  # milliseconds
_BARS_EVERY = 100
_VALUES: tuple[ProbeKind, ...] = ("output", "value", "input")
_GRADIENTS: tuple[ProbeKind, ...] = ("gradient", "parameter gradient", "optimizer gradient")


class WatchedRows(QObject):
    """Only rows in sight get new bars, and only when there is something new.

    ``told(states)``: how the probes stand, once a second.
    """

    told = Signal(list)

    def __init__(
        self,
        session: ClientSession,
        live: Live,
        store: RecordsStore,
        model: RowTreeModel,
        view: LazyTreeView,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._live = live
        self._store = store
        self._model = model
        self._view = view
        self._in_the_air = False
        self._drawn: tuple[int, int, set[int]] = (-1, -1, set())  # what bars stand for
        self._states = QTimer(self)
        self._states.setInterval(_STATES_EVERY)
        self._states.timeout.connect(self.ask)
        self._bars = QTimer(self)
        self._bars.setInterval(_BARS_EVERY)
        self._bars.timeout.connect(self.draw)
        live.changed.connect(self._changed)

    def _changed(self) -> None:
        active = bool(self._live.watched) and self._session.state != "lost"
        for timer in (self._states, self._bars):
            if active and not timer.isActive():
                timer.start()
            elif not active:
                timer.stop()
        if not active:
            self.told.emit([])

    # -- states --------------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask how the probes stand."""
        if not self._in_the_air:
            self._in_the_air = True
            self._session.request(GetProbeStates(), self._told, self._missed)

    def _told(self, found: ProbeStates) -> None:
        self._in_the_air = False
        self._model.set_probes(found.states)
        self._live.show_exact({state.row for state in found.states if state.exact})
        self.told.emit(found.states)

    def _missed(self, _: InspectorError) -> None:
        """It is asked again in a second."""
        self._in_the_air = False

    # -- bars ----------------------------------------------------------------------------------

    def draw(self) -> None:
        """Bring the bars of the rows in sight up to date."""
        if not self._view.isVisible():
            return
        in_sight = {row_id_of(index): index for index in self._view.rows_in_sight()}
        wanted = self._live.watched.intersection(in_sight)
        now = self._store.generation, self._store.next, wanted
        if now == self._drawn:
            return
        self._drawn = now
        series: dict[int, list[Series]] = {row: [] for row in wanted}
        for one in self._store.series.values():
            if one.row in series:
                series[one.row].append(one)
        self._model.set_levels({row: self._levels(several) for row, several in series.items()})
        for row in series:
            self._view.viewport().update(self._view.visualRect(in_sight[row]))

    def _levels(self, series: list[Series]) -> Levels | None:
        """The newest records shown of one row: of its values and of its gradient; None without."""
        levels = []
        for kinds in (_VALUES, _GRADIENTS):
            for kind in kinds:
                found = (self._store.newest(one.key) for one in series if one.kind == kind)
                newest = next((one for one in found if one is not None), None)
                if newest is not None:
                    records, place = newest
                    broken = int(
                        records.nan[place]
                        + records.positive_infinity[place]
                        + records.negative_infinity[place]
                    )
                    count = max(1, int(records.count[place]))
                    value = math.nan if broken else float(records.norm[place] / np.sqrt(count))
                    levels.append(Level(kind, value, int(records.step[place])))
                    break
        return Levels(tuple(levels)) if levels else None
