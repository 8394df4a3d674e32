"""All watched series as a grid of histograms, each showing its newest record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import newest_of
from inspector_app.gui.views.names import GRADIENTS, NamedSeries
from inspector_app.gui.views.sampled import sampled_sentence, sampled_words
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import BINS, Phase, Records
from inspector_app.protocol.ranges import linear_range, octave_range
from widgets import plotting

if TYPE_CHECKING:
    from widgets.histogram_grid import HistogramGrid

_SHOWN: tuple[str, ...] = ("sampled", "count", "low", "exponent", "octaves", "mean", "deviation")
_SHOWN += ("nan", "positive_infinity", "negative_infinity", "step", "minimum", "phase")
_PHASED = ("output", "input", "gradient")  # kinds of which it is known whether it was in training
_TRAIN = int(Phase.TRAIN)  # operators of enumerations are slow
_NO_BINS = np.empty(0, np.int64)  # of a tensor without a finite value
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
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)

    @property
    def grid(self) -> HistogramGrid:
        """The histograms, made when they are first needed."""
        if self._grid is None:
            plotting.ready()
            from widgets.histogram_grid import HistogramGrid

            self._grid = HistogramGrid()
            self._grid.setObjectName("grid")
            self._grid.series_clicked.connect(lambda key: self.row_clicked.emit(self.row_of(key)))
            layout = self.layout()
            assert layout is not None
            layout.addWidget(self._grid)
        return self._grid

    def set_series(self, series: list[NamedSeries]) -> None:
        """One cell for each series but the loop's own numbers."""
        super().set_series([one for one in series if one.kind != "scalar"])
        self._phased = {one.key for one in self.series if one.kind in _PHASED}
        self._which = {one.key: f"{one.which}\n" for one in self.series if one.which}
        self.kinds.setVisible(any(one.kind in GRADIENTS for one in self.series))
        self._show_cells()

    def show_octaves(self, on: bool) -> None:
        """How the backend counts now."""
        with QSignalBlocker(self.octaves):
            self.octaves.setChecked(on)

    def draw(self) -> None:
        """Put the newest record of each series, or the one at the step looked at, into its cell."""
        shown = {key for key, _ in self._titles}
        newest = newest_of(self.store, shown, self.step)
        for key in self._drawn.keys() - newest.keys():
            # One that is only no longer mirrored stays the newest that there is.
            if self.step is not None or self._drawn[key][0] != self.store.generation:
                del self._drawn[key]
                self.grid.take_record(key)
        new: dict[int, tuple[Records, list[int], list[int]]] = {}  # part, keys, places in it
        for key, (records, index) in newest.items():
            record = self.store.generation, int(records.sequence[index])
            if self._drawn.get(key) != record:
                self._drawn[key] = record
                _, keys, places = new.setdefault(id(records), (records, [], []))
                keys.append(key)
                places.append(index)
        for records, keys, places in new.values():
            self._update(records, keys, places)

    def _update(self, records: Records, keys: list[int], places: list[int]) -> None:
        """Put records of one part of the mirror into the cells of these keys."""
        columns = (getattr(records, name)[places].tolist() for name in _SHOWN)
        counts = records.counts[places]  # a copy: the mirror uses its memory again
        for key, bins, record in zip(keys, counts, zip(*columns, strict=True), strict=True):
            sampled, count, low, exponent, octaves, mean, deviation, *rest = record
            nan, plus, minus, step, minimum, phase = rest
            evaluation = key in self._phased and not phase & _TRAIN
            edges = octave_range(exponent) if octaves else linear_range(low, exponent, BINS)
            self.grid.update_record(
                key,
                *edges,
                _NO_BINS if math.isnan(minimum) else bins,
                mean,
                deviation,
                nan,
                plus + minus,
                step,
                sampled_words(sampled, count, evaluation),
                self._which.get(key, "") + sampled_sentence(sampled, count, evaluation),
                octaves,
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
        kept = {key for key, _ in titles}
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if key in kept}
        if titles or self._grid is not None:
            grid = self.grid  # before the import, which needs the plotting library as well
            from widgets.histogram_grid import GridSeries

            grid.set_series([GridSeries(key, title) for key, title in titles])

    def _kinds_changed(self) -> None:
        self._show_cells()
        self.draw()

    def _set_logarithmic(self, on: bool) -> None:
        self.grid.set_logarithmic(on)
