"""The server proves its peers, answers every request once and survives bad ones."""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
import socket
import threading
import time

import pytest

from inspector_app.backend.jobs import ThreadExecutor
from inspector_app.backend.server import MAX_STRANGERS, Server
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RequestError
from tests.backend.wire import Peer

TOKEN = secrets.token_bytes(32)


class StubSession:
    """Answers from a table; the real one is tested on its own."""

    def __init__(self) -> None:
        self.id = "stub"
        self.revision = 7
        self.release = threading.Event()

    def handle(self, request, job=None):
        if isinstance(request, m.Measure):  # a long job
            while not self.release.is_set():
                job.progress(1, 10, "Measuring")
                job.check()
                time.sleep(0.001)
            return m.Done()
        if isinstance(request, m.DescribeRow):
            raise RequestError("Row 5 is not in the tree any more.")
        if isinstance(request, m.Undo):
            raise ZeroDivisionError("ours")
        if isinstance(request, m.Redo):
            raise SystemExit(1)
        if isinstance(request, m.GetRecords):
            return m.Done()
        return m.InputForm(provided=True, fields=[])


@pytest.fixture(params=["unix", "tcp"])
def served(request, tmp_path):
    session = StubSession()
    executor = ThreadExecutor()
    server = Server(session, executor, TOKEN)
    address = server.start(str(tmp_path / "socket") if request.param == "unix" else "")
    thread = threading.Thread(target=executor.run_forever)
    thread.start()
    yield session, address
    session.release.set()
    server.stop()
    executor.close()
    thread.join(5)
    assert not thread.is_alive()


def test_every_request_has_its_answer(served):
    _, address = served
    with Peer(address, TOKEN) as peer:
        assert peer.result(m.DescribeInputs()).provided
        answer = peer.answer(peer.ask(m.DescribeRow(row=5)))
        assert (answer.kind, answer.sentence) == ("request", "Row 5 is not in the tree any more.")
        assert answer.revision == 7


def test_only_loopback_and_a_private_socket(served):
    _, address = served
    kind, _, place = address.partition(":")
    if kind == "tcp":
        assert place.startswith("127.0.0.1:")
    else:
        import os

        assert os.stat(place).st_mode & 0o077 == 0


def test_our_mistakes_are_told_as_such(served):
    _, address = served
    with Peer(address, TOKEN) as peer:
        answer = peer.answer(peer.ask(m.Undo()))
        assert answer.kind == "internal"
        assert "ZeroDivisionError" in answer.detail
        answer = peer.answer(peer.ask(m.Redo()))
        assert answer.kind == "model"
        assert "sys.exit" in answer.sentence


def test_cancel_and_records_while_a_job_runs(served):
    _, address = served
    with Peer(address, TOKEN) as peer:
        job = peer.ask(m.Measure(row=1))
        while not isinstance(peer.receive(), m.Progress):
            pass
        assert isinstance(peer.result(m.GetRecords()), m.Done)
        peer.result(m.CancelJob(request=job))
        assert peer.answer(job).kind == "cancelled"


def test_a_waiting_request_is_told_of(served):
    session, address = served
    with Peer(address, TOKEN) as peer:
        peer.ask(m.Measure(row=1))
        waiting = peer.ask(m.DescribeInputs())
        while True:
            message = peer.receive()
            if isinstance(message, m.Progress) and message.id == waiting:
                assert message.label.startswith("Waiting")
                break
        session.release.set()
        assert isinstance(peer.answer(waiting), m.Answer)


def test_a_peer_that_goes_cancels_its_jobs(served):
    _, address = served
    with Peer(address, TOKEN) as peer:
        peer.ask(m.Measure(row=1))
        peer.result(m.GetRecords())
    with Peer(address, TOKEN) as other:  # the executor is free again
        assert other.result(m.DescribeInputs()).provided


def test_another_sessions_request_is_refused(served):
    _, address = served
    with Peer(address, TOKEN) as peer:
        answer = peer.answer(peer.ask(m.DescribeInputs(), session="other"))
        assert answer.kind == "protocol"


@pytest.mark.parametrize(
    "token",
    [b"", b"wrong", TOKEN[:-1], TOKEN + b"x"],
    ids=["empty", "wrong", "shorter", "longer"],  # the same in each process that runs tests
)
def test_without_the_token_nothing_is_learned(served, token):
    _, address = served
    with Peer(address, token, greet=False) as peer:
        challenge = peer.receive()
        assert isinstance(challenge, m.Challenge)
        peer.send(m.Hello(m.PROTOCOL_VERSION, b"n", secrets.token_bytes(32)))
        assert peer.closed()


def test_a_proof_cannot_be_replayed(served):
    _, address = served
    import hmac

    with Peer(address, TOKEN, greet=False) as first:
        nonce = first.receive().nonce
        proof = hmac.new(TOKEN, b"client" + nonce, "sha256").digest()
    with Peer(address, TOKEN, greet=False) as second:
        second.receive()
        second.send(m.Hello(m.PROTOCOL_VERSION, b"n", proof))
        assert second.closed()


def test_a_request_before_the_proof_is_cut_off(served):
    _, address = served
    with Peer(address, TOKEN, greet=False) as peer:
        peer.receive()
        peer.session = "stub"
        peer.ask(m.DescribeInputs())
        assert peer.closed()


def test_another_version_is_told_to_who_holds_the_token(served):
    _, address = served
    with Peer(address, TOKEN, greet=False) as peer:
        welcome = peer.greet(version=m.PROTOCOL_VERSION + 1)
        assert "same version" in welcome.error
        assert peer.closed()


def test_garbage_does_no_harm(served):
    _, address = served
    chance = random.Random(0)
    good = b"".join(framing.encode(m.Ask("stub", 1, m.DescribeInputs())))
    for attempt in range(120):
        kind = attempt % 4
        if kind == 0:
            data = chance.randbytes(chance.randrange(1, 200))
        elif kind == 1:
            spoiled = bytearray(good)
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
            data = bytes(spoiled)
        elif kind == 2:
            data = (0xFFFFFFFF).to_bytes(4, "little") + b"x" * 100
        else:
            data = good[: chance.randrange(len(good))]
        with Peer(address, TOKEN, greet=attempt % 2 == 0) as peer:
            peer.send_bytes(data)
    with Peer(address, TOKEN) as peer:
        assert peer.result(m.DescribeInputs()).provided


def test_silent_strangers_do_not_lock_out_for_ever(served, monkeypatch):
    monkeypatch.setattr("inspector_app.backend.server.HANDSHAKE_SECONDS", 0.2)
    _, address = served
    strangers = [Peer(address, TOKEN, greet=False) for _ in range(MAX_STRANGERS + 4)]
    time.sleep(0.5)
    try:
        with Peer(address, TOKEN) as peer:
            assert peer.result(m.DescribeInputs()).provided
    finally:
        for stranger in strangers:
            stranger.close()


def test_it_starts_where_a_loop_of_events_runs_already(tmp_path):
    """As in each cell of a notebook."""

    async def cell() -> None:
        server = Server(StubSession(), ThreadExecutor(), TOKEN)
        with Peer(server.start(str(tmp_path / "socket")), TOKEN, greet=False):
            server.stop()

    asyncio.run(cell())


def test_a_place_that_cannot_be_listened_at_leaves_no_thread(tmp_path):
    server = Server(StubSession(), ThreadExecutor(), TOKEN)
    with pytest.raises(FileNotFoundError):
        server.start(str(tmp_path / "missing" / "socket"))
    server.stop()
    assert "inspector-server" not in [thread.name for thread in threading.enumerate()]


def test_who_comes_while_the_server_stops_is_closed(tmp_path):
    """asyncio forgets a connection that is accepted while its listener is closed."""
    for attempt in range(40):
        place = str(tmp_path / str(attempt))
        server = Server(StubSession(), ThreadExecutor(), TOKEN)
        server.start(place)
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(place)
            server.stop()
    gc.collect()  # warns of a transport that was not closed
