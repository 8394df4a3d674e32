"""What edits ask of the worker and what they tell, against a session that answers plain data."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtWidgets import QWidget

from inspector_app.gui.edits import Edits, outcome, refused_words
from inspector_app.protocol.changes import change_of_rows
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import (
    Edited,
    Freeze,
    HoldStatistics,
    JournalEntry,
    PlanHoldStatistics,
    Redo,
    Refusal,
    Selection,
    Undo,
)
from tests.gui.tables import small_table, totals_of
from widgets.notice_bar import NoticeBar

NORM = Selection(patterns=["body.2"])
LINEAR = Selection(patterns=["body.0"])


@pytest.fixture
def notices(qtbot):
    notices = NoticeBar()
    qtbot.addWidget(notices)
    return notices


@pytest.fixture
def edits(qtbot, opened_session, notices, table):
    window = QWidget()
    qtbot.addWidget(window)
    return Edits(opened_session, notices, lambda: table, window)


def settle(qtbot, session) -> None:
    qtbot.waitUntil(lambda: not session.pending)


def asked(session, kind) -> list:
    return [request for request in session.requests if isinstance(request, kind)]


class TestStatistics:
    def test_are_offered_to_be_held_after_a_freeze(self, qtbot, opened_session, edits, notices):
        edits.freeze(NORM, True)
        settle(qtbot, opened_session)
        assert notices.text == (
            "Freeze rows: 2 tensors. The running statistics of 1 layer still move."
        )
        (button,) = notices._actions
        assert button.text() == "Hold them"
        button.click()
        settle(qtbot, opened_session)
        assert asked(opened_session, HoldStatistics) == [HoldStatistics(selection=NORM)]
        assert notices.text.startswith("Hold the statistics of rows: 1 layer.")

    def test_are_not_spoken_of_where_there_are_none(self, qtbot, opened_session, edits, notices):
        edits.freeze(LINEAR, True)
        settle(qtbot, opened_session)
        assert notices.text == "Freeze rows: 2 tensors."
        assert notices._actions == []

    def test_are_not_asked_about_after_an_unfreeze(self, qtbot, opened_session, edits):
        edits.freeze(NORM, True)
        settle(qtbot, opened_session)
        edits.freeze(NORM, False)
        settle(qtbot, opened_session)
        assert len(asked(opened_session, PlanHoldStatistics)) == 1

    def test_are_held_together_with_a_freeze(self, qtbot, opened_session, edits, notices):
        edits.freeze(NORM, True, holds=True)
        settle(qtbot, opened_session)
        assert [type(r) for r in opened_session.requests][-2:] == [Freeze, HoldStatistics]
        assert notices.text == ("Freeze rows: 2 tensors. Hold the statistics of rows: 1 layer.")
        assert [entry.kind for entry in opened_session.journal] == ["freeze", "hold"]

    def test_that_cannot_be_asked_about_leave_the_freeze_told(
        self, qtbot, opened_session, edits, notices
    ):
        opened_session.answers[PlanHoldStatistics] = RefusedError("No.")
        edits.freeze(NORM, True)
        settle(qtbot, opened_session)
        assert notices.text == "Freeze rows: 2 tensors."

    def test_of_a_frozen_layer_are_held_alone(self, qtbot, opened_session, edits):
        dialog = edits.ask_freeze_pattern("body.2")
        qtbot.waitUntil(dialog.hold_box.isEnabled)
        dialog.hold_box.setChecked(True)
        dialog._planned = msgspec.structs.replace(dialog._planned, tensors=0)
        dialog.accept()
        settle(qtbot, opened_session)
        assert not asked(opened_session, Freeze)
        assert asked(opened_session, HoldStatistics) == [HoldStatistics(selection=NORM)]


def test_every_command_has_something_to_run(edits):
    from inspector_app.gui.edit_commands import EDITING

    assert set(edits.commands(lambda: None)) == {command.id for command in EDITING}


def entry(**more) -> JournalEntry:
    fields = {"number": 1, "kind": "freeze", "title": "Freeze a", "touched": 3, "patterns": ["a"]}
    return JournalEntry(**{**fields, **more})


def edited(*history: JournalEntry, rows: tuple[int, ...] = (5,), **more) -> Edited:
    table = small_table()
    return Edited(
        change=change_of_rows(table, np.asarray(rows, np.int32)),
        totals=totals_of(table),
        history=list(history),
        **more,
    )


class TestOutcome:
    @pytest.mark.parametrize(
        ("request_", "history", "text"),
        [
            (Freeze(selection=NORM), [entry()], "Freeze a: 3 tensors."),
            (
                HoldStatistics(selection=NORM),
                [entry(kind="hold", title="Hold", touched=1)],
                "Hold: 1 layer.",
            ),
            (Undo(), [entry(done=False)], "Undone: Freeze a."),
            (Redo(), [entry()], "Done again: Freeze a."),
            (Undo(), [], "There is nothing to undo."),
            (Redo(), [], "There is nothing to redo."),
        ],
    )
    def test_names_the_edit(self, request_, history, text):
        assert outcome(request_, edited(*history)).text == text

    def test_nothing_changed(self):
        assert outcome(Freeze(selection=NORM), edited(rows=())).text == "Nothing changed."

    def test_tells_what_was_left_out_and_one_note(self):
        refused = [Refusal(rows=[6], reason="1-dimensional: has no fans", examples=["a.bias"])]
        told = outcome(
            Freeze(selection=NORM),
            edited(entry(), refused=refused, notes=["tied: a is b", "another"]),
        )
        assert told.text == (
            "Freeze a: 3 tensors. Left out 1 row (1-dimensional: has no fans). Tied: a is b. "
            "(and 1 more)"
        )
        assert told.tone == "warning"
        assert told.detail == "1-dimensional: has no fans: a.bias\ntied: a is b\nanother"

    def test_fits_into_the_bar_whatever_is_said(self):
        long = "word " * 200
        refused = [Refusal(rows=[6], reason=long, examples=[long])]
        told = outcome(
            Freeze(selection=NORM), edited(entry(title=long), refused=refused, notes=[long])
        )
        assert len(told.text) < 320
        assert long.strip() in told.detail


def test_reasons_are_named_once():
    refused = [
        Refusal(rows=[1, 2], reason="lazy", examples=[]),
        Refusal(rows=[3], reason="lazy", examples=[]),
    ]
    assert refused_words(refused) == "Left out 3 rows (lazy)."
