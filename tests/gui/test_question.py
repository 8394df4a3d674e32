from __future__ import annotations

import pytest

from inspector_app.gui.panels.question import Question
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import DescribeRow


@pytest.fixture
def heard() -> list:
    return []


def settle(qtbot, session) -> None:
    qtbot.waitUntil(lambda: not session.pending)


def test_the_newest_answer_is_the_only_one_heard(qtbot, opened_session, heard):
    question = Question(opened_session)
    opened_session.hold()
    for row in (5, 6):
        question.ask(DescribeRow(row=row), lambda detail: heard.append(detail.row), heard.append)
    assert question.waiting
    assert len(opened_session.cancelled) == 1
    opened_session.release()
    settle(qtbot, opened_session)
    assert heard == [6]
    assert not question.waiting


def test_what_is_dropped_is_cancelled_and_not_heard(qtbot, opened_session, heard):
    question = Question(opened_session)
    question.ask(DescribeRow(row=5), heard.append, heard.append)
    question.drop()
    assert not question.waiting
    settle(qtbot, opened_session)
    assert heard == []
    question.drop()  # nothing to drop
    assert len(opened_session.cancelled) == 1


def test_an_error_is_heard(qtbot, opened_session, heard):
    opened_session.answers[DescribeRow] = RequestError("No.")
    question = Question(opened_session)
    question.ask(DescribeRow(row=5), heard.append, lambda error: heard.append(error.sentence))
    settle(qtbot, opened_session)
    assert heard == ["No."]
    assert not question.waiting
