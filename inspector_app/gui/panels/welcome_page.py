"""What the window shows while nothing is open: recent targets, the samples, and how to open."""

from __future__ import annotations

import os

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpacerItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.recent import RecentTarget
from widgets.elided_label import ElidedLabel
from widgets.icons import icon
from widgets.theme import GRID, mono_font, set_tone
from widgets.tree_delegate import one_line

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
_RECENT = 5  # targets listed; the menu has more
_WIDTH = 80 * GRID  # pixels of the list of recent targets
_ROW = 7 * GRID // 2  # pixels of the height of one
_NAME = 36 * GRID  # pixels of a name in it; a longer one loses its middle


class WelcomePage(QWidget):
    """Empty state of the whole window."""

    open_requested = Signal()
    sample_requested = Signal(str)
    recent_requested = Signal(object)  # RecentTarget

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

        self.recent_caption = ToneLabel("Open again:", "muted")
        self.recent = QWidget()
        self.recent.setObjectName("welcomeRecent")
        self.recent.setFixedWidth(_WIDTH)
        self._recent_grid = QGridLayout(self.recent)
        self._recent_grid.setContentsMargins(0, 0, 0, 0)
        self._recent_grid.setHorizontalSpacing(GRID)
        self._recent_grid.setVerticalSpacing(0)
        self._recent_grid.setColumnStretch(1, 1)
        self.show_recent([])

        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.addStretch(2)
        centre = Qt.AlignmentFlag.AlignHCenter
        column.addWidget(title, alignment=centre)
        column.addItem(_gap(GRID))
        column.addWidget(sentence, alignment=centre)
        column.addItem(_gap(GRID))
        column.addWidget(self.open_button, alignment=centre)
        column.addItem(_gap(3 * GRID))
        column.addWidget(self.recent_caption, alignment=centre)
        column.addWidget(self.recent, alignment=centre)
        column.addItem(_gap(3 * GRID))
        column.addWidget(caption, alignment=centre)
        column.addItem(_gap(GRID))
        column.addLayout(sample_row)
        column.addStretch(3)

    def show_recent(self, targets: list[RecentTarget]) -> None:
        """List the newest of what was opened before."""
        while (item := self._recent_grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for row, target in enumerate(targets[:_RECENT]):
            missing = target.missing
            button = QToolButton()
            button.setObjectName(f"welcomeRecent_{row}")
            button.setIcon(icon(_picture(target), "muted"))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFont(mono_font())
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            button.setMaximumWidth(_NAME)
            button.setFixedHeight(_ROW)
            text = button.fontMetrics().elidedText(
                one_line(target.name), Qt.TextElideMode.ElideMiddle, _NAME - 5 * GRID
            )
            button.setText(text.replace("&", "&&"))
            button.setToolTip(missing or f"Open {target.name}")
            button.setEnabled(not missing)
            button.clicked.connect(
                lambda _=False, target=target: self.recent_requested.emit(target)
            )
            where = ElidedLabel(missing or _where(target))
            set_tone(where, "warning" if missing else "muted")
            self._recent_grid.addWidget(button, row, 0, Qt.AlignmentFlag.AlignLeft)
            self._recent_grid.addWidget(where, row, 1)
        self.recent.setVisible(bool(targets))
        self.recent_caption.setVisible(bool(targets))


def _gap(height: int) -> QSpacerItem:
    """Room that gives way in a small window."""
    policy = QSizePolicy.Policy
    return QSpacerItem(0, height, policy.Minimum, policy.Maximum)


def _picture(target: RecentTarget) -> str:
    if target.target.startswith("sample:"):
        return "sample"
    if os.path.isdir(target.path):
        return "folder"
    return "file-code" if not target.path or target.path.endswith(".py") else "file"


def _where(target: RecentTarget) -> str:
    """The folder it stands in, and how it was opened."""
    where = ""
    if target.path and not target.target.startswith("sample:"):
        where = one_line(target.path.rpartition("/")[0])
    return "   ".join(part for part in (where, target.details) if part)
