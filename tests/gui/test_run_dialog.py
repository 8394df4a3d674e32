"""How the model runs, as a person says it, and what is asked of the worker then."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QAbstractButton, QLabel

from inspector_app.gui.panels.input_row import parse_shape
from inspector_app.gui.panels.run_dialog import RunDialog, RunSettings
from inspector_app.gui.pictures import picture_filter, read_pictures
from inspector_app.protocol.errors import CopyError
from inspector_app.protocol.messages import (
    FileTensor,
    InputField,
    InputForm,
    Ran,
    Run,
    TrainSteps,
    Watch,
)

FIELDS = [InputField(name="x", shape=(2, 8)), InputField(name="mask", required=False)]
FORM = InputForm(provided=True, fields=FIELDS, own_loss=True, optimizers=["SGD", "Adam", "Rprop"])


@pytest.fixture
def dialog(qtbot, fake_session):
    dialog = RunDialog(fake_session, FORM, RunSettings())
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


@pytest.fixture
def opened(qtbot, window):
    window.opening.open("fake.py:make")
    qtbot.waitUntil(lambda: window.session.target is not None and not window.session.pending)
    return window


@pytest.mark.parametrize(
    ("text", "shape"),
    [("", ()), ("3", (3,)), ("1, 3,32 32", (1, 3, 32, 32)), ("1x3", (1, 3)), ("(2, 4)", (2, 4))],
)
def test_shapes(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["a", "1.5", "-1", "100000 100000"])
def test_shapes_that_are_none(text):
    with pytest.raises(ValueError, match=r"[.]$|too many"):
        parse_shape(text)


# -- data ----------------------------------------------------------------------------------------


def test_the_form_makes_fields(dialog):
    assert dialog.inputs.provided.isChecked()
    assert not dialog.batch.isEnabled()
    dialog.inputs.made.setChecked(True)
    x, mask = dialog.inputs.rows
    x.shape.setText("nonsense")
    dialog.accept()
    assert dialog.problem.tone == "danger"
    assert dialog.isVisible()
    x.shape.setText("4, 8")
    x.distribution.setCurrentText("integers")
    x.high.setValue(10)
    mask.used.setChecked(False)
    dialog.accept()
    first, second = dialog.settings.fields
    assert (first.shape, first.distribution, first.high) == ((4, 8), "integers", 10)
    assert not second.used


def test_without_a_form_the_reason_is_told(qtbot, fake_session):
    reason = "forward takes *args, so no form can be made."
    form = InputForm(provided=False, fields=[], reason=reason)
    dialog = RunDialog(fake_session, form, RunSettings())
    qtbot.addWidget(dialog)
    assert dialog.problem.text() == reason
    assert not dialog.inputs.provided.isEnabled()
    assert not dialog.run_button.isEnabled()


def test_a_file_tells_its_tensors(qtbot, fake_session, dialog):
    fake_session.backend.data_files["/data.pt"] = [
        FileTensor(key="labels", shape=(50,), dtype="int64"),
        FileTensor(key="x", shape=(50, 8), dtype="float64"),
    ]
    dialog.inputs.made.setChecked(True)
    x, mask = dialog.inputs.rows
    mask.used.setChecked(False)
    x.distribution.setCurrentText("from a file")
    dialog.accept()
    assert "choose the file" in dialog.problem.text()
    x.take_file("/lost.pt")
    qtbot.waitUntil(lambda: "cannot be read" in dialog.problem.text())
    x.take_file("/data.pt")
    qtbot.waitUntil(lambda: x.key.count() == 2)
    assert not dialog.problem.text()
    assert x.key.currentData() == "x"  # named as the argument
    assert x.shape.text() == "50, 8"
    assert not x.shape.isEnabled()
    x.key.setCurrentIndex(0)
    assert (x.shape.text(), x.dtype.currentText()) == ("50", "int64")
    dialog.batch.setValue(16)
    dialog.accept()
    (field, _) = dialog.settings.fields
    assert (field.distribution, field.path, field.key) == ("file", "/data.pt", "labels")
    again = RunDialog(fake_session, FORM, dialog.settings)
    qtbot.addWidget(again)
    row = again.inputs.rows[0]
    qtbot.waitUntil(lambda: row.key.count() == 2)
    assert row.key.currentData() == "labels"
    assert again.batch.value() == 16


@pytest.fixture
def picture(tmp_path):
    """8 x 4 pixels, the left half red, the right half blue."""
    image = QImage(8, 4, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    for x in range(4, 8):
        for y in range(4):
            image.setPixelColor(x, y, QColor("blue"))
    path = tmp_path / "picture.png"
    assert image.save(str(path))
    return str(path)


def test_pictures_become_pixels(picture):
    pixels = read_pictures([picture, picture], (2, 3, 4, 8))
    assert pixels.shape == (2, 3, 4, 8)
    assert pixels[1, :, 0, 0].tolist() == [255, 0, 0]
    assert pixels[1, :, 3, 7].tolist() == [0, 0, 255]
    assert read_pictures([picture], (1, 1, 3, 5)).shape == (1, 1, 3, 5)
    assert (read_pictures([picture], (1, 4, 2, 2))[0, 3] == 255).all()
    assert "*.png" in picture_filter()


def test_pictures_that_cannot_be_used(picture, tmp_path):
    (tmp_path / "no.png").write_text("no picture")
    for paths, shape, words in (
        ([picture], (3, 4, 8), "4 extents"),
        ([picture], (1, 2, 4, 8), "not 2"),
        ([picture], (1, 3, 0, 8), "at least 1"),
        ([], (1, 3, 4, 8), "Choose"),
        ([picture] * 100, (1, 3, 1000, 1000), "more than 48 MB"),
        ([str(tmp_path / "no.png")], (1, 3, 4, 8), "no.png cannot be read"),
    ):
        with pytest.raises(ValueError, match=words):
            read_pictures(paths, shape)


def test_pictures_in_the_form(dialog, picture):
    dialog.inputs.made.setChecked(True)
    x, mask = dialog.inputs.rows
    mask.used.setChecked(False)
    x.distribution.setCurrentText("from pictures")
    x.shape.setText("1, 3, 4, 8")
    dialog.accept()
    assert dialog.problem.text() == "Choose the pictures to run with."
    x.take_pictures([picture] * 3)
    assert x.choose.text() == "3 pictures…"
    x.scaling.setCurrentText("ImageNet")
    assert "pretrained" in x.scaling.toolTip()
    dialog.accept()
    request = dialog.settings.request(1, 0.0, False)
    assert request.fields[0].scaling == "imagenet"
    assert request.pictures["x"].shape == (3, 3, 4, 8)
    assert request.pictures["x"].dtype == np.uint8


# -- training ------------------------------------------------------------------------------------


def test_train_steps_with_their_numbers(dialog):
    assert not dialog.training.isEnabled()
    dialog.trains.setChecked(True)
    assert dialog.mode.currentData() == "train"
    dialog.mode.setCurrentIndex(0)
    form = dialog.training
    form.rate.setText("0.5")
    form.momentum.setText("0.9")
    form.itself.setChecked(True)
    form.loss.setCurrentIndex(form.loss.findData("mse"))
    dialog.seed.setValue(7)
    dialog.accept()
    request = dialog.settings.request(5, 0.0, True)
    assert (request.mode, request.seed, request.resume) == ("eval", 7, True)
    assert request.training == TrainSteps(
        learning_rate=0.5, momentum=0.9, loss="mse", on_copy=False
    )


def test_what_an_optimizer_does_not_take_is_disabled_with_the_reason(dialog):
    dialog.trains.setChecked(True)
    form = dialog.training
    form.momentum.setText("0.9")
    form.decay.setText("0.1")
    form.optimizer.setCurrentText("Rprop")
    assert form.momentum.toolTip() == "Rprop takes no momentum"
    assert form.decay.toolTip() == "Rprop takes no weight decay"
    value = form.value()
    assert (value.momentum, value.weight_decay) == (0.0, None)
    form.optimizer.setCurrentText("SGD")
    assert form.value().weight_decay == 0.1
    form.rate.setText("")
    dialog.accept()
    assert "learning rate is not a number" in dialog.problem.text()


def test_a_file_without_a_loss_offers_the_others(qtbot, fake_session):
    form = InputForm(provided=True, fields=[], optimizers=["SGD"])
    dialog = RunDialog(fake_session, form, RunSettings(trains=True))
    qtbot.addWidget(dialog)
    assert dialog.training.loss.findData("own") < 0
    assert "no function loss" in dialog.training.loss.toolTip()
    dialog.accept()
    assert dialog.settings.training.loss == "cross_entropy"
    assert dialog.settings.mode == "eval"  # as it was given: only a change of steps sets it


def test_every_access_key_is_its_own(dialog):
    texts = [widget.text() for widget in dialog.findChildren(QAbstractButton)]
    texts += [label.text() for label in dialog.findChildren(QLabel) if label.buddy()]
    keys = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert len(keys) > 10
    assert len(set(keys) - {"o", "c"}) == len([key for key in keys if key not in "oc"])


# -- in the window -------------------------------------------------------------------------------


def requests(window, kind):
    return [request for request in window.session.requests if isinstance(request, kind)]


def test_settings_are_those_of_every_run(qtbot, opened):
    opened.live.watch([4])
    qtbot.waitUntil(lambda: opened.live.watched == {4})
    opened.registry.action("model.inputs").trigger()
    qtbot.waitUntil(lambda: opened.findChild(RunDialog) is not None)
    dialog = opened.findChild(RunDialog)
    dialog.trains.setChecked(True)
    dialog.steps.setValue(20)
    qtbot.mouseClick(dialog.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(requests(opened, Run)) == 1 and not opened.live.running)
    (run,) = requests(opened, Run)
    assert (run.repeat, run.mode, run.resume) == (20, "train", False)
    assert run.training.loss == "own"
    assert "gradient" in requests(opened, Watch)[-1].kinds
    assert "20 train steps" in opened.live_panel.line.text()
    assert "loss 2 to 1.5" in opened.live_panel.line.text()
    opened.registry.action("model.run_once").trigger()
    qtbot.waitUntil(lambda: len(requests(opened, Run)) == 2 and not opened.live.running)
    again = requests(opened, Run)[-1]
    assert (again.repeat, again.resume) == (1, True)
    assert again.training == run.training


def test_while_it_runs_settings_can_be_changed_for_the_next_run(qtbot, opened):
    opened.live.run(0)
    qtbot.waitUntil(lambda: opened.live.running)
    opened.registry.action("model.inputs").trigger()
    qtbot.waitUntil(lambda: opened.findChild(RunDialog) is not None)
    dialog = opened.findChild(RunDialog)
    assert not dialog.run_button.isEnabled()
    assert "stop it first" in dialog.run_button.toolTip()
    dialog.seed.setValue(5)
    dialog.accept()
    opened.live.stop()
    qtbot.waitUntil(lambda: not opened.live.running)
    opened.live.run(1)
    qtbot.waitUntil(lambda: not opened.live.running)
    assert requests(opened, Run)[-1].seed == 5


def test_a_model_that_cannot_be_copied_can_be_trained_itself(qtbot, opened):
    opened.session.answers[Run] = CopyError("The model cannot be copied: no.")
    opened.live.run(3)
    qtbot.waitUntil(lambda: "cannot be copied" in opened.notices.text)
    del opened.session.answers[Run]
    button = next(
        button
        for button in opened.notices.findChildren(QAbstractButton)
        if button.text() == "Train the model itself"
    )
    button.click()
    qtbot.waitUntil(lambda: len(requests(opened, Run)) == 2 and not opened.live.running)
    assert requests(opened, Run)[-1].repeat == 3
    assert not opened.live._settings.training.on_copy


def test_why_training_ended_early_is_told(qtbot, opened):
    done = opened.session.backend.run(Run())
    note = "The loss became nan in step 3, which made no update: training stopped there."
    opened.session.answers[Run] = Ran(
        forwards=3, seconds=0.1, change=done.change, totals=done.totals, note=note
    )
    opened.live.run(9)
    qtbot.waitUntil(lambda: opened.notices.text == note)
    assert opened.notices.tone == "warning"
