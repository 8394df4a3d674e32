"""The dialog for thresholds of alarms, and for those that let the training loop stand."""

from __future__ import annotations

import math
from typing import NamedTuple

from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import AlarmKind, AlarmRules
from widgets.theme import GRID, mono_font

_LARGEST = 1e38


class _Rule(NamedTuple):
    kind: AlarmKind
    text: str
    unit: str  # behind the number; "" for a rule without one
    top: float = _LARGEST
    scale: float = 1.0  # what is typed, as a multiple of what is compared


_RULES = (
    _Rule("nan", "NaN or Inf anywhere", ""),
    _Rule("vanishing", "Vanishing: largest gradient below", ""),
    _Rule("exploding", "Exploding: magnitude, or norm of a gradient, above", ""),
    _Rule("dead", "Dead units: at least", "%", 100, 100),
    _Rule("saturated", "Saturated values: at least", "%", 100, 100),
)


class AlarmRulesDialog(QDialog):
    """Modal: ``rules`` are those a person wants, once accepted."""

    def __init__(
        self, rules: AlarmRules, no_pausing: str = "", parent: QWidget | None = None
    ) -> None:
        """``no_pausing``: why an alarm cannot pause here; "" where it can."""
        super().__init__(parent)
        self.setObjectName("alarmRulesDialog")
        self.setWindowTitle("Alarms")
        self.setMinimumWidth(72 * GRID)
        self.rules = rules
        self.on: dict[AlarmKind, QCheckBox] = {}
        self.limit: dict[AlarmKind, QLineEdit] = {}
        self.pauses: dict[AlarmKind, QCheckBox] = {}
        grid = QGridLayout()
        grid.setSpacing(GRID)
        grid.setColumnStretch(0, 1)
        for row, rule in enumerate(_RULES):
            self._add(grid, row, rule, rules, no_pausing)
        self.hint = ToneLabel(tone="muted")
        self.hint.setObjectName("alarmRulesHint")
        self.hint.reserve_lines(3 * GRID)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok
            | QDialogButtonBox.StandardButton.Cancel
            | QDialogButtonBox.StandardButton.RestoreDefaults
        )
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).clicked.connect(
            lambda: self._show(AlarmRules())
        )
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.addLayout(grid)
        column.addWidget(self.hint)
        column.addWidget(buttons)
        self._show(rules)

    def _add(
        self, grid: QGridLayout, row: int, rule: _Rule, rules: AlarmRules, no_pausing: str
    ) -> None:
        on = QCheckBox(rule.text)
        on.setObjectName(f"alarm.{rule.kind}")
        on.toggled.connect(lambda _: self._check())
        self.on[rule.kind] = on
        grid.addWidget(on, row, 0)
        if rule.kind != "nan":
            limit = QLineEdit()
            limit.setObjectName(f"alarmLimit.{rule.kind}")
            limit.setAccessibleName(rule.text)
            limit.setFont(mono_font())
            limit.setFixedWidth(12 * GRID)
            limit.setValidator(QDoubleValidator(0.0, rule.top, 12, limit))
            limit.textChanged.connect(lambda _: self._check())
            self.limit[rule.kind] = limit
            grid.addWidget(limit, row, 1)
            grid.addWidget(ToneLabel(rule.unit, "muted"), row, 2)
        pauses = QCheckBox("pauses training")
        pauses.setObjectName(f"alarmPauses.{rule.kind}")
        pauses.setEnabled(not no_pausing)
        pauses.setToolTip(no_pausing or "The loop stands at the next safe point")
        self.pauses[rule.kind] = pauses
        grid.addWidget(pauses, row, 3)

    def _show(self, rules: AlarmRules) -> None:
        for rule in _RULES:
            value = getattr(rules, rule.kind)
            self.on[rule.kind].setChecked(value is not None and value is not False)
            self.pauses[rule.kind].setChecked(rule.kind in rules.pause)
            if rule.kind in self.limit:
                usual = getattr(AlarmRules(), rule.kind)
                shown = (usual if value is None else value) * rule.scale
                self.limit[rule.kind].setText(f"{shown:.12g}")
        self._check()

    def _check(self) -> None:
        """Tell in place what is wrong, and build the rules otherwise."""
        limits: dict[str, float | None] = {}
        problem = ""
        for rule in _RULES:
            on = self.on[rule.kind].isChecked()
            if rule.kind not in self.limit:
                continue
            field = self.limit[rule.kind]
            field.setEnabled(on)
            value = _number(field.text())
            if on and not 0 <= value <= rule.top:
                wanted = "of at least 0" if rule.top == _LARGEST else f"from 0 to {rule.top:g}"
                problem = f"“{field.text()}” is no threshold: a number {wanted} is."
            limits[rule.kind] = value / rule.scale if on else None
        self.hint.say(
            problem or "Judged in the process of the model, for every step that is measured.",
            "danger" if problem else "muted",
        )
        self.ok.setEnabled(not problem)
        if not problem:
            pause = tuple(kind for kind, box in self.pauses.items() if box.isChecked())
            self.rules = AlarmRules(
                nan=self.on["nan"].isChecked(),
                vanishing=limits["vanishing"],
                exploding=limits["exploding"],
                dead=limits["dead"],
                saturated=limits["saturated"],
                pause=pause,
            )

    def accept(self) -> None:
        """Take the fields as they are now."""
        self._check()
        if self.ok.isEnabled():
            super().accept()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
