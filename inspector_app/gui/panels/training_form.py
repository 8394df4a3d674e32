"""How a run trains: optimizer, its numbers, the loss, and on which model."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QLocale
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from inspector_app.gui.panels.forms import LABELS, even, label_for
from inspector_app.protocol.messages import InputForm, LossKind, TrainSteps
from widgets.theme import GRID, mono_font

_WITH_MOMENTUM = ("SGD", "RMSprop")
_WITHOUT_DECAY = ("Rprop",)
_LOSSES: dict[LossKind, str] = {
    "own": "loss(output) of the model's file",
    "cross_entropy": "cross-entropy on random classes",
    "mse": "mean squared error on random targets",
    "mean_square": "mean of squares of the outputs",
}
_NO_LOSS = "The model's file has no function loss(output)"


class TrainingForm(QWidget):
    """The settings of train steps, as :meth:`value` gives them."""

    def __init__(
        self, form: InputForm, settings: TrainSteps, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.optimizer = QComboBox()
        self.optimizer.setObjectName("trainOptimizer")
        self.optimizer.setFont(mono_font())
        self.optimizer.addItems(form.optimizers)
        self.optimizer.setCurrentText(settings.optimizer)
        self.optimizer.setToolTip("A class in torch.optim; what is not asked here is its default")
        self.rate = _number("trainRate", settings.learning_rate)
        self.momentum = _number("trainMomentum", settings.momentum)
        self.decay = _number("trainDecay", settings.weight_decay)
        self.decay.setPlaceholderText("default")
        self.loss = QComboBox()
        self.loss.setObjectName("trainLoss")
        for kind, words in _LOSSES.items():
            if kind != "own" or form.own_loss:
                self.loss.addItem(words, kind)
        self.loss.setCurrentIndex(max(0, self.loss.findData(settings.loss)))
        self.loss.setToolTip(
            "Random targets are drawn from the seed and stay the same for the whole run"
            + ("" if form.own_loss else f". {_NO_LOSS}")
        )
        self.copy = QRadioButton("a &copy: the model stays as it is")
        self.copy.setObjectName("trainCopy")
        self.itself = QRadioButton("the model &itself: an edit that can be undone")
        self.itself.setObjectName("trainItself")
        self.itself.setToolTip(
            "Its old values are kept within the budget for undo; the steps cannot be replayed"
        )
        (self.copy if settings.on_copy else self.itself).setChecked(True)
        group = QButtonGroup(self)
        group.addButton(self.copy)
        group.addButton(self.itself)
        even(self.optimizer, self.rate, self.momentum, self.decay, self.loss)
        on = QWidget()
        beside = QHBoxLayout(on)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(2 * GRID)
        beside.addWidget(self.copy)
        beside.addWidget(self.itself)
        beside.addStretch(1)
        grid = QGridLayout(self)
        grid.setContentsMargins(3 * GRID, 0, 0, 0)
        grid.setSpacing(GRID)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        grid.addWidget(label_for(self.optimizer, "O&ptimizer", LABELS), 0, 0)
        grid.addWidget(self.optimizer, 0, 1)
        grid.addWidget(label_for(self.rate, "&Learning rate"), 0, 2)
        grid.addWidget(self.rate, 0, 3)
        grid.addWidget(label_for(self.momentum, "Mo&mentum"), 1, 0)
        grid.addWidget(self.momentum, 1, 1)
        grid.addWidget(label_for(self.decay, "&Weight decay"), 1, 2)
        grid.addWidget(self.decay, 1, 3)
        grid.addWidget(label_for(self.loss, "L&oss"), 2, 0)
        grid.addWidget(self.loss, 2, 1, 1, 3)
        grid.addWidget(label_for(self.copy, "Train"), 3, 0)
        grid.addWidget(on, 3, 1, 1, 3)
        self.optimizer.currentTextChanged.connect(self._enable)
        self._enable()

    def value(self) -> TrainSteps:
        """Raises ValueError with a sentence."""
        decay = self.decay.text().strip() if self.decay.isEnabled() else ""
        return TrainSteps(
            optimizer=self.optimizer.currentText(),
            learning_rate=_read(self.rate, "The learning rate"),
            momentum=_read(self.momentum, "Momentum") if self.momentum.isEnabled() else 0.0,
            weight_decay=_read(self.decay, "Weight decay") if decay else None,
            loss=cast("LossKind", self.loss.currentData()),
            on_copy=self.copy.isChecked(),
        )

    def _enable(self) -> None:
        name = self.optimizer.currentText()
        for line, takes, what in (
            (self.momentum, name in _WITH_MOMENTUM, "momentum"),
            (self.decay, name not in _WITHOUT_DECAY, "weight decay"),
        ):
            line.setEnabled(takes)
            line.setToolTip("" if takes else f"{name} takes no {what}")


def _number(name: str, value: float | None) -> QLineEdit:
    line = QLineEdit("" if value is None else f"{value:g}")
    line.setObjectName(name)
    line.setFont(mono_font())
    validator = QDoubleValidator(line)
    validator.setLocale(QLocale.c())
    validator.setBottom(0)
    line.setValidator(validator)
    return line


def _read(line: QLineEdit, what: str) -> float:
    try:
        return float(line.text())
    except ValueError:
        raise ValueError(f"{what} is not a number: write one such as 0.001.") from None
