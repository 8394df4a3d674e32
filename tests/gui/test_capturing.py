"""Whole tensors kept of watched rows, from the command to the file."""

from __future__ import annotations

import msgspec
import numpy as np
from PySide6.QtWidgets import QFileDialog, QSpinBox

from inspector_app.gui.client.choice import Choice
from inspector_app.gui.panels.capture_dialog import CaptureDialog
from inspector_app.gui.views.captured import CapturedView, state_text, value_lines
from inspector_app.protocol.messages import (
    Capture,
    Captured,
    CapturedValues,
    DropCaptured,
    Phase,
    SaveCaptured,
)
from inspector_app.protocol.phases import EVALUATION
from tests.gui.fake_backend import make_records
from tests.gui.windows import asked, settle, trigger

WAITING = Captured(number=0, row=1, leaf="", kind="output", call=0, state="waiting")
KEPT = msgspec.structs.replace(
    WAITING, state="kept", step=1234, shape=(4, 8), dtype="float32", bytes=128
)


def view_of(window) -> CapturedView:
    return window.live_panel.views.captured


def kept(qtbot, window) -> CapturedView:
    """The output of row 1, kept and shown."""
    window.tree_panel.view.select_row(1)
    trigger(window, "model.capture_output")
    view = view_of(window)
    qtbot.waitUntil(lambda: bool(view.captures))
    window.session.backend.captures = [KEPT]
    qtbot.waitUntil(lambda: view._side.currentWidget() is view._page)
    return view


def test_only_what_is_watched_is_captured(joined):
    joined.tree_panel.view.select_row(2)
    action = joined.registry.action("model.capture_output")
    assert not action.isEnabled()
    assert "only what is watched" in action.toolTip()


def test_a_capture_waits_and_says_so(qtbot, joined):
    joined.tree_panel.view.select_row(1)
    trigger(joined, "model.capture_gradient")
    view = view_of(joined)
    qtbot.waitUntil(lambda: view.list.count() == 1)
    assert [(one.row, one.kind) for one in asked(joined, Capture)] == [(1, "gradient")]
    assert joined.live_panel.views.view is view
    assert view.told.sentence.startswith("Waiting for the next one")
    assert not view._buttons["captureSave"].isEnabled()
    assert view._buttons["captureDrop"].isEnabled()


def test_what_the_views_show_is_what_is_captured(qtbot, joined):
    """The evaluation, the last call of each forward."""
    store = joined.live_panel.views.store
    joined.session.backend.steps = 1
    qtbot.waitUntil(lambda: bool(joined.live.series))
    (key,) = (one.key for one in joined.live.series if (one.row, one.kind) == (1, "output"))
    trained, evaluated = (
        msgspec.structs.replace(
            make_records(joined.live.series, np.arange(2) + 2 * number),
            key=np.full(2, key, np.int32),
            step=np.full(2, 9),
            call=np.arange(2, dtype=np.int32),
            phase=np.full(2, phase, np.uint8),
        )
        for number, phase in enumerate((Phase.TRAIN, Phase.EVALUATION))
    )
    store.add(trained)
    store.add(evaluated)
    store.choose(Choice(phase=EVALUATION))
    joined.tree_panel.view.select_row(1)
    trigger(joined, "model.capture_output")
    settle(qtbot, joined)
    (request,) = asked(joined, Capture)
    assert (request.phase, request.call, request.micro, request.step) == (EVALUATION, 1, -1, 0)


def test_a_step_to_come_is_chosen(qtbot, joined):
    joined.tree_panel.view.select_row(1)
    trigger(joined, "model.capture_step")
    dialog = joined.findChild(CaptureDialog)
    assert dialog.step == 7 + 500  # ten seconds from now, of 20 ms each
    qtbot.keyClicks(dialog.findChild(QSpinBox), "1234")
    dialog.accept()
    view = view_of(joined)
    qtbot.waitUntil(lambda: view.list.count() == 1)
    assert [(one.row, one.kind, one.step) for one in asked(joined, Capture)] == [
        (1, "output", 1234)
    ]
    assert view.told.sentence == "Waiting for step 1,234."
    assert "waiting for step 1,234" in view.list.item(0).text()


def test_a_loop_that_stands_is_captured_at_its_next_step(qtbot, joined):
    backend = joined.session.backend
    backend.loop = msgspec.structs.replace(backend.loop, paused=True, held=True)
    qtbot.waitUntil(lambda: joined.training.state.held)
    joined.tree_panel.view.select_row(1)
    trigger(joined, "model.capture_step")
    dialog = joined.findChild(CaptureDialog)
    assert dialog.step == 8
    backend.loop = msgspec.structs.replace(backend.loop, step=8)
    qtbot.waitUntil(lambda: not dialog.ok.isEnabled())
    assert dialog.hint.text() == "Step 8 is the last so far: choose one that is still to come."
    dialog.reject()
    assert not asked(joined, Capture)


def test_what_is_kept_is_measured_and_listed(qtbot, joined):
    view = kept(qtbot, joined)
    text = view.facts.text()
    for word in ("1,234", "4 × 8", "float32", "Deviation", "[3, 7]"):
        assert word in text
    assert "step 1,234" in view.list.item(0).text()
    assert not view.grab().isNull()


def test_one_is_saved(qtbot, joined, monkeypatch, tmp_path):
    view = kept(qtbot, joined)
    chosen = str(tmp_path / "out")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen, "NumPy (*.npy)"))
    view._buttons["captureSave"].click()
    qtbot.waitUntil(lambda: "was written" in joined.notices.text)
    assert asked(joined, SaveCaptured)[0].path == f"{chosen}.npy"


def test_one_is_let_go(qtbot, joined):
    view = kept(qtbot, joined)
    view._buttons["captureDrop"].click()
    qtbot.waitUntil(lambda: not view.captures)
    assert asked(joined, DropCaptured)[0].number == 0
    assert view.empty.isVisible()
    assert not view._buttons["captureDrop"].isEnabled()
    settle(qtbot, joined)


def test_what_failed_says_why():
    failed = msgspec.structs.replace(WAITING, state="failed", sentence="Too large.")
    assert state_text(failed) == "Too large."
    assert state_text(KEPT) == "Kept: 4 × 8 float32, of step 1,234."
    later = msgspec.structs.replace(KEPT, phase=int(Phase.EVALUATION), call=1, micro=2)
    moment = "step 1,234, evaluation, call 2, micro-step 3"
    assert state_text(later) == f"Kept: 4 × 8 float32, of {moment}."


def test_values_are_named_by_their_places():
    def names(shape, count):
        values = CapturedValues(number=0, start=0, total=count, values=np.arange(float(count)))
        return [line.label for line in value_lines(shape, values)]

    assert names((2, 2), 4) == ["[0, 0]", "[0, 1]", "[1, 0]", "[1, 1]"]
    assert names((), 1) == ["value"]
    assert names((0,), 0) == []
