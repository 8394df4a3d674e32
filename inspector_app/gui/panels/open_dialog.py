"""The dialog that asks what to open and how: target, factory and arguments, device, seed, state."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.factories import DEFAULT
from inspector_app.gui.panels.factory_form import FactoryForm
from inspector_app.gui.panels.forms import LABELS, even, label_for, seed_box
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.recent import split_target
from inspector_app.protocol.errors import RequestError
from widgets.empty_state import EmptyState
from widgets.theme import GRID, mono_font

CHECKPOINTS = "*.safetensors *.pt *.pth *.bin *.ckpt *.index.json"
FILE_FILTER = (
    f"Models and checkpoints (*.py {CHECKPOINTS});;Python files (*.py);;"
    f"Checkpoints ({CHECKPOINTS});;All files (*)"
)
STATE_FILTER = f"Checkpoints ({CHECKPOINTS});;All files (*)"
_PAUSE = 120  # milliseconds without typing before a file is read

Kind = Literal["nothing", "python", "sample", "folder", "index", "checkpoint"]
_ABOUT: dict[Kind, str] = {
    "nothing": "Name a file or a folder here, or drop one onto the window.",
    "folder": "A folder in the form of Hugging Face: the model is built from its config.json by "
    "transformers, from local files only, and the weights beside it are laid on. Without a "
    "config.json, the one checkpoint in it.",
    "index": "A checkpoint in several files, listed in this index. They are read from their "
    "headers; no code is run.",
    "checkpoint": "A checkpoint. It is read from its header; no code is run.",
}
_RUNS = "Opening runs this Python code in a process of its own. Open only what you trust."


@dataclass(frozen=True)
class OpenChoice:
    """What a person asked to open."""

    target: str
    arguments: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0
    state: str = ""


def kind_of(text: str) -> Kind:
    """What a target's text names, as far as its spelling and the disk tell."""
    name, _, _ = split_target(text)
    if not text:
        return "nothing"
    if text.startswith("sample:"):
        return "sample"
    if name.endswith(".py"):
        return "python"
    if os.path.isdir(text):
        return "folder"
    if text.endswith(".index.json"):
        return "index"
    dotted = all(part.isidentifier() for part in name.split("."))
    ends = tuple(ending.removeprefix("*") for ending in CHECKPOINTS.split())
    return (
        "python"
        if dotted and not text.endswith(ends) and not os.path.exists(text)
        else ("checkpoint")
    )


class OpenDialog(QDialog):
    """Modal: ``choice`` is what was asked for, once accepted."""

    def __init__(self, parent: QWidget | None = None, path: str = "", folder: str = "") -> None:
        super().__init__(parent)
        self.setObjectName("openDialog")
        self.setWindowTitle("Open")
        self.setMinimumWidth(80 * GRID)
        self.choice = OpenChoice("")
        self._folder = folder
        self._read = ""  # the target whose factories are listed

        self.path = QLineEdit(path)
        self.path.setObjectName("openPath")
        self.path.setFont(mono_font())
        self.path.setPlaceholderText("model.py, package.module, checkpoint or folder")
        path_row = QHBoxLayout()
        path_row.addWidget(self.path, 1)
        for name, text, browse in (
            ("openBrowse", "File…", self._browse_file),
            ("openBrowseFolder", "Folder…", self._browse_folder),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setAutoDefault(False)
            button.clicked.connect(browse)
            path_row.addWidget(button)

        self.factory = FactoryForm()
        self.about = EmptyState("file", "")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.about)
        self.pages.addWidget(self.factory)

        self.device = QComboBox()
        self.device.setObjectName("openDevice")
        self.device.addItem("CPU", "cpu")
        self.device.addItem("meta (shapes only, no memory)", "meta")
        self.seed = seed_box(
            "openSeed", "Set before the factory runs, so that random weights repeat"
        )
        even(self.device, self.seed)
        made = QHBoxLayout()
        made.setSpacing(GRID)
        made.addWidget(self.device, 2)
        made.addWidget(label_for(self.seed, "&Seed"))
        made.addWidget(self.seed, 1)
        self.state = QLineEdit()
        self.state.setObjectName("openState")
        self.state.setFont(mono_font())
        self.state.setPlaceholderText("checkpoint to lay on, none")
        self.state.setToolTip("Its values are laid on the model; what differs is shown first")
        self.state_browse = QPushButton("File…")
        self.state_browse.setObjectName("openStateBrowse")
        self.state_browse.setAutoDefault(False)
        self.state_browse.clicked.connect(self._browse_state)
        state_row = QHBoxLayout()
        state_row.addWidget(self.state, 1)
        state_row.addWidget(self.state_browse)

        form = QFormLayout()
        form.setSpacing(GRID)
        form.addRow(label_for(self.path, "&File or module", LABELS), path_row)
        below = QFormLayout()
        below.setSpacing(GRID)
        below.addRow(label_for(self.device, "&Device", LABELS), made)
        below.addRow(label_for(self.state, "S&tate", LABELS), state_row)

        self.hint = ToneLabel(tone="muted")
        self.hint.setObjectName("openHint")
        self.hint.reserve_lines(5 * GRID)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        self.open_button = self.buttons.button(QDialogButtonBox.StandardButton.Open)
        self.open_button.setObjectName("openAccept")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.addLayout(form)
        column.addWidget(self.pages, 1)
        column.addLayout(below)
        column.addWidget(self.hint)
        column.addWidget(self.buttons)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._read_factories)
        self.path.textChanged.connect(self._path_changed)
        self.factory.changed.connect(self._check)
        self.state.textChanged.connect(self._check)
        self._path_changed()
        self._read_factories()

    # -- choosing ------------------------------------------------------------------------------

    def _start(self, typed: str) -> str:
        """Where a file dialog begins."""
        return typed or self._folder

    def _browse_file(self) -> None:
        start = self._start(self.path.text())
        chosen, _ = QFileDialog.getOpenFileName(self, "Open", start, FILE_FILTER)
        if chosen:
            self.path.setText(chosen)

    def _browse_folder(self) -> None:
        start = self._start(self.path.text())
        if chosen := QFileDialog.getExistingDirectory(self, "Open a folder", start):
            self.path.setText(chosen)

    def _browse_state(self) -> None:
        start = self._start(self.state.text() or str(Path(self.path.text()).parent))
        chosen, _ = QFileDialog.getOpenFileName(self, "State to lay on", start, STATE_FILTER)
        if chosen:
            self.state.setText(chosen)

    # -- checking ------------------------------------------------------------------------------

    def _path_changed(self) -> None:
        kind = kind_of(self.path.text().strip())
        code = kind in ("python", "sample")
        self.pages.setCurrentWidget(self.factory if code else self.about)
        self.about.set_sentence(_ABOUT.get(kind, ""))
        self.about.set_icon("folder" if kind == "folder" else "file")
        for widget in (self.device, self.seed, self.state, self.state_browse):
            widget.setEnabled(code or kind == "folder")
        self._timer.start()
        self._check()

    def _read_factories(self) -> None:
        """The path has come to rest: list what it offers."""
        self._timer.stop()
        text = self.path.text().strip()
        if text == self._read:
            return
        self._read = text
        name, _, factory = split_target(text)
        missing = name.endswith(".py") and not os.path.isfile(name)  # the hint says so
        if kind_of(text) in ("python", "sample") and not missing:
            self.factory.read(text, factory)
        else:
            self.factory.forget()
        self._check()

    def _check(self) -> None:
        """Tell in place what is missing, and build the choice otherwise."""
        text = self.path.text().strip()
        kind = kind_of(text)
        problem, hint = "", ""
        arguments: dict[str, Any] = {}
        target, state = text, ""
        if kind in ("python", "sample"):
            hint = _RUNS if kind == "python" else "A model that comes with this program."
            name, _, _ = split_target(text)
            try:
                factory = self.factory.name
                arguments = self.factory.arguments
                target = f"{name}:{factory}" if kind == "python" else text
                if kind == "sample" and factory != DEFAULT:
                    problem = f"Of a sample only {DEFAULT} can be opened."
            except RequestError as error:
                problem = error.sentence
            if name.endswith(".py") and not os.path.isfile(name):
                problem = f"There is no file {name}."
        elif kind != "nothing" and not os.path.exists(text):
            problem = f"There is no file {text}."
        if self.state.isEnabled():
            state = self.state.text().strip()
            if state and not os.path.exists(state):
                problem = problem or f"There is no checkpoint {state}."
        waiting = self.factory.reading or self._timer.isActive()
        self.choice = OpenChoice(
            target, arguments, str(self.device.currentData()), self.seed.value(), state
        )
        self.hint.say(problem or hint, "danger" if problem else "muted")
        self.open_button.setEnabled(not problem and kind != "nothing" and not waiting)

    def accept(self) -> None:
        """Take the fields as they are now."""
        self._check()
        if self.open_button.isEnabled():
            super().accept()
