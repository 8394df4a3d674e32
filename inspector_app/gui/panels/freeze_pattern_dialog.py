"""Freeze or unfreeze by a ready selection, a class, or a pattern over paths."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QHBoxLayout,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.pattern_line import PatternLine
from inspector_app.gui.panels.patterns import patterns_in
from inspector_app.gui.panels.plan_dialog import PlanDialog
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.question import Question
from inspector_app.gui.panels.ready_selections import ReadySelections
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import (
    PlanFreeze,
    PlanHoldStatistics,
    Planned,
    Request,
    Selection,
)
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID

_WHY = (
    "Frozen or not, such layers move their running statistics in train mode. Held, they are in "
    "eval mode and leave them alone, until train() of a module above is called."
)
_WHY_NOT = "Held layers go back to train mode, where their running statistics move again."


class FreezePatternDialog(PlanDialog):
    """``selection``, ``frozen`` and ``holds`` hold what was asked for, once accepted."""

    def __init__(
        self,
        session: Asks,
        table: Callable[[], RowTable],
        pattern: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(session, table, "Freeze", parent)
        self.setObjectName("freezePatternDialog")
        self.setWindowTitle("Freeze by pattern or class")
        self.setMinimumSize(92 * GRID, 56 * GRID)
        self.resize(116 * GRID, 68 * GRID)
        self._statistics = Question(session)
        self._keepers = 0  # layers that can be held, among what the pattern means
        self.ready = ReadySelections(session, table())
        self.ready.setMinimumWidth(36 * GRID)
        self.pattern = PatternLine("freezePattern", "pattern of what is frozen")
        self.pattern.setText(pattern)
        self.freeze_button = QRadioButton("&Freeze")
        self.freeze_button.setObjectName("freezeAction")
        self.freeze_button.setChecked(True)
        self.unfreeze_button = QRadioButton("&Unfreeze")
        self.unfreeze_button.setObjectName("unfreezeAction")
        group = QButtonGroup(self)
        choice = QHBoxLayout()
        choice.setSpacing(2 * GRID)
        for button in (self.freeze_button, self.unfreeze_button):
            group.addButton(button)
            choice.addWidget(button)
        choice.addStretch(1)
        self.hold_box = QCheckBox()
        self.hold_box.setObjectName("holdStatistics")
        self.hold_why = ToneLabel(_WHY, "muted")
        self.hold_why.reserve_lines(7 * GRID)
        holding = QVBoxLayout()
        holding.setSpacing(GRID // 2)
        holding.addWidget(self.hold_box)
        holding.addWidget(self.hold_why)
        self.form.addRow("&Pattern", self.pattern)
        self.form.addRow("Action", choice)
        self.form.addRow("Statistics", holding)
        self.beside.insertWidget(0, self.ready)
        self.beside.setStretch(0, 2)
        self.beside.setStretch(1, 3)
        self.pattern.textChanged.connect(self._typed)
        self.ready.chosen.connect(self._chosen)
        self.hold_box.toggled.connect(lambda: self.update_apply())
        group.buttonToggled.connect(self._toggled)
        self._toggled()
        self._typed()
        self.pattern.setFocus()

    @property
    def selection(self) -> Selection:
        """What the patterns mean."""
        return Selection(patterns=patterns_in(self.pattern.text()))

    @property
    def frozen(self) -> bool:
        """True to freeze, False to unfreeze."""
        return self.freeze_button.isChecked()

    @property
    def freezes(self) -> bool:
        """Whether any parameter would change: the wish may be for statistics alone."""
        return self._planned is not None and self._planned.tensors > 0

    @property
    def holds(self) -> bool:
        """Whether running statistics are to be held, too (or let move again)."""
        return self.hold_box.isChecked() and self._keepers > 0

    def plan(self) -> Request | str:
        """Ask what would change."""
        selection = self.selection
        if not selection.patterns:
            return (
                "Choose from the list, or type a pattern such as encoder.*, to see what it would "
                "change."
            )
        return PlanFreeze(selection=selection, frozen=self.frozen)

    def ask(self) -> None:
        """Ask for the layers whose statistics move, as well."""
        self._statistics.ask(
            PlanHoldStatistics(selection=self.selection, held=self.frozen),
            self._statistics_planned,
            lambda error: None,
        )

    def drop(self) -> None:
        """Forget both previews."""
        super().drop()
        self._statistics.drop()

    def done(self, result: int) -> None:
        """Ask no more."""
        self.ready.drop()
        super().done(result)

    def update_apply(self) -> None:
        """Something is to be frozen, or held."""
        self.apply_button.setEnabled(self.freezes or (self._planned is not None and self.holds))

    def _typed(self) -> None:
        self.ready.show_chosen(patterns_in(self.pattern.text()))
        self._show_keepers(0)
        self.refresh()

    def _chosen(self, patterns: list[str]) -> None:
        self.pattern.setText(" ".join(patterns))

    def _toggled(self) -> None:
        self.apply_button.setText("Freeze" if self.frozen else "Unfreeze")
        self.hold_why.setText(_WHY if self.frozen else _WHY_NOT)
        self._show_keepers(0)
        self.ready.count(
            lambda pattern: PlanFreeze(selection=Selection(patterns=[pattern]), frozen=self.frozen)
        )
        self.refresh()

    def _statistics_planned(self, planned: Planned) -> None:
        self._show_keepers(planned.tensors)
        self.update_apply()

    def _show_keepers(self, keepers: int) -> None:
        self._keepers = keepers
        self.hold_box.setEnabled(keepers > 0)
        self.hold_why.setEnabled(keepers > 0)
        layers = plural(keepers, "layer")
        what = "hold the" if self.frozen else "let the"
        then = "" if self.frozen else " move"
        of = f"statistics of {layers}{then}" if keepers else f"statistics{then} (none among these)"
        self.hold_box.setText(f"Also &{what} {of}")
