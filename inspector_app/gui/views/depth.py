"""How large gradients, activations or updates are over the depth of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import newest_steps
from inspector_app.gui.views.names import NamedSeries
from inspector_app.gui.views.nothing_drawn import NothingDrawn
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import AlarmRules, ProbeKind
from widgets import plotting

if TYPE_CHECKING:
    from widgets.depth_plot import DepthPlot

_STEPS = 16  # drawn: the newest, and those before it, faint
_KINDS: dict[ProbeKind, str] = {
    "gradient": "Gradients of outputs",
    "parameter gradient": "Gradients of parameters",
    "optimizer gradient": "Gradients of the optimizer",
    "output": "Activations",
    "input": "Inputs",
    "value": "Parameters",
    "update": "Update / weight",
}
_NOTHING = "Watch modules to see how large their outputs and gradients are, layer by layer."
_NO_RECORDS = "What is watched has no records yet, or none of what is chosen above."


class DepthView(View):
    """Root mean square and largest magnitude of each layer, on a logarithmic axis."""

    title = "Depth"

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.kinds = self.add_choice("depthKind", "What is drawn of each layer", self._chosen)
        self.rules = AlarmRules()
        self._plot: DepthPlot | None = None
        self._shown: list[NamedSeries] = []
        self.empty = NothingDrawn(_NOTHING, _NO_RECORDS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.empty)

    @property
    def kind(self) -> ProbeKind:
        """What is drawn."""
        return self.kinds.currentData() or "output"

    def set_series(self, series: list[NamedSeries]) -> None:
        """Layers are those with a series of the kind that is drawn."""
        super().set_series([one for one in series if one.measured])
        there = [kind for kind in _KINDS if any(one.kind == kind for one in self.series)]
        if there != [self.kinds.itemData(index) for index in range(self.kinds.count())]:
            chosen = self.kinds.currentData()
            self.kinds.clear()
            for kind in there:
                self.kinds.addItem(_KINDS[kind], kind)
            self.kinds.setCurrentIndex(max(0, self.kinds.findData(chosen)))
        self._set_layers()

    def set_rules(self, rules: AlarmRules) -> None:
        """Draw the thresholds of the alarms."""
        self.rules = rules
        if self._plot is not None:
            self._plot.set_thresholds(rules.vanishing, rules.exploding)

    def select(self, rows: set[int]) -> None:
        """Mark the layer that is selected in the tree."""
        if self._plot is not None:
            key = next((one.key for one in self._shown if one.row in rows), -1)
            self._plot.set_current(key)

    def draw(self) -> None:
        """The newest steps, oldest first."""
        self.empty.setVisible(not self._shown)
        if not self._shown:
            if self._plot is not None:
                self._plot.hide()
            return
        plot = self._plot or self._make()
        plot.show()
        keys = [one.key for one in self._shown]
        plot.set_values(*newest_steps(self.store, keys, _STEPS, self.step))

    def _make(self) -> DepthPlot:
        plotting.ready()
        from widgets.depth_plot import DepthPlot

        self._plot = DepthPlot()
        self._plot.setObjectName("depthPlot")
        self._plot.set_words("root mean square", "largest")
        self._plot.key_clicked.connect(lambda key: self.row_clicked.emit(self.row_of(key)))
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._plot)
        self._set_layers()
        self.set_rules(self.rules)
        return self._plot

    def _chosen(self) -> None:
        self._set_layers()
        self.draw()

    def _set_layers(self) -> None:
        shown = [one for one in self.series if one.kind == self.kind]
        if self._plot is not None:
            from widgets.depth_plot import DepthLayer

            self._plot.set_layers([DepthLayer(one.key, one.short_title) for one in shown])
        self._shown = shown
