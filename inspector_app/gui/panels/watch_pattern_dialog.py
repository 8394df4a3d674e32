"""Watch by a ready selection, a class, or a pattern over paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from PySide6.QtWidgets import QComboBox, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.pattern_line import PatternLine
from inspector_app.gui.panels.patterns import classes_in
from inspector_app.gui.panels.plan_dialog import PlanDialog
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.ready_selections import ReadySelections
from inspector_app.protocol.messages import Planned, PlanWatch, Request, Selection, Watchable
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID

_WORDS: dict[Watchable, tuple[str, str]] = {
    "modules": ("All modules", "module"),
    "leaves": ("Modules that have none below them", "module"),
    "parameters": ("Parameters", "parameter"),
}


class WatchPatternDialog(PlanDialog):
    """``rows`` holds the ids of what was asked for, once accepted."""

    def __init__(
        self,
        session: Asks,
        table: Callable[[], RowTable],
        pattern: str = "",
        parameters: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        """``pattern`` to begin with; ``parameters`` says whether these can be watched."""
        super().__init__(session, table, "Watch", parent)
        self.setObjectName("watchPatternDialog")
        self.setWindowTitle("Watch by pattern or class")
        self.setMinimumSize(92 * GRID, 52 * GRID)
        self.resize(116 * GRID, 64 * GRID)
        self.ready = ReadySelections(
            session, table(), classes_in(table(), any_module=True), only_fitting=True
        )
        self.ready.count_rows()
        self.ready.setMinimumWidth(36 * GRID)
        self.pattern = PatternLine("watchPattern", "pattern of what is watched")
        self.pattern.setText(pattern)
        self.which_box = QComboBox()
        self.which_box.setObjectName("watchWhich")
        for which, (words, _) in _WORDS.items():
            if parameters or which != "parameters":
                self.which_box.addItem(words, which)
        self.form.addRow("&Pattern", self.pattern)
        self.form.addRow("&Rows", self.which_box)
        self.beside.insertWidget(0, self.ready)
        self.beside.setStretch(0, 2)
        self.beside.setStretch(1, 3)
        self.pattern.textChanged.connect(self._typed)
        self.ready.chosen.connect(lambda patterns: self.pattern.setText(" ".join(patterns)))
        self.which_box.currentIndexChanged.connect(self._chosen_which)
        self._chosen_which()
        self._typed()
        self.pattern.setFocus()

    @property
    def which(self) -> Watchable:
        """What is watched of all that the patterns mean."""
        return cast("Watchable", self.which_box.currentData())

    @property
    def rows(self) -> list[int]:
        """Ids of the rows in the preview."""
        return [] if self._planned is None else self._planned.changes.tolist()

    def plan(self) -> Request | str:
        """Ask what would be watched."""
        patterns = self.pattern.patterns
        if not patterns:
            return (
                "Choose from the list, or type a pattern such as encoder.*, to see what it means."
            )
        return PlanWatch(selection=Selection(patterns=patterns), which=self.which)

    def show_plan(self, planned: Planned) -> None:
        """The rows are there."""
        self._planned = planned
        sentence = f"{plural(len(self.rows), _WORDS[self.which][1])} would be watched."
        self.preview.show_rows(sentence, "To be watched", self.rows, self._table())
        self.update_apply()

    def done(self, result: int) -> None:
        """Ask no more."""
        self.ready.drop()
        super().done(result)

    def _typed(self) -> None:
        self.ready.show_chosen(self.pattern.patterns)
        self.refresh()

    def _chosen_which(self) -> None:
        self.ready.count(
            lambda pattern: PlanWatch(selection=Selection(patterns=[pattern]), which=self.which)
        )
        self.refresh()
