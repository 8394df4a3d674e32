"""Edits that are in no file are asked about before they are given up."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from inspector_app.gui.leaving import Leaving
from inspector_app.protocol.messages import (
    ApplyRequiresGrad,
    Export,
    Freeze,
    Initialize,
    LoadState,
    Scheme,
    Selection,
    Undo,
)
from widgets.notice_bar import NoticeBar


class Window:
    """What happened."""

    def __init__(self):
        self.gone = 0
        self.exports = 0


@pytest.fixture
def notices(qtbot):
    notices = NoticeBar()
    qtbot.addWidget(notices)
    return notices


@pytest.fixture
def went():
    return Window()


@pytest.fixture
def leaving(qtbot, opened_session, notices, went):
    def export():
        went.exports += 1

    return Leaving(opened_session, notices, export, opened_session)


def ask(qtbot, session, request) -> None:
    session.request(request, lambda _: None)
    qtbot.waitUntil(lambda: not session.pending)


def freeze(*paths: str) -> Freeze:
    return Freeze(selection=Selection(patterns=list(paths)))


def leave(leaving, went) -> None:
    def go_on():
        went.gone += 1

    leaving.before(go_on, "close the window")


def press(notices, text: str) -> None:
    buttons = {b.text(): b for b in notices.findChildren(QPushButton) if not b.isHidden()}
    buttons[text].click()


def test_without_edits_nothing_is_asked(leaving, notices, went):
    leave(leaving, went)
    assert went.gone == 1
    assert notices.text == ""


def test_edits_are_asked_about_and_can_be_discarded(qtbot, opened_session, leaving, notices, went):
    ask(qtbot, opened_session, freeze("body.0"))
    leave(leaving, went)
    assert went.gone == 0
    assert notices.text == "“Freeze rows” is in no file yet."
    ask(qtbot, opened_session, freeze("head"))
    leave(leaving, went)
    assert notices.text == "“Freeze rows” and 1 edit before it are in no file yet."
    press(notices, "Discard and close the window")
    assert went.gone == 1
    assert notices.text == ""


def test_cancel_leaves_everything(qtbot, opened_session, leaving, notices, went):
    ask(qtbot, opened_session, freeze("body.0"))
    leave(leaving, went)
    press(notices, "Cancel")
    assert (went.gone, notices.text) == (0, "")
    assert len(leaving.unexported) == 1


def test_the_way_on_stands_open_after_the_export(qtbot, opened_session, leaving, notices, went):
    ask(qtbot, opened_session, freeze("body.0"))
    leave(leaving, went)
    press(notices, "Export…")
    assert went.exports == 1
    ask(qtbot, opened_session, Export(path="x.safetensors"))
    assert notices.text == "The edits are in a file now."
    assert leaving.unexported == []
    press(notices, "Close the window")
    assert went.gone == 1


def test_an_export_holds_the_edits_before_it(qtbot, opened_session, leaving, notices, went):
    ask(qtbot, opened_session, freeze("body.0"))
    ask(qtbot, opened_session, Export(path="x.safetensors"))
    assert notices.text == ""  # nobody was leaving
    leave(leaving, went)
    assert went.gone == 1
    ask(qtbot, opened_session, freeze("head"))
    assert [entry.number for entry in leaving.unexported] == [2]
    ask(qtbot, opened_session, Undo())
    assert leaving.unexported == []
    scheme = Scheme(name="zeros_")
    ask(
        qtbot,
        opened_session,
        Initialize(selection=Selection(patterns=["head"]), scheme=scheme, seed=1),
    )
    assert [entry.kind for entry in leaving.unexported] == ["initialize"]


def test_what_came_from_a_checkpoint_is_in_a_file(qtbot, opened_session, leaving, went):
    ask(qtbot, opened_session, LoadState(path="w.safetensors", fit=True))
    leave(leaving, went)
    assert went.gone == 1
    ask(qtbot, opened_session, ApplyRequiresGrad(path="w.safetensors"))
    assert leaving.unexported == []
    ask(qtbot, opened_session, freeze("body.0"))
    assert [entry.kind for entry in leaving.unexported] == ["load", "requires_grad", "freeze"]


def test_without_a_process_there_is_nothing_to_export(
    qtbot, opened_session, leaving, notices, went
):
    ask(qtbot, opened_session, freeze("body.0"))
    opened_session.lose()
    leave(leaving, went)
    assert "only a restart" in notices.text
    assert {b.text() for b in notices.findChildren(QPushButton) if not b.isHidden()} == {
        "Discard and close the window",
        "Cancel",
    }


def test_a_restart_of_the_same_target_keeps_what_was_exported(
    qtbot, opened_session, leaving, notices, went
):
    opened_session.restart_and_replay()  # the first opening was not seen from here
    qtbot.waitUntil(lambda: not opened_session.pending)
    ask(qtbot, opened_session, freeze("body.0"))
    ask(qtbot, opened_session, Export(path="x.safetensors"))
    opened_session.restart_and_replay()
    qtbot.waitUntil(lambda: not opened_session.pending)
    assert [entry.title for entry in opened_session.journal] == ["Freeze rows"]
    assert leaving.unexported == []
    opened_session.backend.fingerprint = "another"
    opened_session.restart_and_replay()
    qtbot.waitUntil(lambda: not opened_session.pending)
    assert len(leaving.unexported) == 1


def test_what_a_file_gave_is_not_lost(qtbot, opened_session, leaving, notices, went):
    ask(qtbot, opened_session, LoadState(path="/x/w.pt", fit=True))
    leave(leaving, went)
    assert went.gone == 1
    ask(qtbot, opened_session, freeze("head"))
    leave(leaving, went)
    assert went.gone == 1
    assert "1 edit before it are in no file yet" in notices.text
