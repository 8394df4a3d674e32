"""Freeze or unfreeze all rows whose path matches a pattern."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLineEdit, QRadioButton, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.plan_dialog import PlanDialog
from inspector_app.protocol.messages import PlanFreeze, Request, Selection
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID, mono_font


def patterns_in(text: str) -> list[str]:
    """Patterns as typed: apart by spaces or commas outside of brackets and quotes."""
    patterns: list[str] = []
    current = ""
    depth = 0
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth = max(0, depth - 1)
        elif character in ", \t" and not depth:
            patterns.append(current)
            current = ""
            continue
        current += character
    patterns.append(current)
    return [pattern for pattern in patterns if pattern]


class FreezePatternDialog(PlanDialog):
    """``selection`` and ``frozen`` hold what was asked for, once accepted."""

    def __init__(
        self,
        session: Asks,
        table: Callable[[], RowTable],
        pattern: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(session, table, "Freeze", parent)
        self.setObjectName("freezePatternDialog")
        self.setWindowTitle("Freeze by pattern")
        self.pattern = QLineEdit(pattern)
        self.pattern.setObjectName("freezePattern")
        self.pattern.setFont(mono_font())
        self.pattern.setPlaceholderText("encoder.layers.* *.bias")
        self.pattern.setToolTip(
            "Globs over dotted paths, apart by spaces: * crosses dots, a module means its subtree"
        )
        self.freeze_button = QRadioButton("&Freeze")
        self.freeze_button.setChecked(True)
        self.unfreeze_button = QRadioButton("&Unfreeze")
        group = QButtonGroup(self)
        choice = QHBoxLayout()
        choice.setSpacing(2 * GRID)
        for button in (self.freeze_button, self.unfreeze_button):
            group.addButton(button)
            choice.addWidget(button)
        choice.addStretch(1)
        self.form.addRow("&Pattern", self.pattern)
        self.form.addRow("Action", choice)
        self.pattern.textChanged.connect(self.refresh)
        group.buttonToggled.connect(self._toggled)
        self.refresh()

    @property
    def selection(self) -> Selection:
        """What the patterns mean."""
        return Selection(patterns=patterns_in(self.pattern.text()))

    @property
    def frozen(self) -> bool:
        """True to freeze, False to unfreeze."""
        return self.freeze_button.isChecked()

    def plan(self) -> Request | str:
        """Ask what would change."""
        selection = self.selection
        if not selection.patterns:
            return "Type a pattern such as encoder.* to see what it would change."
        return PlanFreeze(selection=selection, frozen=self.frozen)

    def _toggled(self) -> None:
        self.apply_button.setText("Freeze" if self.frozen else "Unfreeze")
        self.refresh()
