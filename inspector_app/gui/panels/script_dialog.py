"""The edits as a Python script: shown, copied, saved."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QVBoxLayout, QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import Script
from widgets.code_view import CodeView
from widgets.theme import GRID


class ScriptDialog(QDialog):
    """Modeless.  ``path`` is offered when the script is saved."""

    def __init__(self, script: Script, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("scriptDialog")
        self.setWindowTitle("The edits as Python")
        self.resize(88 * GRID, 64 * GRID)
        self._script = script
        self._path = path
        self.summary = ToneLabel("Copied to the clipboard.", "good")
        self.summary.setObjectName("scriptSummary")
        self.summary.setWordWrap(True)
        self.code = CodeView()
        self.code.setObjectName("scriptCode")
        self.code.set_source("In plain torch: it needs nothing of this program", script.text, 1)
        self.notes = ToneLabel("\n".join(script.notes), "warning")
        self.notes.setObjectName("scriptNotes")
        self.notes.setWordWrap(True)
        self.notes.setVisible(bool(script.notes))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy_button = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        self.copy_button.setObjectName("scriptCopy")
        self.save_button = buttons.addButton("Save…", QDialogButtonBox.ButtonRole.ActionRole)
        self.save_button.setObjectName("scriptSave")
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(self._ask_path)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(self.summary)
        column.addWidget(self.code, 1)
        column.addWidget(self.notes)
        column.addWidget(buttons)
        self.copy_button.setFocus()

    def copy(self) -> None:
        """Put the script on the clipboard."""
        self.code.copy_all()
        self.summary.say("Copied to the clipboard.", "good")

    def save(self, path: str) -> None:
        """Write the script to a file, wholly or not at all."""
        part = f"{path}.part"
        try:
            Path(part).write_text(self._script.text, encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            Path(part).unlink(missing_ok=True)
            self.summary.say(f"{path} cannot be written: {error.strerror or error}.", "danger")
        else:
            self._path = path
            self.summary.say(f"Saved as {path}.", "good")

    def _ask_path(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save the script", self._path, "Python files (*.py)"
        )
        if chosen:
            self.save(chosen)
