"""The conversation with another rank, over a real socket, with a session of plain data."""

from __future__ import annotations

import secrets
import socket
import threading
from contextlib import suppress

import pytest

from inspector_app.gui.client import rank_session
from inspector_app.gui.client.rank_session import RankSession
from inspector_app.protocol.errors import ConnectionLost, RequestError
from inspector_app.protocol.messages import GetRecords, Opened, Records, Watch
from tests.gui.fake_worker import Worker

TOKEN = secrets.token_hex(32)


class Server:
    """Listens; serves whoever comes with a worker of plain data, or only listens."""

    def __init__(self, path: str, serves: bool) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        self.peers: list[socket.socket] = []
        self.serves = serves
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        peer, _ = self.socket.accept()
        self.peers.append(peer)
        if self.serves:
            Worker(peer, bytes.fromhex(TOKEN)).serve()
            self.hang_up()

    def hang_up(self) -> None:
        with suppress(OSError):  # the other side was faster
            self.peers[0].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # an accept under way fails
        self.thread.join()
        for one in (*self.peers, self.socket):
            one.close()


@pytest.fixture
def serve(tmp_path):
    """Start a server; its address."""
    servers = []

    def serve(serves: bool = True) -> tuple[Server, str]:
        servers.append(Server(str(tmp_path / "socket"), serves))
        return servers[-1], f"unix:{tmp_path / 'socket'}"

    yield serve
    for server in servers:
        server.close()


class Heard:
    def __init__(self, session: RankSession) -> None:
        self.joined: list[Opened] = []
        self.ended: list[str] = []
        self.answered: list[tuple[type, object]] = []
        session.joined.connect(self.joined.append)
        session.ended.connect(self.ended.append)
        session.answered.connect(lambda request, result: self.answered.append((request, result)))


@pytest.fixture
def speak(qtbot):
    """Start a conversation with an address."""
    made = []

    def speak(address: str, token: str = TOKEN) -> tuple[RankSession, Heard]:
        session = RankSession(address, token)
        made.append(session)
        heard = Heard(session)
        session.start()
        return session, heard

    yield speak
    for session in made:
        session.leave()
        session.deleteLater()


def test_it_joins_asks_and_leaves(qtbot, serve, speak):
    server, address = serve()
    session, heard = speak(address)
    qtbot.waitUntil(lambda: bool(heard.joined))
    assert heard.joined[0].training
    results, errors = [], []
    session.request(GetRecords(), results.append)
    session.request(Watch(rows=[10**6]), results.append, errors.append)
    qtbot.waitUntil(lambda: bool(results and errors))
    assert isinstance(results[0], Records)
    assert isinstance(errors[0], RequestError)
    assert [type(request) for request, _ in heard.answered][1:] == [GetRecords, Watch]
    session.leave()
    server.thread.join(60)  # it was hung up on
    assert not server.thread.is_alive()
    assert heard.ended == []


def test_the_end_of_the_other_side_is_told_once_and_fails_what_was_asked(qtbot, serve, speak):
    server, address = serve()
    session, heard = speak(address)
    qtbot.waitUntil(lambda: bool(heard.joined))
    server.hang_up()
    errors = []
    session.request(GetRecords(), pytest.fail, errors.append)
    qtbot.waitUntil(lambda: bool(heard.ended))
    assert heard.ended == ["The training process has ended, or has closed its session."]
    assert [type(error) for error in errors] == [ConnectionLost]


def test_nobody_there(qtbot, speak, tmp_path):
    _, heard = speak(f"unix:{tmp_path}/nobody")
    qtbot.waitUntil(lambda: bool(heard.ended))
    assert heard.ended[0].startswith("Nobody answers at ")


def test_another_token(qtbot, serve, speak):
    _, address = serve()
    for token in ("ab" * 32, "no token"):
        _, heard = speak(address, token)
        qtbot.waitUntil(lambda heard=heard: bool(heard.ended))
        assert "token" in heard.ended[0]
        assert heard.joined == []


def test_somebody_who_never_answers(qtbot, serve, speak, monkeypatch):
    monkeypatch.setattr(rank_session, "JOINED_WITHIN", 50)
    _, address = serve(serves=False)
    _, heard = speak(address)
    qtbot.waitUntil(lambda: bool(heard.ended))
    assert heard.ended == ["It does not answer."]
