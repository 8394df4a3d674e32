from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from inspector_app.gui.panels.state_dialog import NONE, StateDialog
from inspector_app.protocol.errors import RefusedError, TargetError
from inspector_app.protocol.messages import LoadState, PlanState


@pytest.fixture
def session(qtbot, fake_session):
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return fake_session


@pytest.fixture
def dialog(qtbot, session) -> StateDialog:
    dialog = StateDialog(session, "/x/weights.pt", "small")
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


@pytest.fixture
def compared(qtbot, dialog) -> StateDialog:
    with qtbot.waitSignal(dialog.planned):
        dialog.compare()
    return dialog


def asked(session, kind) -> list:
    return [request for request in session.requests if isinstance(request, kind)]


def test_what_differs_is_shown_before_anything_is_loaded(session, compared):
    assert compared.summary.text().startswith("4 of 7 keys match. 4 differences")
    assert compared.summary.tone == "warning"
    assert compared.model.rowCount() == 4
    assert list(compared.kind_buttons) == ["", "missing", "unexpected", "shape", "dtype"]
    assert compared.kind_buttons["missing"].text() == "Missing  1"
    assert not compared.load_button.isEnabled()
    assert compared.fit_button.text() == "Load what fits (5)"
    assert compared.prefix.placeholderText() == "found by itself: module."
    assert not asked(session, LoadState)


def test_one_kind_can_be_looked_at_alone_and_copied(qtbot, compared):
    qtbot.mouseClick(compared.kind_buttons["shape"], Qt.MouseButton.LeftButton)
    assert compared.model.rowCount() == 1
    compared.copy()
    assert QGuiApplication.clipboard().text().startswith("Shape\tbody.0.weight\t")
    qtbot.mouseClick(compared.kind_buttons[""], Qt.MouseButton.LeftButton)
    compared.table.selectRow(1)
    compared.copy()
    assert QGuiApplication.clipboard().text().startswith("Unexpected\told.weight")


def test_a_click_chooses_the_row_of_the_tree(qtbot, compared):
    with qtbot.waitSignal(compared.row_chosen) as chosen:
        compared.table.selectRow(2)
    assert chosen.args == [5]
    with qtbot.assertNotEmitted(compared.row_chosen):
        compared.table.selectRow(1)  # not in the model


def test_the_keyboard_alone_chooses_no_row(qtbot, dialog):
    with qtbot.assertNotEmitted(dialog.row_chosen), qtbot.waitSignal(dialog.planned):
        dialog.compare()
    dialog.table.setFocus()
    assert dialog.table.selectionModel().selectedRows() == []


def test_what_fits_is_loaded_on_request(qtbot, session, compared):
    with qtbot.waitSignal(compared.loaded) as loaded:
        qtbot.mouseClick(compared.fit_button, Qt.MouseButton.LeftButton)
        assert not compared.fit_button.isEnabled()
    edited, plan, fit = loaded.args
    assert fit
    assert plan.path == "/x/weights.pt"
    assert edited.history[-1].kind == "load"
    assert asked(session, LoadState) == [LoadState(path="/x/weights.pt", fit=True)]
    assert not compared.isVisible()


def test_a_checkpoint_that_fits_wholly(qtbot, session, dialog):
    session.backend.differences = []
    with qtbot.waitSignal(dialog.planned):
        dialog.compare()
    assert dialog.summary.tone == "good"
    assert dialog.summary.text().startswith("All 7 keys match")
    assert not dialog.fit_button.isEnabled()
    assert dialog.load_button.isEnabled()
    with qtbot.waitSignal(dialog.loaded):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)


def test_the_prefix_can_be_typed(qtbot, session, compared):
    compared.prefix.setText("net.")
    qtbot.waitUntil(lambda: len(asked(session, PlanState)) == 2 and not session.pending)
    compared.prefix.setText(NONE)
    qtbot.waitUntil(lambda: len(asked(session, PlanState)) == 3 and not session.pending)
    compared.prefix.clear()
    qtbot.waitUntil(lambda: len(asked(session, PlanState)) == 4 and not session.pending)
    assert [request.prefix for request in asked(session, PlanState)] == [None, "net.", "", None]


def test_a_file_that_is_no_checkpoint(qtbot, session, dialog):
    session.answers[PlanState] = TargetError("There is no file /x/weights.pt.")
    dialog.compare()
    qtbot.waitUntil(lambda: dialog.summary.tone == "danger")
    assert dialog.summary.text() == "There is no file /x/weights.pt."
    assert not dialog.load_button.isEnabled()
    assert not dialog.fit_button.isEnabled()
    assert not dialog.progress.isVisible()


def test_a_load_that_fails_keeps_the_comparison(qtbot, session, compared):
    session.answers[LoadState] = RefusedError("The file has changed meanwhile.")
    compared.fit_button.click()
    qtbot.waitUntil(lambda: compared.summary.tone == "danger")
    assert compared.model.rowCount() == 4
    assert compared.fit_button.isEnabled()


def test_a_load_under_way_shows_its_progress_and_can_be_cancelled(qtbot, session, compared):
    session.hold()
    compared.fit_button.click()
    number = session.pending[-1]
    compared.show_progress(number, 3, 4, "Loading 3 of 4")
    assert compared.progress.value() == 750
    compared.show_progress(number + 9, 1, 4, "of another job")
    assert compared.summary.text() == "Loading 3 of 4"
    compared.reject()
    assert compared.isVisible()
    assert session.cancelled == [number]
    session._held.reverse()
    session.release()
    qtbot.waitUntil(lambda: "nothing was loaded" in compared.summary.text())
    compared.reject()
    assert not compared.isVisible()


def test_what_cannot_be_undone_is_said_before(qtbot, session, compared):
    plan = msgspec.structs.replace(compared.plan, undoable=False, notes=["One.", "Two."])
    compared.show_plan(plan)
    assert "too large to be undone" in compared.summary.text()
    assert compared.notes.toolTip() == "One.\nTwo."


def test_closing_takes_the_marks_away(qtbot, compared):
    with qtbot.waitSignal(compared.planned) as planned:
        compared.reject()
    assert planned.args == [None]
