"""Train steps in the real window: watched on a copy, stopped, made on the model itself, undone."""

from __future__ import annotations

import msgspec
import pytest

from inspector_app.gui.panels.run_dialog import RunDialog
from inspector_app.protocol.messages import Measure
from tests.program.working import answer, until


@pytest.fixture
def training(qtbot, window):
    """The window with a sample of which everything is watched, set to train."""
    window.opening.open("sample:mlp")
    until(qtbot, lambda: window.session.state == "ready")
    window.live.watch_leaves([0])
    until(qtbot, lambda: bool(window.live.watched))
    window.registry.action("model.inputs").trigger()
    until(qtbot, lambda: window.findChild(RunDialog) is not None)
    dialog = window.findChild(RunDialog)
    dialog.trains.setChecked(True)
    dialog.steps.setValue(30)
    dialog.training.rate.setText("0.1")
    dialog.run_button.click()
    until(qtbot, lambda: window.live.running)
    until(qtbot, lambda: not window.live.running)
    return window


def measured(qtbot, window):
    found = answer(qtbot, window, Measure(row=2))
    return found.minimum, found.maximum, found.mean


def test_a_copy_learns_while_it_is_watched(qtbot, training):
    assert "30 train steps" in training.live_panel.line.text()
    until(qtbot, lambda: {"scalar", "gradient"} <= {one.kind for one in training.live.series})
    first, last = (float(word) for word in training.live_panel.line.text().split()[-3::2])
    assert last < first
    assert training.session.journal == []
    training.live.run(0)
    until(qtbot, lambda: training.live.forwards > 35)  # it goes on with the copy
    training.live.stop()
    until(qtbot, lambda: not training.live.running)
    assert training.live_panel.line.tone == "muted"


def test_on_the_model_itself_it_can_be_undone_and_is_left_out_of_a_replay(qtbot, training):
    before = measured(qtbot, training)
    training.live._repeat = 5
    training.live.train_itself()
    until(qtbot, lambda: not training.live.running)
    (entry,) = training.history_model.entries
    assert entry.title == "Train 5 steps with SGD"
    assert measured(qtbot, training) != before
    training.registry.action("edit.undo").trigger()
    until(qtbot, lambda: not training.history_model.entries[0].done)
    assert measured(qtbot, training) == before
    training.registry.action("edit.redo").trigger()
    until(qtbot, lambda: training.history_model.entries[0].done)
    assert training.session.journal == [msgspec.structs.replace(entry, done=True)]
