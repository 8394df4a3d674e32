"""The dialog that asks what to open and how: file, factory, keyword arguments, device, seed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.forms import add_row, even, seed_box
from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.theme import GRID, mono_font

FILE_FILTER = (
    "Models and checkpoints (*.py *.safetensors *.pt *.pth *.bin *.ckpt);;Python files (*.py);;"
    "Checkpoints (*.safetensors *.pt *.pth *.bin *.ckpt);;All files (*)"
)
DEFAULT_FACTORY = "build_model"
_MAX_SOURCE = 4 << 20  # bytes of a Python file that are searched for factories
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class OpenChoice:
    """What a person asked to open."""

    target: str
    arguments: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0


def parse_arguments(text: str) -> dict[str, Any]:
    """Keyword arguments as they stand in a Python call: ``hidden=128, norm="batch"``.

    Raises ValueError with a sentence; nothing is evaluated but literals.
    """
    try:
        call = ast.parse(f"_({text}\n)", mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ValueError("Write arguments as in a call: hidden=128, name='x'.") from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
        raise ValueError("Every argument needs its name, as in hidden=128.")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("Every argument needs its name, as in hidden=128.")
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError as error:
            raise ValueError(
                f"The value of {keyword.arg} must be a number, a text in quotes, True, False, "
                "None, a list or a dict."
            ) from error
        if not _sendable(value):
            raise ValueError(f"The value of {keyword.arg} is of a kind that cannot be sent.")
        arguments[keyword.arg] = value
    return arguments


def _sendable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_sendable, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _sendable(item) for key, item in value.items())
    return isinstance(value, _PLAIN)


def factories_in(path: Path) -> list[str]:
    """Names of functions and classes at the top of a Python file, read without running it."""
    try:
        if path.stat().st_size > _MAX_SOURCE:
            return []
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"]


def needs_factory(target: str) -> bool:
    """Whether ``target`` names Python code: a ``.py`` file or a dotted module, not another file."""
    if target.endswith(".py"):
        return True
    dotted = all(part.isidentifier() for part in target.split("."))
    return dotted and not target.endswith(".safetensors") and not Path(target).exists()


class OpenDialog(QDialog):
    """Modal: ``choice`` is what was asked for, once accepted."""

    def __init__(self, parent: QWidget | None = None, path: str = "", folder: str = "") -> None:
        super().__init__(parent)
        self.setObjectName("openDialog")
        self.setWindowTitle("Open")
        self.setMinimumWidth(70 * GRID)
        self.choice = OpenChoice("")
        self._folder = folder

        self.path = QLineEdit(path)
        self.path.setObjectName("openPath")
        self.path.setFont(mono_font())
        self.path.setPlaceholderText("model.py, package.module or checkpoint.safetensors")
        browse = QPushButton("Browse…")
        browse.setObjectName("openBrowse")
        browse.clicked.connect(self._browse)
        path_row = QHBoxLayout()
        path_row.addWidget(self.path, 1)
        path_row.addWidget(browse)

        self.factory = QComboBox()
        self.factory.setObjectName("openFactory")
        self.factory.setEditable(True)
        self.factory.setFont(mono_font())
        self.factory.setToolTip("Function or class that builds the model when it is called")
        self.arguments = QLineEdit()
        self.arguments.setObjectName("openArguments")
        self.arguments.setFont(mono_font())
        self.arguments.setPlaceholderText("hidden=128, norm='batch'")
        self.arguments.setToolTip("Keyword arguments of the factory, as in a Python call")
        self.device = QComboBox()
        self.device.setObjectName("openDevice")
        self.device.addItem("CPU", "cpu")
        self.device.addItem("meta (shapes only, no memory)", "meta")
        self.seed = seed_box(
            "openSeed", "Set before the factory runs, so that random weights repeat"
        )
        even(self.factory, self.device, self.seed)

        form = QFormLayout()
        form.setSpacing(GRID)
        add_row(form, "&File or module", path_row, self.path)
        form.addRow("F&actory", self.factory)
        form.addRow("Ar&guments", self.arguments)
        form.addRow("&Device", self.device)
        form.addRow("&Seed", self.seed)

        self.hint = ToneLabel(tone="muted")
        self.hint.setObjectName("openHint")
        self.hint.setWordWrap(True)
        self.hint.setMinimumHeight(5 * GRID)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.addLayout(form)
        column.addWidget(self.hint)
        column.addWidget(self.buttons)

        self.path.textChanged.connect(self._path_changed)
        self.arguments.textChanged.connect(self._check)
        self.factory.editTextChanged.connect(self._check)
        self._path_changed()

    def _browse(self) -> None:
        start = self.path.text() or self._folder
        chosen, _ = QFileDialog.getOpenFileName(self, "Open", start, FILE_FILTER)
        if chosen:
            self.path.setText(chosen)

    def _path_changed(self) -> None:
        text = self.path.text().strip()
        names = factories_in(Path(text)) if text.endswith(".py") else []
        typed = self.factory.currentText()
        if DEFAULT_FACTORY in names or not names:
            names = [DEFAULT_FACTORY, *(name for name in names if name != DEFAULT_FACTORY)]
        self.factory.clear()
        self.factory.addItems(names)
        if typed in names:
            self.factory.setCurrentText(typed)
        code = needs_factory(text)
        for widget in (self.factory, self.arguments, self.device, self.seed):
            widget.setEnabled(code)
        self._check()

    def _check(self) -> None:
        """Tell in place what is missing, and build the choice otherwise."""
        path = self.path.text().strip()
        problem, hint = "", ""
        arguments: dict[str, Any] = {}
        if not path:
            problem = hint = "Name a file, or drop one onto the window."
        elif needs_factory(path):
            hint = "Opening runs the Python file in a process of its own. Open only what you trust."
            if not self.factory.currentText().strip().isidentifier():
                problem = "Name the function or class that builds the model."
            try:
                arguments = parse_arguments(self.arguments.text())
            except ValueError as error:
                problem = str(error)
        else:
            hint = "A checkpoint is read from its header; no code is run."
        if not problem and path.endswith(".py") and not Path(path).is_file():
            problem = f"There is no file {path}."
        target = path
        if needs_factory(path):
            target = f"{path}:{self.factory.currentText().strip()}"
        self.choice = OpenChoice(
            target, arguments, str(self.device.currentData()), self.seed.value()
        )
        self.hint.say(problem or hint, "danger" if problem and path else "muted")
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(not problem)

    def accept(self) -> None:
        """Take the fields as they are now."""
        self._check()
        if self.buttons.button(QDialogButtonBox.StandardButton.Open).isEnabled():
            super().accept()
