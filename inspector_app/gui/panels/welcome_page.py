"""What the window shows while nothing is open: how to open something, and the samples."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.icons import icon
from widgets.theme import GRID

_SAMPLES = {
    "attention_temperature": "attention with a temperature that each head learns",
    "batchnorm_lite": "batch normalisation written out, buffers and all",
    "language_model": "a transformer with a tied embedding",
    "lazy": "layers whose shapes the first forward settles",
    "mlp": "a small perceptron",
    "multi_task": "one trunk, a head for each task",
    "pitfalls": "each classic mistake of registration, once",
    "recurrent": "a tagger on an LSTM",
    "resnet": "a real small ResNet",
    "shared_scalar": "one parameter used in two places",
}
_COLUMNS = 4  # of sample buttons


class WelcomePage(QWidget):
    """Empty state of the whole window."""

    open_requested = Signal()
    sample_requested = Signal(str)

    def __init__(self, samples: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        title = QLabel("Model Inspector")
        title.setObjectName("welcomeTitle")
        font = QFont(title.font())
        font.setPointSizeF(font.pointSizeF() * 1.8)
        font.setWeight(QFont.Weight.DemiBold)
        title.setFont(font)
        sentence = ToneLabel(
            "Open a Python file that builds a model, or a checkpoint, "
            "to see what is inside.\nFiles can also be dropped onto this window.",
            "muted",
        )
        sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)

        self.open_button = QPushButton(icon("open", "on_accent"), "Open…")
        self.open_button.setObjectName("welcomeOpen")
        self.open_button.setDefault(True)
        self.open_button.setToolTip("Open a file (Ctrl+O)")
        self.open_button.clicked.connect(self.open_requested)

        sample_grid = QGridLayout()
        sample_grid.setSpacing(GRID)
        for number, name in enumerate(samples):
            button = QPushButton(icon("sample"), name)
            button.setObjectName(f"sample_{name}")
            button.setToolTip(f"Open the sample {name}: {_SAMPLES.get(name, 'a small model')}")
            button.clicked.connect(lambda _=False, name=name: self.sample_requested.emit(name))
            sample_grid.addWidget(button, *divmod(number, _COLUMNS))
        sample_row = QHBoxLayout()
        sample_row.addStretch(1)
        sample_row.addLayout(sample_grid)
        sample_row.addStretch(1)
        caption = ToneLabel("Or look around in a sample:", "muted")
        caption.setVisible(bool(samples))

        column = QVBoxLayout(self)
        column.setSpacing(2 * GRID)
        column.addStretch(2)
        centre = Qt.AlignmentFlag.AlignHCenter
        column.addWidget(title, alignment=centre)
        column.addWidget(sentence, alignment=centre)
        column.addWidget(self.open_button, alignment=centre)
        column.addSpacing(2 * GRID)
        column.addWidget(caption, alignment=centre)
        column.addLayout(sample_row)
        column.addStretch(3)
