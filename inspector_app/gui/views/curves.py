"""Numbers over steps: what the loop logs, and any scalar of the series watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import METRICS, OF_SOME, curve_of, keys_with, own_keys
from inspector_app.gui.views.names import NamedSeries
from inspector_app.gui.views.view import View
from widgets import plotting
from widgets.empty_state import EmptyState

if TYPE_CHECKING:
    from widgets.curve_view import CurveView

_LOGGED = "Logged by the loop"
_MOST = 8  # curves of one plot, of series that nobody selected
_NONE_HAS: dict[str, str] = {
    "Dead units, share": "No share of dead units is known here: it is told of outputs, once some "
    "batches were looked at.",
    "Saturated, share": "Nothing here can be saturated: that is told of bounded outputs, as those "
    "of a sigmoid or tanh are.",
}
_NOTHING = "Watch modules, or log numbers with session.log(loss=loss), to see them as curves."


class CurvesView(View):
    """One metric of the selected rows, or of the first series where none of them is watched."""

    title = "Curves"

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.metrics = self.add_choice("curveMetric", "What is drawn over the steps", self._chosen)
        self.metrics.addItems(list(METRICS))
        self.logarithmic = self.add_toggle(
            "curveLogarithmic", "log axis", "Draw on a logarithmic axis", self._set_logarithmic
        )
        self._plot: CurveView | None = None
        self._drawn: dict[int, int] = {}  # key -> sequence number drawn up to
        self._made_of: tuple[str, list[int]] = ("", [])
        self.empty = EmptyState("live", _NOTHING)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.empty)

    @property
    def logged(self) -> bool:
        """Whether the loop's own numbers are drawn."""
        return self.metrics.currentText() == _LOGGED

    def set_series(self, series: list[NamedSeries]) -> None:
        """Numbers of the loop are offered first, once there are any."""
        super().set_series([one for one in series if one.measured])
        logged = any(one.kind == "scalar" for one in self.series)
        offered = self.metrics.itemText(0) == _LOGGED
        if logged and not offered:
            self.metrics.insertItem(0, _LOGGED)
            self.metrics.setCurrentIndex(0)
        elif offered and not logged:
            self.metrics.removeItem(0)

    def forget(self) -> None:
        """The records of another session begin anew."""
        self._drawn.clear()
        self._made_of = ("", [])

    def read_anew(self) -> None:
        """Other records of the same series."""
        self.forget()

    def select(self, rows: set[int]) -> None:
        """Draw the series of the rows that are selected in the tree."""
        self.selected = rows
        self.draw()

    def draw(self) -> None:
        """Append what was mirrored since to each curve."""
        metric = self.metrics.currentText()
        shown = self._chosen_series(metric)
        if not shown:
            self.empty.set_sentence(_NONE_HAS.get(metric, _NOTHING) if self.series else _NOTHING)
        self.empty.setVisible(not shown)
        if self._plot is not None:
            self._plot.setVisible(bool(shown))
        if not shown:
            return
        plot = self._plot or self._make()
        keys = [one.key for one in shown]
        if self._made_of != (metric, keys):
            from widgets.curve_view import CurveSeries

            plot.set_series([])
            plot.set_series([CurveSeries(one.key, one.title, one.echo) for one in shown])
            plot.set_title(metric)
            which = {one.which for one in shown}
            plot.canvas.which = which.pop() if len(which) == 1 else ""
            self._made_of = (metric, keys)
            self._drawn.clear()
        plot.canvas.mark(self.step)
        read, keys_of = ("Mean", own_keys) if self.logged else (metric, self.store.keys)
        for key in keys:
            since = self._drawn.get(key, -1)
            new = self.store.since(since + 1, self.until)
            self._drawn[key] = (self.until or self.store.next) - 1
            steps, values = curve_of(new, key, read, keys_of)
            if len(steps):
                plot.append(key, steps, values)

    def _chosen_series(self, metric: str) -> list[NamedSeries]:
        if metric == _LOGGED:
            return [one for one in self.series if one.kind == "scalar"]
        measured = [one for one in self.series if one.kind != "scalar"]
        selected = [one for one in measured if one.row in self.selected]
        if metric in OF_SOME:
            known = keys_with(self.store.answers, metric, self.store.keys)
            return [one for one in selected or measured if one.key in known][:_MOST]
        return selected or measured[:_MOST]

    def _chosen(self) -> None:
        self.draw()

    def _set_logarithmic(self, on: bool) -> None:
        if self._plot is not None:
            self._plot.set_logarithmic(on)

    def _make(self) -> CurveView:
        plotting.ready()
        from widgets.curve_view import CurveView

        self._plot = CurveView()
        self._plot.setObjectName("curves")
        self._plot.set_logarithmic(self.logarithmic.isChecked())
        self._plot.step_clicked.connect(self.step_clicked)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._plot)
        return self._plot
