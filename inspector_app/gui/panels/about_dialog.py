"""What this program is."""

from __future__ import annotations

from PySide6.QtCore import qVersion
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from inspector_app import __version__
from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.theme import GRID


class AboutDialog(QDialog):
    """Modeless."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("aboutDialog")
        self.setWindowTitle("About Model Inspector")
        title = QLabel(f"Model Inspector {__version__}")
        words = ToneLabel(
            "Shows what is inside a PyTorch model, changes it safely and watches it run.\n"
            "The model lives in a process of its own; this window never runs its code.\n\n"
            f"Qt {qVersion()} · Icons by Lucide · Inter and JetBrains Mono",
            "muted",
        )
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        for widget in (title, words, buttons):
            column.addWidget(widget)
