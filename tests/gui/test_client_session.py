from __future__ import annotations

import os
import signal
from collections import defaultdict

import pytest

from inspector_app.gui.client import process as process_module
from inspector_app.gui.client import session as session_module
from inspector_app.gui.client.records import RecordsFeed
from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.client.session import ClientSession
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import Cancelled, ConnectionLost, RequestError, TargetError

SIGNALS = (
    "state_changed",
    "opened",
    "open_failed",
    "changed",
    "replayed",
    "lost",
    "job_started",
    "job_progress",
    "job_ended",
    "cancel_stuck",
    "answered",
    "notice",
    "output",
)


class Heard:
    """All signals of a session, by name."""

    def __init__(self, session: ClientSession) -> None:
        self.calls: dict[str, list[tuple]] = defaultdict(list)
        for name in SIGNALS:
            getattr(session, name).connect(self._noting(name))

    def _noting(self, name: str):
        return lambda *arguments: self.calls[name].append(arguments)

    def __getattr__(self, name: str) -> list[tuple]:
        return self.calls[name]


@pytest.fixture
def session(qtbot, worker_command, in_the_clone):
    session = ClientSession(command=worker_command)
    session.heard = Heard(session)
    yield session
    session.shutdown()
    session.deleteLater()


@pytest.fixture
def ready(qtbot, session) -> ClientSession:
    with qtbot.waitSignal(session.opened):
        session.open_target("model")
    return session


@pytest.fixture
def ask(qtbot, ready):
    """Ask and wait for the result, or for the error."""

    def ask(request: m.Request, label: str = ""):
        outcomes = []
        ready.request(request, outcomes.append, outcomes.append, label)
        assert outcomes == []  # never before the call returns
        qtbot.waitUntil(lambda: bool(outcomes))
        assert len(outcomes) == 1
        return outcomes[0]

    return ask


BODY = m.Selection(patterns=["body"])


def running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# -- opening ---------------------------------------------------------------------------------------


def test_nothing_is_open_at_first(qtbot, session):
    assert (session.state, session.target, session.process_id) == ("closed", None, 0)
    errors = []
    session.request(m.Undo(), errors.append, errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], ConnectionLost)
    assert session.restart() is None
    assert session.restart_and_replay() is None


def test_a_target_opens_in_a_worker_of_its_own(qtbot, session):
    with qtbot.waitSignal(session.opened) as opened:
        number = session.open_target("file.py:net", {"hidden": 8}, "meta", 3)
    assert session.target is opened.args[0]
    assert (session.target.target, session.target.arguments) == ("file.py:net", {"hidden": 8})
    assert (session.target.device, session.target.seed) == ("meta", 3)
    assert session.heard.state_changed == [("starting",), ("ready",)]
    assert session.heard.job_started == [(number, "Opening file.py:net")]
    assert session.heard.job_ended == [(number,)]
    first = session.process_id
    with qtbot.waitSignal(session.opened):
        session.open_target("another")
    assert session.process_id not in (0, first)
    qtbot.waitUntil(lambda: not running(first))
    assert session.heard.lost == []


def test_a_target_that_fails_to_open_leaves_the_one_before(qtbot, ready, ask):
    before, process = ready.target, ready.process_id
    ask(m.Freeze(selection=BODY))
    with qtbot.waitSignal(ready.open_failed) as failed:
        ready.open_target("fail")
    error = failed.args[0]
    assert isinstance(error, TargetError)
    assert (error.sentence, error.detail) == ("There is no such file.", "traceback")
    assert (ready.state, ready.target, ready.process_id) == ("ready", before, process)
    assert len(ready.journal) == 1
    assert isinstance(ask(m.DescribeRow(row=4)), m.Detail)


def test_the_first_target_may_fail_too(qtbot, session):
    with qtbot.waitSignal(session.open_failed):
        session.open_target("fail")
    assert session.state == "closed"
    assert session.heard.notice == []  # open_failed says it


def test_opening_another_target_gives_up_the_one_that_opens(qtbot, session):
    session.open_target("hang")
    with qtbot.waitSignal(session.opened) as opened:
        session.open_target("second")
    assert opened.args[0].target == "second"
    assert isinstance(session.heard.open_failed[0][0], Cancelled)
    assert session.state == "ready"


@pytest.mark.parametrize(
    ("target", "words"), [("die", "exit code 3"), ("abort", "SIGABRT"), ("garbage", "no")]
)
def test_a_worker_that_dies_while_it_opens(qtbot, ready, target, words):
    process = ready.process_id
    with qtbot.waitSignal(ready.open_failed) as failed:
        ready.open_target(target)
    error = failed.args[0]
    assert isinstance(error, ConnectionLost)
    assert words in error.sentence
    assert {"die": "last words", "abort": "behave", "garbage": ""}[target] in error.detail
    assert (ready.state, ready.process_id) == ("ready", process)
    assert ready.heard.lost == []


@pytest.mark.parametrize(
    ("manner", "words"),
    [("liar", "does not hold the session's token"), ("newer", "newer than the window")],
)
def test_a_worker_that_cannot_be_trusted(qtbot, session, monkeypatch, manner, words):
    monkeypatch.setenv("FAKE_WORKER", manner)
    with qtbot.waitSignal(session.open_failed) as failed:
        session.open_target("model")
    assert words in failed.args[0].sentence


def test_a_program_that_is_not_there(qtbot):
    session = ClientSession(command=["/nonexistent/python"])
    with qtbot.waitSignal(session.open_failed) as failed:
        session.open_target("model")
    assert failed.args[0].sentence == "The worker could not be started."
    assert session.state == "closed"
    session.shutdown()


def test_loopback_serves_as_well(qtbot, session, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "tcp")
    with qtbot.waitSignal(session.opened):
        session.open_target("model")


def test_what_is_printed_and_said_is_passed_on(qtbot, session):
    with qtbot.waitSignal(session.opened):
        session.open_target("loud")
    qtbot.waitUntil(lambda: ("printed by the model",) in session.heard.output)
    assert session.heard.notice == [("A word of the backend.", "info")]


# -- requests --------------------------------------------------------------------------------------


def test_answers_find_their_questions(qtbot, ready):
    rows, got = [4, 5, 1, 0], []
    for row in rows:
        ready.request(m.DescribeRow(row=row), lambda detail, row=row: got.append((row, detail.row)))
    qtbot.waitUntil(lambda: len(got) == len(rows))
    assert got == [(row, row) for row in rows]


def test_an_error_goes_to_whoever_asked_or_becomes_a_notice(qtbot, ready, ask):
    assert isinstance(ask(m.DescribeRow(row=999)), RequestError)
    ready.request(m.DescribeRow(row=999), pytest.fail)
    qtbot.waitUntil(lambda: bool(ready.heard.notice))
    assert ready.heard.notice == [("There is no row 999.", "warning")]


def test_an_edit_is_told_with_its_journal_and_revision(ready, ask):
    edited = ask(m.Freeze(selection=BODY), label="Freezing")
    assert ready.heard.changed == [(edited,)]
    assert ready.journal == edited.history
    assert ready.revision == 1
    assert len(edited.change.changed) == 4
    assert ready.heard.state_changed[-2:] == [("busy",), ("ready",)]


def test_an_answer_about_an_older_revision_is_asked_for_again(ready, ask):
    ask(m.Freeze(selection=BODY))
    assert isinstance(ask(m.DescribeRow(row=4)), m.Detail)  # the worker sent an old one first
    asked = [request for request, _ in ready.heard.answered]
    assert asked.count(m.DescribeRow(row=4)) == 1


def test_unlabelled_requests_are_no_jobs(ready, ask):
    ready.heard.calls.clear()
    ask(m.DescribeRow(row=4))
    assert not ready.heard.job_started
    assert not ready.heard.state_changed


def test_progress_and_cancel_of_a_job(qtbot, ready):
    errors = []
    run = ready.request(m.Run(repeat=0), pytest.fail, errors.append, "Running")
    qtbot.waitUntil(lambda: len(ready.heard.job_progress) > 2)
    number, done, total, label = ready.heard.job_progress[1]
    assert (number, done, total, label) == (run, 2, 0, "forward 2")
    assert ready.state == "busy"
    ready.cancel(run)
    qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], Cancelled)
    assert ready.state == "ready"
    assert ready.heard.job_ended[-1] == (run,)
    assert ready.heard.cancel_stuck == []
    ready.cancel(run)  # nothing to cancel any more


def test_a_cancel_that_is_not_obeyed_is_told_and_the_worker_can_be_ended(qtbot, ready, monkeypatch):
    monkeypatch.setattr(session_module, "OBEYED_WITHIN", 50)
    errors = []
    run = ready.request(m.Run(repeat=0, mode="train"), pytest.fail, errors.append, "Running")
    with qtbot.waitSignal(ready.cancel_stuck) as stuck:
        ready.cancel(run)
    assert stuck.args == [run]
    with qtbot.waitSignal(ready.lost):
        ready.end_worker(run)
    assert isinstance(errors[0], ConnectionLost)


def test_a_worker_that_has_said_nothing_yet_is_cancelled_at_once(qtbot, session, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "silent")
    number = session.open_target("model")
    with qtbot.waitSignal(session.open_failed) as failed:
        session.cancel(number)
    assert isinstance(failed.args[0], Cancelled)
    assert session.state == "closed"


def test_a_target_that_hangs_while_it_opens_can_be_ended(qtbot, ready, monkeypatch):
    monkeypatch.setattr(session_module, "OBEYED_WITHIN", 50)
    number = ready.open_target("hang")
    qtbot.waitUntil(lambda: ready._next.link.listening)
    with qtbot.waitSignal(ready.cancel_stuck):
        ready.cancel(number)
    with qtbot.waitSignal(ready.open_failed):
        ready.end_worker(number)
    assert ready.state == "ready"  # with the target before


# -- a lost worker ---------------------------------------------------------------------------------


def lose(qtbot, session: ClientSession) -> None:
    with qtbot.waitSignal(session.lost):
        os.kill(session.process_id, signal.SIGKILL)


def test_all_that_was_pending_fails_when_the_worker_dies(qtbot, ready):
    failed = []
    ready.request(m.Run(repeat=0), pytest.fail, lambda error: failed.append(error), "Running")
    ready.request(m.Run(repeat=0), pytest.fail, lambda error: failed.append(error), "Running")
    ready.request(m.Run(repeat=0), pytest.fail)  # would be a notice, but `lost` tells it
    lose(qtbot, ready)
    assert [type(error) for error in failed] == [ConnectionLost] * 2
    assert "SIGKILL" in failed[0].sentence
    assert (ready.state, ready.process_id) == ("lost", 0)
    assert ready.heard.notice == []
    assert len(ready.heard.lost) == 1
    # What is asked now fails too.
    ready.request(m.Undo(), pytest.fail, failed.append)
    qtbot.waitUntil(lambda: len(failed) == 3)


def test_the_edits_are_replayed_in_a_new_worker(qtbot, ready, ask):
    ask(m.Freeze(selection=BODY))
    ask(m.Initialize(selection=BODY, scheme=m.Scheme(name="zeros_"), seed=5))
    ask(m.Freeze(selection=m.Selection(patterns=["head"])))
    ask(m.Undo())
    lose(qtbot, ready)
    assert len(ready.journal) == 3
    with qtbot.waitSignal(ready.replayed) as replayed:
        ready.restart_and_replay()
    edited = replayed.args[0]
    assert [entry.kind for entry in edited.history] == ["freeze", "initialize"]
    assert edited.history[1].seed == 5
    assert ready.journal == edited.history
    assert ready.heard.changed[-1] == (edited,)
    assert len(ready.heard.opened) == 2
    assert ready.state == "ready"
    assert ready.heard.notice == []
    assert isinstance(ask(m.Undo()), m.Edited)


def test_a_restart_keeps_the_journal_until_it_has_worked(qtbot, ready, ask, monkeypatch):
    ask(m.Freeze(selection=BODY))
    lose(qtbot, ready)
    monkeypatch.setenv("FAKE_WORKER", "liar")
    with qtbot.waitSignal(ready.open_failed):
        ready.restart_and_replay()
    assert (ready.state, len(ready.journal)) == ("lost", 1)
    monkeypatch.delenv("FAKE_WORKER")
    with qtbot.waitSignal(ready.replayed):
        ready.restart_and_replay()
    assert len(ready.journal) == 1


def test_edits_that_cannot_be_replayed_are_kept_for_another_try(qtbot, ready, ask, monkeypatch):
    ask(m.Freeze(selection=BODY))
    lose(qtbot, ready)
    monkeypatch.setenv("FAKE_WORKER", "forgetful")
    with qtbot.waitSignal(ready.lost) as lost:
        ready.restart_and_replay()
    assert lost.args[0] == (
        "Its edits could not be carried out again: There is no file weights.pt."
    )
    assert (ready.state, len(ready.journal)) == ("lost", 1)
    assert ready.heard.replayed == []
    monkeypatch.delenv("FAKE_WORKER")
    with qtbot.waitSignal(ready.replayed):
        ready.restart_and_replay()
    assert (ready.state, len(ready.journal)) == ("ready", 1)


def test_loaded_states_are_replayed_as_well(qtbot, ready, ask):
    ask(m.LoadState(path="/x/w.pt", fit=True))
    lose(qtbot, ready)
    with qtbot.waitSignal(ready.replayed) as replayed:
        ready.restart_and_replay()
    (entry,) = replayed.args[0].history
    assert (entry.kind, entry.path, entry.fit) == ("load", "/x/w.pt", True)


def test_trust_is_a_word_for_one_target_and_its_restarts(qtbot, session):
    with qtbot.waitSignal(session.opened):
        session.open_target("model", trusted=True)
    assert session.target.trusted
    lose(qtbot, session)
    with qtbot.waitSignal(session.replayed):
        session.restart_and_replay()
    assert session.target.trusted
    with qtbot.waitSignal(session.opened):
        session.open_target("model")
    assert not session.target.trusted


def test_a_restart_without_edits_replays_nothing(qtbot, ready):
    lose(qtbot, ready)
    with qtbot.waitSignal(ready.replayed) as replayed:
        ready.restart_and_replay()
    assert replayed.args[0].history == []
    assert replayed.args[0].change.empty


def test_a_model_that_is_not_what_it_was_is_told(qtbot, session):
    with qtbot.waitSignal(session.opened):
        session.open_target("changed")
    lose(qtbot, session)
    with qtbot.waitSignal(session.replayed):
        session.restart_and_replay()
    (text, tone) = session.heard.notice[0]
    assert "not what it was" in text
    assert tone == "warning"


def test_a_plain_restart_takes_no_edits_along(qtbot, ready, ask):
    ask(m.Freeze(selection=BODY))
    with qtbot.waitSignal(ready.opened):
        ready.restart()
    assert ready.journal == []
    assert ready.heard.replayed == []


def test_shutdown_leaves_no_process(qtbot, ready, monkeypatch):
    first = ready.process_id
    ready.open_target("hang")
    qtbot.waitUntil(lambda: ready._next.link.listening)
    second = ready._next.link.process_id
    ready.shutdown()
    assert not running(first)
    assert not running(second)
    assert ready.heard.lost == ready.heard.open_failed == []
    assert ready.state == "closed"


def test_a_worker_that_outstays_is_killed_at_shutdown(qtbot, session, monkeypatch):
    monkeypatch.setattr(process_module, "PATIENCE", 50)
    monkeypatch.setenv("FAKE_WORKER", "stubborn")
    with qtbot.waitSignal(session.opened):
        session.open_target("model")
    process = session.process_id
    session.shutdown()
    assert not running(process)


# -- records ---------------------------------------------------------------------------------------


def test_records_are_fetched_while_watched_modules_run(qtbot, ready, ask):
    feed = RecordsFeed(ready)
    store = RecordsStore()
    feed.told.connect(store.add)
    ask(m.Watch(rows=[4, 7]))
    assert not feed.active  # nothing runs
    errors = []
    run = ready.request(m.Run(repeat=0), pytest.fail, errors.append)
    assert feed.active
    qtbot.waitUntil(lambda: store.size >= 3)
    ready.cancel(run)
    qtbot.waitUntil(lambda: bool(errors))
    assert not feed.active
    last = ask(m.GetRecords(since=0, limit=100_000))
    qtbot.waitUntil(lambda: store.next == last.next)
    fetched = [n for records in store.answers for n in records.sequence.tolist()]
    assert fetched == list(range(last.next))  # each once, in order, to the last
    assert store.gaps == []


def test_nothing_is_fetched_where_nothing_is_watched(qtbot, ready, ask):
    feed = RecordsFeed(ready)
    assert isinstance(ask(m.Run(repeat=3)), m.Ran)
    assert not feed.active
    asked = [request for request, _ in ready.heard.answered]
    assert not [request for request in asked if isinstance(request, m.GetRecords)]


def test_a_lost_worker_stops_the_feed_and_a_new_one_starts_it_from_zero(qtbot, ready, ask):
    feed = RecordsFeed(ready)
    told = []
    feed.told.connect(lambda records: told.extend(records.sequence.tolist()))
    ask(m.Watch(rows=[4]))
    ready.request(m.Run(repeat=0), pytest.fail, lambda error: None)
    qtbot.waitUntil(lambda: bool(told))
    lose(qtbot, ready)
    assert not feed.active
    with qtbot.waitSignal(ready.replayed):
        ready.restart_and_replay()
    told.clear()
    ask(m.Watch(rows=[4]))
    ready.request(m.Run(repeat=0), pytest.fail, lambda error: None)
    qtbot.waitUntil(lambda: bool(told))
    assert told[0] == 0
