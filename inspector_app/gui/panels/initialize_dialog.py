"""Initialise the selected rows: scheme, its arguments, seed, and a preview of what changes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QLocale
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import even, seed_box
from inspector_app.gui.panels.freeze_pattern_dialog import patterns_in
from inspector_app.gui.panels.plan_dialog import PlanDialog
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import PlanInitialize, Request, Scheme, Selection
from inspector_app.protocol.schemes import SCHEMES, ArgumentInfo, check_scheme
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID, mono_font

_MOST_ARGUMENTS = max(len(info.arguments) for info in SCHEMES.values())


class InitializeDialog(PlanDialog):
    """``selection``, ``scheme`` and ``seed`` hold what was asked for, once accepted."""

    def __init__(
        self,
        session: Asks,
        table: Callable[[], RowTable],
        selection: Selection,
        words: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(session, table, "Initialise", parent)
        self.setObjectName("initializeDialog")
        self.setWindowTitle("Initialise")
        self._selection = selection
        self._fields: dict[str, QLineEdit | QComboBox] = {}
        self.selected = QRadioButton(f"Se&lected: {words}")
        self.selected.setObjectName("initializeSelected")
        self.selected.setChecked(True)
        self.by_pattern = QRadioButton("&Pattern:")
        self.pattern = QLineEdit()
        self.pattern.setObjectName("initializePattern")
        self.pattern.setAccessibleName("pattern of what is initialised")
        self.pattern.setFont(mono_font())
        self.pattern.setPlaceholderText("encoder.* *.bias")
        pattern_row = QHBoxLayout()
        pattern_row.addWidget(self.by_pattern)
        pattern_row.addWidget(self.pattern, 1)
        group = QButtonGroup(self)
        for button in (self.selected, self.by_pattern):
            group.addButton(button)
        self.scheme_box = QComboBox()
        self.scheme_box.setObjectName("initializeScheme")
        self.scheme_box.setFont(mono_font())
        self.scheme_box.addItems(list(SCHEMES))
        self.explanation = ToneLabel(tone="muted")
        self.explanation.reserve_lines(5 * GRID)
        self._arguments = QWidget()
        self._arguments_form = QFormLayout(self._arguments)
        self._arguments_form.setContentsMargins(0, 0, 0, 0)
        self._arguments_form.setSpacing(GRID)
        # Room for the scheme with the most arguments, so that nothing below moves.
        self._arguments.setMinimumHeight(_MOST_ARGUMENTS * 5 * GRID)
        self.seed_box = seed_box(
            "initializeSeed", "The same seed gives the same values; no other random state moves"
        )
        even(self.scheme_box, self.seed_box)
        self.form.addRow("What", self.selected)
        self.form.addRow("", pattern_row)
        self.form.addRow("S&cheme", self.scheme_box)
        self.form.addRow("", self.explanation)
        self.form.addRow("Arguments", self._arguments)
        self.form.addRow("&Seed", self.seed_box)
        group.buttonToggled.connect(self.refresh)
        self.pattern.textEdited.connect(lambda: self.by_pattern.setChecked(True))
        self.pattern.textChanged.connect(self.refresh)
        self.scheme_box.currentTextChanged.connect(self._scheme_changed)
        self._scheme_changed()

    @property
    def selection(self) -> Selection:
        """The rows selected, or what the patterns mean."""
        if self.by_pattern.isChecked():
            return Selection(patterns=patterns_in(self.pattern.text()))
        return self._selection

    @property
    def scheme(self) -> Scheme:
        """The scheme with its arguments; raises RequestError for an impossible one."""
        arguments: dict[str, float | str] = {}
        for name, field in self._fields.items():
            if isinstance(field, QComboBox):
                arguments[name] = field.currentText()
                continue
            if not field.text().strip() and field.placeholderText():
                continue  # follows from the others
            number, understood = QLocale.c().toDouble(field.text().strip())
            if not understood:
                raise RequestError(f"{name} must be a number, not '{field.text()}'.")
            arguments[name] = number
        return check_scheme(Scheme(name=self.scheme_box.currentText(), arguments=arguments))

    @property
    def seed(self) -> int:
        """Of the generator that the values are drawn from."""
        return self.seed_box.value()

    def plan(self) -> Request | str:
        """Ask what would change."""
        if self.by_pattern.isChecked() and not self.selection.patterns:
            return "Type a pattern such as encoder.* to see what it would change."
        try:
            return PlanInitialize(selection=self.selection, scheme=self.scheme)
        except RequestError as error:
            return error.sentence

    def _scheme_changed(self) -> None:
        info = SCHEMES[self.scheme_box.currentText()]
        self.explanation.say(f"{info.summary} ({info.source})", "muted")
        while self._arguments_form.rowCount():
            self._arguments_form.removeRow(0)
        self._fields = {name: self._field(name, info.arguments[name]) for name in info.arguments}
        for name, field in self._fields.items():
            self._arguments_form.addRow(name, field)
        self.refresh()

    def _field(self, name: str, info: ArgumentInfo) -> QLineEdit | QComboBox:
        field: QLineEdit | QComboBox
        if info.kind == "choice":
            field = QComboBox()
            field.addItems(info.choices)
            field.setCurrentText(str(info.default))
            field.currentTextChanged.connect(self.refresh)
        else:
            field = QLineEdit("" if info.default is None else f"{info.default:g}")
            field.setPlaceholderText(info.derived)
            validator = QDoubleValidator(field)
            validator.setLocale(QLocale.c())
            field.setValidator(validator)
            field.textChanged.connect(self.refresh)
        field.setObjectName(f"argument_{name}")
        field.setAccessibleName(name)
        field.setFont(mono_font())
        field.setToolTip(info.summary)
        even(field)
        return field
