"""What the model's process printed: its standard output and errors, newest last."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QVBoxLayout, QWidget

from widgets.theme import GRID, mono_font

_LINES = 5000  # kept; a model that prints in every forward must not fill the memory


class OutputDialog(QDialog):
    """Modeless; is fed while hidden as well."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("outputDialog")
        self.setWindowTitle("Output of the model's process")
        self.resize(90 * GRID, 50 * GRID)
        self.text = QPlainTextEdit()
        self.text.setObjectName("outputText")
        self.text.setAccessibleName("Output of the model's process")
        self.text.setReadOnly(True)
        self.text.setFont(mono_font(small=True))
        self.text.setMaximumBlockCount(_LINES)
        self.text.setPlaceholderText("What the model prints appears here.")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.addWidget(self.text)
        column.addWidget(buttons)

    def append(self, line: str) -> None:
        """Add one line; follows the end unless a person has scrolled away from it."""
        self.text.appendPlainText(line)
