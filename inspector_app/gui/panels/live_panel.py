"""Activations of watched modules while the model runs: controls above, histograms below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QStackedLayout,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.panels.training_bar import TrainingBar
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.protocol.messages import RunMode
from widgets.empty_state import EmptyState
from widgets.theme import GRID


class LivePanel(QWidget):
    """``actions`` fill the toolbar, ``training_actions`` that of a training loop.

    None stands for a separator.
    """

    row_clicked = Signal(int)
    empty_clicked = Signal()

    def __init__(
        self,
        actions: Sequence[QAction | None],
        training_actions: Sequence[QAction | None] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("livePanel")
        bar = _tool_bar("liveBar", actions)
        self._run_bar, self._loop_bar = bar, _tool_bar("loopBar", training_actions)
        self.training = TrainingBar()
        self._loop_bar.hide()
        self.training.hide()
        self.mode_box = QComboBox()
        self.mode_box.setObjectName("runMode")
        self.mode_box.setAccessibleName("Mode of the modules during a run")
        self.mode_box.addItem("eval mode", "eval")
        self.mode_box.addItem("train mode", "train")
        self.mode_box.setToolTip(
            "Mode of the modules during a run; flags and buffers are put back afterwards"
        )
        bar.addWidget(self.mode_box)
        self.line = ToneLabel(tone="muted")
        self.line.setObjectName("liveLine")
        self.line.elide()
        self.line.setContentsMargins(GRID, 0, GRID, 0)
        # One line below both: the toolbar's own would end where the toolbar does.
        top = QWidget()
        top.setObjectName("liveTop")
        top.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        top.setStyleSheet(
            "#liveTop { border-bottom: 1px solid palette(mid); }#liveBar, #loopBar { border: 0; }"
        )
        row = QHBoxLayout(top)
        row.setContentsMargins(0, 0, 0, 1)
        row.setSpacing(0)
        row.addWidget(bar)
        row.addWidget(self._loop_bar)
        row.addWidget(self.line, 1)
        row.addWidget(self.training, 1)
        self.empty = EmptyState("live", "")
        self.empty.setObjectName("liveEmpty")
        self.empty.clicked.connect(self.empty_clicked)
        self.views = LiveViews()
        self.views.row_clicked.connect(self.row_clicked)
        self._pages = QStackedLayout()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.views)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(top)
        column.addLayout(self._pages, 1)

    @property
    def mode(self) -> RunMode:
        """How the modules are set while they run."""
        return cast("RunMode", self.mode_box.currentData())

    @mode.setter
    def mode(self, mode: RunMode) -> None:
        self.mode_box.setCurrentIndex(self.mode_box.findData(mode))

    def show_loop(self, training: bool) -> None:
        """The controls of a training loop, or those of runs."""
        self._loop_bar.setVisible(training)
        self.training.setVisible(training)
        self._run_bar.setVisible(not training)
        self.line.setVisible(not training)

    def say(self, text: str, tone: str = "muted", detail: str = "") -> None:
        """A quiet line beside the controls."""
        self.line.say(text, tone)
        self.line.setToolTip(detail or text)

    def show_views(self) -> None:
        """The views take the place of the empty state."""
        self._pages.setCurrentWidget(self.views)

    def show_empty(self, sentence: str) -> None:
        """One sentence, and the button that fills the panel."""
        self.empty.set_sentence(sentence)
        self._pages.setCurrentWidget(self.empty)


def _tool_bar(name: str, actions: Sequence[QAction | None]) -> QToolBar:
    bar = QToolBar()
    bar.setObjectName(name)
    bar.setIconSize(QSize(2 * GRID, 2 * GRID))
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    for action in actions:
        if action is None:
            bar.addSeparator()
        else:
            bar.addAction(action)
    return bar
