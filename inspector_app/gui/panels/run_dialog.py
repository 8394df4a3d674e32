"""How the model runs: with which data, and whether each step is a forward or trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import LABELS, even, label_for, push_button, seed_box
from inspector_app.gui.panels.inputs_form import InputsForm
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.panels.training_form import TrainingForm
from inspector_app.protocol.messages import (
    InputField,
    InputForm,
    Pictures,
    Run,
    RunMode,
    TrainSteps,
)
from widgets.theme import GRID

_MOST = 2**31 - 1
_WIDTH = 100 * GRID
_BATCH = "Examples that a step takes of files and pictures, in their order, over and over"


@dataclass(frozen=True)
class RunSettings:
    """How the model runs, for as long as it is open; :meth:`request` asks for it."""

    fields: list[InputField] | None = None
    pictures: dict[str, Pictures] = field(default_factory=dict)
    picture_paths: dict[str, list[str]] = field(default_factory=dict)
    batch: int = 0
    mode: RunMode = "eval"
    seed: int = 0
    steps: int = 100  # of "Run" in the dialog
    trains: bool = False
    training: TrainSteps = field(default_factory=TrainSteps)

    def request(self, repeat: int, pause: float, resume: bool) -> Run:
        """``repeat`` steps, 0 until stopped; ``resume`` goes on with a copy in training."""
        return Run(
            fields=self.fields,
            repeat=repeat,
            mode=self.mode,
            seed=self.seed,
            pause=pause,
            batch=self.batch,
            pictures=self.pictures,
            training=self.training if self.trains else None,
            resume=resume,
        )


class RunDialog(QDialog):
    """Modal; ``settings`` are those asked for, once accepted; ``run_asked(steps)`` comes after."""

    run_asked = Signal(int)

    def __init__(
        self, session: Asks, form: InputForm, settings: RunSettings, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("runDialog")
        self.setWindowTitle("Run")
        self.settings = settings
        self.inputs = InputsForm(session, form, settings.fields, settings.picture_paths)
        self.batch = QSpinBox()
        self.batch.setObjectName("runBatch")
        self.batch.setRange(0, _MOST)
        self.batch.setValue(settings.batch)
        self.batch.setSpecialValueText("all")
        self.forwards = QRadioButton("&Forwards: the model computes, nothing is trained")
        self.forwards.setObjectName("runForwards")
        self.trains = QRadioButton("&Train steps: forward, loss, backward, update")
        self.trains.setObjectName("runTrains")
        group = QButtonGroup(self)
        group.addButton(self.forwards)
        group.addButton(self.trains)
        self.training = TrainingForm(form, settings.training)
        self.mode = QComboBox()
        self.mode.setObjectName("runDialogMode")
        for words, mode in (("eval", "eval"), ("train", "train")):
            self.mode.addItem(words, mode)
        self.mode.setCurrentIndex(self.mode.findData(settings.mode))
        self.mode.setToolTip("Mode of all modules during a step, as model.eval() and model.train()")
        self.seed = seed_box("runSeed", "Of random inputs and targets, and of dropout")
        self.seed.setValue(settings.seed)
        self.steps = QSpinBox()
        self.steps.setObjectName("runSteps")
        self.steps.setRange(1, _MOST)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setValue(settings.steps)
        self.steps.setAccessibleName("Steps of this run")
        self.steps.setSuffix(" steps")
        even(self.batch, self.mode, self.seed, self.steps)
        self.problem = ToneLabel(form.reason, "warning")
        self.problem.setObjectName("runProblem")
        self.problem.reserve_lines(4 * GRID)
        self._build(form)
        self.inputs.told.connect(self.problem.say)
        self.inputs.changed.connect(self._enable)
        self.trains.toggled.connect(self._train_mode)
        self.trains.toggled.connect(self._enable)
        (self.trains if settings.trains else self.forwards).setChecked(True)
        with QSignalBlocker(self.mode):
            self.mode.setCurrentIndex(self.mode.findData(settings.mode))
        self._enable()
        self.setMinimumWidth(max(_WIDTH, self.minimumSizeHint().width()))

    def _build(self, form: InputForm) -> None:
        data, common = QHBoxLayout(), QHBoxLayout()
        for line, boxes in (
            (data, [(self.batch, "&Batch")]),
            (common, [(self.mode, "Mo&de"), (self.seed, "&Seed")]),
        ):
            line.setContentsMargins(3 * GRID, 0, 0, 0)
            line.setSpacing(GRID)
            for index, (box, words) in enumerate(boxes):
                line.addWidget(label_for(box, words, 0 if index else LABELS))
                box.setMinimumWidth(14 * GRID)
                line.addWidget(box)
                line.addSpacing(GRID)
            line.addStretch(1)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.run_button = push_button("&Run", "runNow", self._run)
        can = form.provided or bool(form.fields)
        ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setToolTip("For all runs from now on; the next one trains a fresh copy")
        for button in (self.run_button, ok):
            button.setEnabled(can)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        below = QHBoxLayout()
        below.setSpacing(GRID)
        below.addWidget(self.run_button)
        below.addWidget(self.steps)
        below.addStretch(1)
        below.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(_heading("Data"))
        column.addWidget(self.inputs)
        column.addLayout(data)
        column.addSpacing(GRID)
        column.addWidget(_heading("Steps"))
        column.addWidget(self.forwards)
        column.addWidget(self.trains)
        column.addWidget(self.training)
        column.addLayout(common)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addLayout(below)

    def _enable(self) -> None:
        self.training.setEnabled(self.trains.isChecked())
        examples = self.inputs.holds_examples
        self.batch.setEnabled(examples)
        self.batch.setToolTip(_BATCH if examples else "Nothing comes from a file or from pictures")

    def _train_mode(self, trains: bool) -> None:
        """What a person most likely wants with it; they may choose otherwise."""
        self.mode.setCurrentIndex(self.mode.findData("train" if trains else "eval"))

    def forbid_run(self, reason: str) -> None:
        """Only take settings, for the run after the one under way."""
        self.run_button.setEnabled(False)
        self.run_button.setToolTip(reason)

    def accept(self) -> None:
        """Take the settings as they are now, or say in place what is wrong with them."""
        try:
            self.settings = RunSettings(
                fields=self.inputs.fields(),
                pictures=self.inputs.pictures(),
                picture_paths=self.inputs.picture_paths(),
                batch=self.batch.value() if self.batch.isEnabled() else 0,
                mode=cast("RunMode", self.mode.currentData()),
                seed=self.seed.value(),
                steps=self.steps.value(),
                trains=self.trains.isChecked(),
                training=self.training.value()
                if self.trains.isChecked()
                else self.settings.training,
            )
        except ValueError as error:
            self.problem.say(str(error), "danger")
            return
        super().accept()

    def _run(self) -> None:
        self.accept()
        if self.result() == QDialog.DialogCode.Accepted:
            self.run_asked.emit(self.settings.steps)


def _heading(text: str) -> ToneLabel:
    label = ToneLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
