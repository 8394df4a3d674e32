"""Initialise the selected rows: scheme, its arguments, seed, and a preview of what changes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QLocale
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import even, seed_box
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
        self.selection = selection
        self._fields: dict[str, QLineEdit | QComboBox] = {}
        what = ToneLabel(words)
        what.setObjectName("initializeWhat")
        what.setFont(mono_font())
        what.setWordWrap(True)
        self.scheme_box = QComboBox()
        self.scheme_box.setObjectName("initializeScheme")
        self.scheme_box.setFont(mono_font())
        self.scheme_box.addItems(list(SCHEMES))
        self.explanation = ToneLabel(tone="muted")
        self.explanation.setWordWrap(True)
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
        self.form.addRow("What", what)
        self.form.addRow("S&cheme", self.scheme_box)
        self.form.addRow("", self.explanation)
        self.form.addRow("Arguments", self._arguments)
        self.form.addRow("&Seed", self.seed_box)
        self.scheme_box.currentTextChanged.connect(self._scheme_changed)
        self._scheme_changed()

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
