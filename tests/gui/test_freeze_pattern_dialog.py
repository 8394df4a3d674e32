"""Freezing by pattern, ready selection or class, against a session that answers plain data."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.freeze_pattern_dialog import FreezePatternDialog
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import (
    PlanFreeze,
    PlanHoldStatistics,
    Planned,
    Refusal,
    Selection,
)
from inspector_app.protocol.table import Flag


@pytest.fixture
def make(qtbot, opened_session, table):
    def make(pattern: str = "", table=table) -> FreezePatternDialog:
        dialog = FreezePatternDialog(opened_session, lambda: table, pattern)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


def planned(**more) -> Planned:
    fields = {
        "title": "",
        "changes": np.asarray([], np.int32),
        "tensors": 0,
        "elements": 0,
        "refused": [],
        "notes": [],
        "undoable": True,
    }
    return Planned(**{**fields, **more})


def ready(session, answers: dict[str, Planned | RequestError]) -> None:
    """Let the backend know these ready selections."""

    def answer(request: PlanFreeze) -> Planned:
        patterns = request.selection.patterns
        found = answers.get(patterns[0]) if len(patterns) == 1 else None
        if isinstance(found, RequestError):
            raise found
        return found or session.backend.plan_freeze(request)

    session.answers[PlanFreeze] = answer


def settle(qtbot, dialog, session) -> None:
    qtbot.waitUntil(lambda: not session.pending and not dialog._timer.isActive())


def test_previews_first(qtbot, opened_session, make):
    dialog = make()
    qtbot.waitUntil(lambda: "Choose from the list" in dialog.preview.summary.text())
    dialog.pattern.setText("body.0")
    assert not dialog.apply_button.isEnabled()
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert dialog.preview.summary.text() == "2 tensors with 72 elements would change."
    assert dialog.preview.list.topLevelItem(0).child(0).text(0) == "body.0.weight"
    dialog.unfreeze_button.setChecked(True)
    assert dialog.apply_button.text() == "Unfreeze"
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert PlanFreeze(selection=dialog.selection, frozen=False) in opened_session.requests
    dialog.pattern.setText("nothing")
    qtbot.waitUntil(lambda: dialog.preview.summary.tone == "danger")
    assert not dialog.apply_button.isEnabled()


def test_a_stale_preview_is_not_shown(qtbot, opened_session, make):
    dialog = make("body.0")
    settle(qtbot, dialog, opened_session)
    opened_session.hold()
    dialog.pattern.setText("body.2")
    asked = PlanFreeze(selection=Selection(patterns=["body.2"]))
    qtbot.waitUntil(lambda: asked in opened_session.requests)
    dialog.pattern.setText("body")
    opened_session.release()
    assert not dialog.apply_button.isEnabled()
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert dialog.preview.summary.text().startswith("4 tensors")


def test_the_keyboard_is_at_the_pattern(qtbot, make):
    dialog = make()
    qtbot.waitExposed(dialog)
    assert dialog.focusWidget() is dialog.pattern


class TestReadySelections:
    def test_tell_how_much_each_would_change(self, qtbot, opened_session, make):
        nothing = RequestError("'preset:embeddings' selects nothing: no module is an embedding.")
        ready(
            opened_session,
            {
                "preset:norms": planned(tensors=2, elements=1_500_000),
                "preset:embeddings": nothing,
                "class:Linear": planned(tensors=3, elements=72),
            },
        )
        dialog = make()
        settle(qtbot, dialog, opened_session)
        entries = dialog.ready.entries
        norms, embeddings = entries["preset:norms"], entries["preset:embeddings"]
        assert [norms.text(column) for column in range(3)] == [
            "Normalisation layers",
            "2",
            "1.5 M",
        ]
        assert norms.toolTip(2) == "1,500,000"
        assert embeddings.isDisabled()
        assert "no module is an embedding" in embeddings.toolTip(1)
        assert entries["class:Linear"].text(1) == "3"
        assert "preset:initial" not in entries

    def test_a_click_fills_the_pattern_in(self, qtbot, opened_session, make):
        some = planned(tensors=2, elements=16)
        ready(opened_session, {"preset:norms": some, "class:Linear": some})
        dialog = make()
        settle(qtbot, dialog, opened_session)
        view, entries = dialog.ready, dialog.ready.entries
        place = view.visualItemRect(entries["preset:norms"]).center()
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert dialog.pattern.text() == "preset:norms"
        assert dialog.selection == Selection(patterns=["preset:norms"])
        place = view.visualItemRect(entries["class:Linear"]).center()
        control = Qt.KeyboardModifier.ControlModifier
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, control, place)
        assert dialog.selection.patterns == ["preset:norms", "class:Linear"]
        dialog.pattern.setText("preset:norms body")
        assert entries["preset:norms"].isSelected()
        assert not entries["class:Linear"].isSelected()
        assert dialog.pattern.text() == "preset:norms body"

    def test_are_counted_anew_for_the_other_action(self, qtbot, opened_session, make):
        dialog = make()
        settle(qtbot, dialog, opened_session)
        dialog.unfreeze_button.setChecked(True)
        settle(qtbot, dialog, opened_session)
        wanted = PlanFreeze(selection=Selection(patterns=["class:Linear"]), frozen=False)
        assert wanted in opened_session.requests

    def test_of_what_is_still_initial_only_where_there_is_some(
        self, qtbot, opened_session, make, table
    ):
        flags = table.flags.copy()
        flags[5] |= np.uint32(Flag.INITIAL)
        dialog = make(table=msgspec.structs.replace(table, flags=flags))
        settle(qtbot, dialog, opened_session)
        assert dialog.ready.entries["preset:initial"].text(0) == "What is still initial"

    def test_nothing_is_asked_once_the_dialog_is_gone(self, qtbot, opened_session, make):
        dialog = make()
        opened_session.hold()
        dialog.reject()
        opened_session.release()
        asked = len(opened_session.requests)
        qtbot.wait(50)
        assert len(opened_session.requests) == asked


class TestStatistics:
    def test_are_held_as_well_where_there_are_some(self, qtbot, opened_session, make):
        dialog = make("body")
        qtbot.waitUntil(dialog.hold_box.isEnabled)
        assert "1 layer" in dialog.hold_box.text()
        assert "train mode" in dialog.hold_why.text()
        assert not dialog.holds
        dialog.hold_box.setChecked(True)
        assert dialog.holds
        dialog.pattern.setText("body.0")
        assert not dialog.holds
        settle(qtbot, dialog, opened_session)
        assert "none among these" in dialog.hold_box.text()
        assert not dialog.hold_box.isEnabled()

    def test_can_be_held_of_what_is_frozen_already(self, qtbot, opened_session, make):
        opened_session.answers[PlanFreeze] = planned(
            refused=[Refusal(rows=[8], reason="holds no parameters", examples=["body.2"])]
        )
        dialog = make("body.2")
        qtbot.waitUntil(dialog.hold_box.isEnabled)
        settle(qtbot, dialog, opened_session)
        assert not dialog.apply_button.isEnabled()
        dialog.hold_box.setChecked(True)
        assert dialog.apply_button.isEnabled()
        assert not dialog.freezes

    def test_are_let_move_again_with_unfreeze(self, qtbot, opened_session, make):
        dialog = make("body")
        dialog.unfreeze_button.setChecked(True)
        qtbot.waitUntil(dialog.hold_box.isEnabled)
        assert PlanHoldStatistics(selection=dialog.selection, held=False) in opened_session.requests
        assert "move" in dialog.hold_box.text()
