"""When records are asked for, with a session that answers when it is told to."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject, Signal

from inspector_app.gui.client.records import INTERVAL, RecordsFeed
from inspector_app.protocol import messages as m
from tests.gui.fake_backend import make_records
from tests.gui.loops import loop_in

STATE = loop_in(1)


class Session(QObject):
    """Keeps what is to be called with the answer to each request."""

    asked = Signal(object)
    answered = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.results = []
        self.sequence = 0

    def request(self, request, on_result, on_error=None, label=""):
        assert request.since == self.sequence
        self.results.append(on_result)
        return len(self.results)

    def answer(self, training: m.TrainingState | None = None) -> None:
        """Give one record to the newest request."""
        self.sequence += 1
        records = make_records([], np.arange(self.sequence - 1, self.sequence))
        self.results[-1](msgspec.structs.replace(records, training=training))


@pytest.fixture
def session(qtbot):
    return Session()


@pytest.fixture
def feed(session):
    """One that fetches only when a test says so."""
    feed = RecordsFeed(session)
    session.answered.emit(m.Watch(rows=[4]), m.Watching(rows=[4], series=[]))
    session.asked.emit(m.Run(repeat=0))
    assert feed.active
    feed._timer.setInterval(1_000_000)
    yield feed
    feed.stop()
    feed.deleteLater()


def test_one_request_is_in_the_air_at_a_time(session, feed):
    feed.fetch()
    feed.fetch()
    assert len(session.results) == 1


def test_after_an_answer_in_time_the_next_request_waits_for_its_turn(session, feed):
    feed.fetch()
    session.answer()
    assert len(session.results) == 1
    feed.fetch()
    session.answer()
    assert len(session.results) == 2


def test_after_a_late_answer_the_next_request_follows_at_once(session, feed):
    feed.fetch()
    feed.fetch()  # was due while the answer was on its way
    session.answer()
    assert len(session.results) == 2
    session.answer()
    assert len(session.results) == 2


def test_a_rate_that_stays_does_not_put_off_the_next_request(session, feed, monkeypatch):
    set_to = []
    timer = feed._timer
    original = timer.setInterval
    monkeypatch.setattr(
        timer, "setInterval", lambda interval: (set_to.append(interval), original(interval))
    )
    for state in (STATE, STATE, msgspec.structs.replace(STATE, rate=10)):
        feed.fetch()
        session.answer(state)
    assert set_to == [INTERVAL, 100]


def test_a_late_answer_of_a_former_backend_asks_for_nothing(session, feed):
    feed.fetch()
    feed.fetch()
    feed.begin_again()
    session.answer()
    assert len(session.results) == 1
