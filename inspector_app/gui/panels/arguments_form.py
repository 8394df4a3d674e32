"""A field for each argument of a factory, and one for those that its signature does not name."""

from __future__ import annotations

import ast
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QWidget,
)

from inspector_app.factories import Argument, Factory
from inspector_app.gui.panels.forms import LABELS, label_for
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.factory_arguments import parse_argument
from widgets.elided_label import ElidedLabel
from widgets.theme import GRID, mono_font, set_tone

_PLAIN = (str, int, float, bool, type(None))
_WIDEST_NAME = 24 * GRID  # pixels; a longer one loses its middle
_NO_TEXT = {"int", "float", "bool", "complex"}  # annotations under which a text is a slip


class ArgumentsForm(QScrollArea):
    """Typed values become Python literals, anything else a text; an empty field is not passed on.

    ``changed`` after every key.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("factoryArguments")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.fields: dict[str, QLineEdit] = {}
        self.others = QLineEdit()
        self._factory: Factory | None = None
        self._arguments: dict[str, Argument] = {}
        self._build(None)

    def show_factory(self, factory: Factory | None) -> None:
        """Ask for the arguments of another factory; None where its signature is not known.

        What was typed stays where the other one has an argument of that name.
        """
        if factory != self._factory:
            self._factory = factory
            self._build(factory)
            self.changed.emit()

    def _build(self, factory: Factory | None) -> None:
        typed = {name: field.text() for name, field in self.fields.items()}
        typed_others = self.others.text()
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, GRID, 0)
        grid.setHorizontalSpacing(GRID)
        grid.setVerticalSpacing(GRID // 2)
        grid.setColumnStretch(1, 1)
        arguments = factory.arguments if factory is not None else ()
        self._arguments = {argument.name: argument for argument in arguments}
        self.fields = {}
        for row, argument in enumerate(arguments):
            self._add(grid, row, argument, typed.get(argument.name, ""))
        self.others = QLineEdit(typed_others)
        self.others.setObjectName("factoryOthers")
        self.others.setFont(mono_font())
        self.others.setPlaceholderText("hidden=128, norm='batch'")
        self.others.setAccessibleName("other keyword arguments")
        self.others.setToolTip("More keyword arguments, as in a Python call")
        self.others.textChanged.connect(self.changed)
        takes_others = factory is None or factory.more
        if takes_others:
            label = label_for(self.others, "Others" if arguments else "Keywords", LABELS)
            grid.addWidget(label, len(arguments), 0)
            grid.addWidget(self.others, len(arguments), 1, 1, 2)
        elif not arguments:
            grid.addWidget(ToneLabel("It takes no arguments.", "muted"), 0, 0, 1, 3)
        if not takes_others:
            self.others.clear()
            self.others.setParent(page)
            self.others.hide()
        grid.setRowStretch(len(arguments) + 1, 1)
        self.setWidget(page)

    def follow(self, before: QWidget) -> None:
        """Have Tab go from ``before`` through the fields: new ones would come last of all."""
        for field in (*self.fields.values(), self.others):
            QWidget.setTabOrder(before, field)
            before = field

    @property
    def arguments(self) -> dict[str, Any]:
        """What was typed; raises RequestError with what is missing or cannot be passed on."""
        given: dict[str, Any] = {}
        for name, field in self.fields.items():
            text = field.text().strip()
            if text:
                given[name] = _sendable_value(name, parse_argument(f"{name}={text}")[1])
            elif self._arguments[name].required:
                raise RequestError(f"{name} is required: type its value.")
        for name, value in parse_arguments(self.others.text()).items():
            if name in given:
                raise RequestError(f"{name} is given twice.")
            given[name] = value
        return given

    def _add(self, grid: QGridLayout, row: int, argument: Argument, typed: str) -> None:
        label = ElidedLabel(argument.name + (" *" if argument.required else ""))
        label.setFont(mono_font())
        width = QFontMetrics(mono_font()).horizontalAdvance(label.text()) + GRID
        _fix_width(label, max(LABELS, min(width, _WIDEST_NAME)))
        field = QLineEdit(typed)
        field.setObjectName(f"factoryArgument_{argument.name}")
        field.setAccessibleName(argument.name + (", required" if argument.required else ""))
        field.setFont(mono_font())
        field.setPlaceholderText("required" if argument.required else argument.default)
        annotated = argument.annotation or "of any type"
        field.setToolTip(
            f"{argument.name}: {annotated}"
            + (
                ", required"
                if argument.required
                else f", {argument.default} where nothing is typed"
            )
        )
        label.setBuddy(field)
        read_as = ElidedLabel()
        _fix_width(read_as, 14 * GRID)
        field.textChanged.connect(lambda: self._tell_type(argument, field, read_as))
        field.textChanged.connect(self.changed)
        self._tell_type(argument, field, read_as)
        self.fields[argument.name] = field
        for column, widget in enumerate((label, field, read_as)):
            grid.addWidget(widget, row, column)

    def _tell_type(self, argument: Argument, field: QLineEdit, read_as: ElidedLabel) -> None:
        """How the value is read, or what is asked for where there is none yet."""
        text = field.text().strip()
        if not text:
            read_as.setText(argument.annotation)
            set_tone(read_as, "muted")
            return
        value = parse_argument(f"{argument.name}={text}")[1]
        read_as.setText("is None" if value is None else f"is {type(value).__name__}")
        slip = isinstance(value, str) and argument.annotation in _NO_TEXT
        set_tone(read_as, "warning" if slip else "muted")


def _fix_width(label: ElidedLabel, width: int) -> None:
    label.setFixedWidth(width)
    label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)


def parse_arguments(text: str) -> dict[str, Any]:
    """Keyword arguments as they stand in a Python call: ``hidden=128, norm="batch"``.

    Raises RequestError with a sentence; nothing is evaluated but literals.
    """
    try:
        call = ast.parse(f"_({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError("Write arguments as in a call: hidden=128, name='x'.") from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
        raise RequestError("Every argument needs its name, as in hidden=128.")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise RequestError("Every argument needs its name, as in hidden=128.")
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise RequestError(
                f"The value of {keyword.arg} must be a number, a text in quotes, True, False, "
                "None, a list or a dict."
            ) from error
        arguments[keyword.arg] = _sendable_value(keyword.arg, value)
    return arguments


def _sendable_value(name: str, value: Any) -> Any:
    if not _sendable(value):
        raise RequestError(
            f"The value of {name} cannot be sent to the model's process: use numbers, texts, "
            "True, False, None, lists and dicts with texts as keys."
        )
    return value


def _sendable(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**64  # what MessagePack holds
    if isinstance(value, (list, tuple)):
        return all(map(_sendable, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _sendable(item) for key, item in value.items())
    return isinstance(value, _PLAIN)
