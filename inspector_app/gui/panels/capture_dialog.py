"""The dialog that asks of which step to come a whole tensor is kept."""

from __future__ import annotations

from typing import Literal, cast

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QSpinBox, QWidget

from inspector_app.gui.panels.forms import even
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.theme import GRID

Wanted = Literal["output", "gradient"]
_WORDS: dict[Wanted, str] = {
    "output": "Output, or value of a parameter",
    "gradient": "Gradient",
}
_LARGEST = 2**31 - 1


class CaptureDialog(QDialog):
    """``wanted`` and ``step`` are what a person chose, once accepted."""

    def __init__(self, rows: int, now: int, step: int, parent: QWidget | None = None) -> None:
        """Of so many rows; ``now`` is the step that runs or ran last, ``step`` a proposal."""
        super().__init__(parent)
        self.setObjectName("captureDialog")
        self.setWindowTitle("Capture at a step")
        self.setMinimumWidth(56 * GRID)
        self._rows = rows
        self._now = now
        self._what = QComboBox()
        self._what.setObjectName("captureWhat")
        for wanted, words in _WORDS.items():
            self._what.addItem(words, wanted)
        self._step = QSpinBox()
        self._step.setObjectName("captureStep")
        self._step.setRange(1, _LARGEST)
        self._step.setGroupSeparatorShown(True)
        self._step.setValue(step)
        self._step.selectAll()
        even(self._what, self._step)
        self.hint = ToneLabel(tone="muted")
        self.hint.setObjectName("captureHint")
        self.hint.reserve_lines(5 * GRID)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Capture")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.setSpacing(GRID)
        form.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        form.addRow("&What", self._what)
        form.addRow("&Step", self._step)
        form.addRow(self.hint)
        form.addRow(buttons)
        self._step.valueChanged.connect(lambda _: self._check())
        self._step.setFocus()
        self._check()

    @property
    def wanted(self) -> Wanted:
        """What is kept of each row."""
        return cast("Wanted", self._what.currentData())

    @property
    def step(self) -> int:
        """The step."""
        return self._step.value()

    def tell(self, now: int) -> None:
        """The model has come to this step meanwhile."""
        if now != self._now:
            self._now = now
            self._check()

    def _check(self) -> None:
        over = self.step <= self._now
        now = f"Step {self._now:,} is the last so far" if self._now else "No step has run so far"
        if over:
            self.hint.say(f"{now}: choose one that is still to come.", "danger")
        else:
            self.hint.say(f"{now}. Of {plural(self._rows, 'row')}, as a whole.", "muted")
        self.ok.setEnabled(not over)
