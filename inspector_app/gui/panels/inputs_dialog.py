"""How example inputs are made: by the model file itself, or by a small form per argument."""

from __future__ import annotations

import re
from typing import cast, get_args, get_type_hints

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.forms import even
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import InputField, InputForm
from widgets.theme import GRID, mono_font

DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "uint8",
    "bool",
    "complex64",
)
DISTRIBUTIONS: tuple[str, ...] = get_args(get_type_hints(InputField)["distribution"])
_MAX_ELEMENTS = 1 << 31


def parse_shape(text: str) -> tuple[int, ...]:
    """Extents as typed, "1, 3, 224, 224" or "1x3x224"; empty means a scalar.

    Raises ValueError with a sentence.
    """
    inner = text.strip().strip("()[]").strip()
    if not inner:
        return ()
    parts = [part for part in re.split(r"[\s,x×]+", inner) if part]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"'{text}' is not a shape. Write extents as in 1, 3, 224, 224.")
    shape = tuple(int(part) for part in parts)
    elements = 1
    for extent in shape:
        elements *= extent
    if elements > _MAX_ELEMENTS:
        raise ValueError(f"A tensor of shape {shape} has {elements:,} elements: too many.")
    return shape


class _FieldRow:
    """The widgets of one argument."""

    def __init__(self, field: InputField, grid: QGridLayout, line: int) -> None:
        self.field = field
        self.used = QCheckBox()
        self.used.setChecked(field.used or field.required)
        self.used.setEnabled(not field.required)
        self.used.setToolTip(
            "This argument is needed" if field.required else "Pass this argument at all"
        )
        self.used.setAccessibleName(f"use {field.name}")
        name = QLabel(field.name)
        name.setFont(mono_font())
        self.shape = QLineEdit(", ".join(map(str, field.shape)))
        self.shape.setObjectName(f"shape_{field.name}")
        self.shape.setAccessibleName(f"shape of {field.name}")
        self.shape.setFont(mono_font())
        self.dtype = QComboBox()
        self.dtype.setAccessibleName(f"data type of {field.name}")
        self.dtype.addItems([*DTYPES, *({field.dtype} - set(DTYPES))])
        self.dtype.setCurrentText(field.dtype)
        self.distribution = QComboBox()
        self.distribution.setAccessibleName(f"distribution of {field.name}")
        self.distribution.addItems(DISTRIBUTIONS)
        self.distribution.setCurrentText(field.distribution)
        self.high = QSpinBox()
        self.high.setRange(1, 2**31 - 1)
        self.high.setValue(field.high)
        self.high.setPrefix("below ")
        self.high.setToolTip("Integers are drawn from 0 up to this bound, the bound left out")
        self.high.setAccessibleName(f"upper bound of {field.name}")
        cells = (self.used, name, self.shape, self.dtype, self.distribution, self.high)
        for column, widget in enumerate(cells):
            grid.addWidget(widget, line, column)
        self.widgets = cells[2:]
        even(*self.widgets)
        self.used.toggled.connect(self.enable)
        self.distribution.currentTextChanged.connect(self.enable)
        self.enable()

    def enable(self) -> None:
        for widget in self.widgets:
            widget.setEnabled(self.used.isChecked())
        whole = self.distribution.currentText() == "integers"
        self.high.setEnabled(whole and self.used.isChecked())

    def value(self) -> InputField:
        """Raises ValueError with a sentence."""
        return InputField(
            name=self.field.name,
            shape=parse_shape(self.shape.text()),
            dtype=self.dtype.currentText(),
            distribution=cast("object", self.distribution.currentText()),  # type: ignore[arg-type]
            high=self.high.value(),
            required=self.field.required,
            used=self.used.isChecked(),
        )


class InputsDialog(QDialog):
    """Modal: ``fields`` is None for the file's own inputs, else one entry per argument."""

    def __init__(
        self, form: InputForm, fields: list[InputField] | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("inputsDialog")
        self.setWindowTitle("Example inputs")
        self.setMinimumWidth(80 * GRID)
        self.fields = fields
        self.provided = QRadioButton("&example_inputs() of the model's file")
        self.provided.setObjectName("inputsProvided")
        self.provided.setEnabled(form.provided)
        if not form.provided:
            self.provided.setToolTip("The file has no function example_inputs()")
        self.made = QRadioButton("&Random values, per argument of forward")
        self.made.setObjectName("inputsMade")
        self.made.setEnabled(bool(form.fields))
        own = form.provided and (fields is None or not form.fields)
        (self.provided if own else self.made).setChecked(True)

        self._table = QWidget()
        grid = QGridLayout(self._table)
        grid.setContentsMargins(3 * GRID, 0, 0, 0)
        grid.setSpacing(GRID)
        grid.setColumnStretch(2, 1)
        for column, title in enumerate(
            ("", "Argument", "Shape", "Data type", "Distribution", "Integers")
        ):
            grid.addWidget(ToneLabel(title, "muted"), 0, column)
        given = {field.name: field for field in fields or []}
        self.rows = [
            _FieldRow(given.get(field.name, field), grid, line)
            for line, field in enumerate(form.fields, 1)
        ]
        self.problem = ToneLabel(form.reason, "warning")
        self.problem.setObjectName("inputsProblem")
        self.problem.setWordWrap(True)
        self.problem.setMinimumHeight(4 * GRID)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setEnabled(form.provided or bool(form.fields))
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column_layout.setSpacing(GRID)
        for widget in (self.provided, self.made, self._table, self.problem):
            column_layout.addWidget(widget)
        column_layout.addStretch(1)
        column_layout.addWidget(self.buttons)
        self.made.toggled.connect(self._table.setEnabled)
        self._table.setEnabled(self.made.isChecked())

    def accept(self) -> None:
        """Take the form as it is now, or say in place what is wrong with it."""
        try:
            self.fields = None
            if self.made.isChecked():
                self.fields = [row.value() for row in self.rows]
        except ValueError as error:
            self.problem.say(str(error), "danger")
            return
        super().accept()
