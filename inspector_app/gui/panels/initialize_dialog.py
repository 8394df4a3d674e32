"""Initialise rows: scheme, arguments, seed, what would change, and its values tried on copies."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from PySide6.QtCore import QLocale, QSize, QTimer
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QRadioButton,
    QToolButton,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.before_after import BeforeAfterPanel
from inspector_app.gui.panels.forms import even, seed_box
from inspector_app.gui.panels.pattern_line import PatternLine
from inspector_app.gui.panels.plan_dialog import PlanDialog
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.question import Question
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.wording import without_middle
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import (
    PlanInitialize,
    Planned,
    PreviewInitialize,
    Request,
    Scheme,
    Selection,
)
from inspector_app.protocol.presets import INITIAL
from inspector_app.protocol.schemes import SCHEMES, ArgumentInfo, check_scheme
from inspector_app.protocol.table import Flag, RowTable
from widgets.icons import icon
from widgets.theme import GRID, mono_font

_MOST_ARGUMENTS = max(len(info.arguments) for info in SCHEMES.values())
_TRIED = 24  # tensors whose values are shown, at most
_NAME = 36  # characters of what is selected, all of which its tooltip holds
_PAUSE = 150  # milliseconds without a new seed before values are asked for


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
        self.setMinimumWidth(98 * GRID)
        self.resize(128 * GRID, 80 * GRID)  # or higher, where the fields need it
        self._selection = selection
        self._fields: dict[str, QLineEdit | QComboBox] = {}
        self._trial = Question(session)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE)
        self._pause.timeout.connect(self._try)
        self.values = BeforeAfterPanel()
        self.values.setMinimumWidth(40 * GRID)
        self._build_what(words)
        self.scheme_box = QComboBox()
        self.scheme_box.setObjectName("initializeScheme")
        self.scheme_box.setFont(mono_font())
        self.scheme_box.addItems(list(SCHEMES))
        self.explanation = ToneLabel(tone="muted")
        self.explanation.reserve_lines(8 * GRID)
        self._arguments = QWidget()
        self._arguments_form = QFormLayout(self._arguments)
        self._arguments_form.setContentsMargins(0, 0, 0, 0)
        self._arguments_form.setSpacing(GRID)
        # Room for the scheme with the most arguments, so that nothing below moves.
        self._arguments.setMinimumHeight(_MOST_ARGUMENTS * 9 * GRID // 2)
        self.seed_box = seed_box(
            "initializeSeed", "The same seed gives the same values; no other random state moves"
        )
        self.dice = QToolButton()
        self.dice.setObjectName("newSeed")
        self.dice.setIcon(icon("initialize"))
        self.dice.setIconSize(QSize(2 * GRID, 2 * GRID))
        self.dice.setText("New seed")
        self.dice.setToolTip("Throw dice for another seed, and so for other values")
        self.dice.setAccessibleName("New seed")
        self.dice.setProperty("framed", True)  # see the style sheet
        self.dice.clicked.connect(
            lambda: self.seed_box.setValue(secrets.randbelow(self.seed_box.maximum() + 1))
        )
        even(self.scheme_box, self.seed_box, self.dice)
        seeds = QHBoxLayout()
        seeds.setSpacing(GRID)
        seeds.addWidget(self.seed_box, 1)
        seeds.addWidget(self.dice)
        self.form.addRow("S&cheme", self.scheme_box)
        self.form.addRow("", self.explanation)
        self.form.addRow("Arguments", self._arguments)
        self.form.addRow("S&eed", seeds)
        self.form.labelForField(seeds).setBuddy(self.seed_box)  # type: ignore[attr-defined]
        self.beside.addWidget(self.values, 1)
        self.preview.row_chosen.connect(self.values.look_at)
        self.pattern.textEdited.connect(lambda: self.by_pattern.setChecked(True))
        self.pattern.suggested.connect(lambda _: self.by_pattern.setChecked(True))
        self.pattern.textChanged.connect(self.refresh)
        self.scheme_box.currentTextChanged.connect(self._scheme_changed)
        self.seed_box.valueChanged.connect(self._pause.start)
        self._scheme_changed()

    def _build_what(self, words: str) -> None:
        """The choice of rows; those still at their initial value where there are any."""
        self.selected = QRadioButton(
            f"Se&lected: {without_middle(words, _NAME).replace('&', '&&')}"
        )
        self.selected.setObjectName("initializeSelected")
        self.selected.setToolTip(words)
        self.selected.setChecked(True)
        self.by_pattern = QRadioButton("&Pattern:")
        self.pattern = PatternLine("initializePattern", "pattern of what is initialised")
        pattern_row = QHBoxLayout()
        pattern_row.addWidget(self.by_pattern)
        pattern_row.addWidget(self.pattern, 1)
        group = QButtonGroup(self)
        group.addButton(self.selected)
        group.addButton(self.by_pattern)
        self.form.addRow("What", self.selected)
        self.still_initial: QRadioButton | None = None
        initial = int(((self._table().flags & Flag.INITIAL) != 0).sum())
        if initial and self._selection.patterns != [INITIAL]:
            self.still_initial = QRadioButton(
                f"&Only what no checkpoint has written: {plural(initial, 'row')}"
            )
            self.still_initial.setObjectName("initializeInitial")
            group.addButton(self.still_initial)
            self.form.addRow("", self.still_initial)
        self.form.addRow("", pattern_row)
        group.buttonToggled.connect(self.refresh)

    @property
    def selection(self) -> Selection:
        """The rows selected, those still initial, or what the patterns mean."""
        if self.by_pattern.isChecked():
            return Selection(patterns=self.pattern.patterns)
        if self.still_initial is not None and self.still_initial.isChecked():
            return Selection(patterns=[INITIAL])
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
            self.values.say("There are no values to show yet.")
            return "Type a pattern such as encoder.* to see what it would change."
        try:
            return PlanInitialize(selection=self.selection, scheme=self.scheme)
        except RequestError as error:
            self.values.say("There are no values to show yet.")
            return error.sentence

    def show_plan(self, planned: Planned) -> None:
        """The plan is there: try the values."""
        super().show_plan(planned)
        if planned.tensors:
            self._try()
        else:
            self.values.say("No values would change.")

    def drop(self) -> None:
        """Forget the plan and the values that were asked for."""
        super().drop()
        self._pause.stop()
        self._trial.drop()

    def _try(self) -> None:
        """Ask for the values of what is planned, with this seed."""
        if self._planned is None or not self._planned.tensors:
            return
        request = PreviewInitialize(
            selection=self.selection, scheme=self.scheme, seed=self.seed, limit=_TRIED
        )
        self.values.wait()
        self._trial.ask(
            request, self.values.show_preview, lambda error: self.values.say(error.sentence)
        )

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
