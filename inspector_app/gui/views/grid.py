"""All watched series as a grid of histograms, each showing its newest record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import infinite_of, newest_of
from inspector_app.gui.views.names import GRADIENTS, NamedSeries
from inspector_app.gui.views.nothing_drawn import NothingDrawn
from inspector_app.gui.views.sampled import sampled_sentence, sampled_words
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import BINS, Phase, Records
from inspector_app.protocol.ranges import bin_ranges
from widgets import plotting

if TYPE_CHECKING:
    from widgets.histogram_grid import HistogramGrid

_PHASED = ("output", "input", "gradient")  # kinds of which it is known whether it was in training
_TRAIN = int(Phase.TRAIN)  # operators of enumerations are slow
_OUT_OF_SIGHT = 64  # cells that are filled at once though nobody sees them
_NOTHING = "Watch modules to see what they put out as histograms."
_OTHERS = "What is watched has no such series: choose others above."
_ALL, _ACTIVATIONS, _GRADIENTS = "All", "Activations", "Gradients"


class GridView(View):
    """Histograms in the model's order.  ``octaves_asked(on)``: how the backend is to count."""

    title = "Histograms"
    octaves_asked = Signal(bool)

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.kinds = self.add_choice("gridKinds", "Which series are drawn", self._kinds_changed)
        self.kinds.addItems([_ALL, _ACTIVATIONS, _GRADIENTS])
        self.logarithmic = self.add_toggle(
            "gridLogarithmic", "log counts", "Draw logarithms of the counts", self._set_logarithmic
        )
        self.octaves = self.add_toggle(
            "gridOctaves",
            "signed log",
            "Count into bins between powers of two, of either sign, from now on",
            self.octaves_asked.emit,
        )
        self._grid: HistogramGrid | None = None
        self._titles: list[tuple[int, str]] = []
        self._phased: set[int] = set()  # keys
        self._which: dict[int, str] = {}  # by key: "evaluation, call 2 of 3"
        self._drawn: dict[int, tuple[int, int]] = {}  # key -> which record is in its cell
        self._turn = 0  # place of the next cells that are filled though they are out of sight
        self.empty = NothingDrawn(_NOTHING, _OTHERS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.empty)

    @property
    def grid(self) -> HistogramGrid:
        """The histograms, made when they are first needed."""
        if self._grid is None:
            plotting.ready()
            from widgets.histogram_grid import HistogramGrid

            self._grid = HistogramGrid()
            self._grid.setObjectName("grid")
            self._grid.setVisible(bool(self._titles))
            self._grid.sight_changed.connect(self.draw)
            self._grid.series_clicked.connect(lambda key: self.row_clicked.emit(self.row_of(key)))
            layout = self.layout()
            assert layout is not None
            layout.addWidget(self._grid)
        return self._grid

    def set_series(self, series: list[NamedSeries]) -> None:
        """One cell for each series but the loop's own numbers."""
        super().set_series([one for one in series if one.kind != "scalar"])
        self._phased = {one.key for one in self.series if one.kind in _PHASED}
        which = {one.key: f"{one.which}\n" for one in self.series if one.which}
        if which != self._which:  # the words of records that are drawn already
            self._which = which
            self._drawn = {key: (drawn[0], -1) for key, drawn in self._drawn.items()}
        self.kinds.setVisible(any(one.kind in GRADIENTS for one in self.series))
        self._show_cells()

    def show_octaves(self, on: bool) -> None:
        """How the backend counts now."""
        with QSignalBlocker(self.octaves):
            self.octaves.setChecked(on)

    def draw(self) -> None:
        """Put the newest record of each series, or the one at the step looked at, into its cell.

        Cells out of sight are filled as they come into it.  Some of them are at each drawing, since
        the mirror lets go of what was not seen for long.
        """
        if not self._titles:
            return
        keys = set(self.grid.keys_in_sight())
        if self.step is None:
            turn = self._turn % len(self._titles)
            keys.update(key for key, _ in self._titles[turn : turn + _OUT_OF_SIGHT])
            self._turn = turn + _OUT_OF_SIGHT
        newest = newest_of(self.store, keys, self.step)
        for key in self._drawn.keys() & keys - newest.keys():
            # One that is only no longer mirrored stays the newest that there is.
            if self.step is not None or self._drawn[key][0] != self.store.generation:
                del self._drawn[key]
                self.grid.take_record(key)
        parts: dict[int, tuple[Records, list[int], list[int]]] = {}  # part, keys, places in it
        for key, (records, index) in newest.items():
            _, theirs, places = parts.setdefault(id(records), (records, [], []))
            theirs.append(key)
            places.append(index)
        for records, theirs, places in parts.values():
            self._update(records, theirs, np.array(places, np.intp))

    def _update(self, records: Records, keys: list[int], places: NDArray[np.intp]) -> None:
        """Put records of one part of the mirror into the cells of these keys."""
        numbers = [(self.store.generation, number) for number in records.sequence[places].tolist()]
        drawn = self._drawn
        new = [i for i, key in enumerate(keys) if drawn.get(key) != numbers[i]]
        if not new:
            return
        keys, places = [keys[i] for i in new], places[new]
        drawn.update(zip(keys, [numbers[i] for i in new], strict=True))
        from widgets.cell_records import RecordColumns

        low, high = bin_ranges(
            records.low[places], records.exponent[places], records.octaves[places], BINS
        )
        remarks = [
            (sampled, count, key in self._phased and not phase & _TRAIN)
            for key, sampled, count, phase in zip(
                keys,
                records.sampled[places].tolist(),
                records.count[places].tolist(),
                records.phase[places].tolist(),
                strict=True,
            )
        ]
        self.grid.update_records(
            keys,
            RecordColumns(
                low=low,
                high=high,
                counts=records.counts[places],
                mean=records.mean[places],
                deviation=records.deviation[places],
                nan=records.nan[places],
                infinite=infinite_of(records)[places],
                step=records.step[places],
                octaves=records.octaves[places],
                finite=~np.isnan(records.minimum[places]),
                notes=[sampled_words(*remark) for remark in remarks],
                details=[
                    self._which.get(key, "") + sampled_sentence(*remark)
                    for key, remark in zip(keys, remarks, strict=True)
                ],
            ),
        )

    def _show_cells(self) -> None:
        chosen = self.kinds.currentText() if not self.kinds.isHidden() else _ALL
        titles = [
            (one.key, one.title)
            for one in self.series
            if chosen == _ALL or (one.kind in GRADIENTS) == (chosen == _GRADIENTS)
        ]
        if titles == self._titles:
            return
        self._titles = titles
        self.empty.setVisible(not titles)
        kept = {key for key, _ in titles}
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if key in kept}
        if titles or self._grid is not None:
            grid = self.grid  # before the import, which needs the plotting library as well
            from widgets.histogram_grid import GridSeries

            grid.set_series([GridSeries(key, title) for key, title in titles])
            grid.setVisible(bool(titles))

    def _kinds_changed(self) -> None:
        self._show_cells()
        self.draw()

    def _set_logarithmic(self, on: bool) -> None:
        self.grid.set_logarithmic(on)
