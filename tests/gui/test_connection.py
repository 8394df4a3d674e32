from __future__ import annotations

import hmac
import secrets

import numpy as np
import pytest
from PySide6.QtNetwork import QHostAddress, QLocalServer, QTcpServer

from inspector_app.gui.client.connection import DISCONNECTED, LARGEST_GREETING, Connection
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import ConnectionLost

TOKEN = secrets.token_hex(32)


class Peer:
    """A backend written out by hand, in the same event loop."""

    def __init__(self, qtbot, address: str, server) -> None:
        self.qtbot = qtbot
        self.server = server
        self.connection = Connection(address, TOKEN)
        self.messages: list = []
        self.ends: list[str] = []
        self.connection.message.connect(self.messages.append)
        self.connection.closed.connect(self.ends.append)
        self.connection.start()
        qtbot.waitUntil(server.hasPendingConnections)
        self.socket = server.nextPendingConnection()
        self.reader = framing.FrameReader()
        self.nonce = secrets.token_bytes(16)

    def write(self, data: bytes) -> None:
        self.socket.write(data)
        self.socket.flush()

    def send(self, message) -> None:
        self.write(b"".join(framing.encode(message)))

    def read(self, as_type):
        while True:
            self.qtbot.waitUntil(lambda: self.socket.bytesAvailable() > 0)
            for body in self.reader.feed(bytes(self.socket.readAll().data())):
                return framing.decode(body, as_type)

    def hello(self) -> m.Hello:
        self.send(m.Challenge(self.nonce))
        return self.read(m.Hello)

    def welcome(self, token: str = TOKEN, **fields) -> None:
        hello = self.hello()
        proof = hmac.digest(bytes.fromhex(token), b"server" + hello.nonce, "sha256")
        fields = {"version": m.PROTOCOL_VERSION, "session": "s1", "process": 42, **fields}
        self.send(m.Welcome(proof=proof, **fields))

    def open(self) -> None:
        with self.qtbot.waitSignal(self.connection.opened):
            self.welcome()

    def wait_for_the_end(self) -> str:
        self.qtbot.waitUntil(lambda: bool(self.ends))
        assert len(self.ends) == 1
        return self.ends[0]


@pytest.fixture(params=["unix", "tcp"])
def peer(request, qtbot, tmp_path):
    if request.param == "unix":
        server = QLocalServer()
        assert server.listen(str(tmp_path / "s"))
        address = f"unix:{server.fullServerName()}"
    else:
        server = QTcpServer()
        assert server.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost))
        address = f"tcp:127.0.0.1:{server.serverPort()}"
    peer = Peer(qtbot, address, server)
    yield peer
    peer.connection.close()
    peer.socket.close()
    server.close()
    for thing in (peer.connection, peer.socket, server):
        thing.deleteLater()


def test_both_sides_prove_that_they_hold_the_token(peer):
    opened = []
    peer.connection.opened.connect(opened.append)
    hello = peer.hello()
    expected = hmac.digest(bytes.fromhex(TOKEN), b"client" + peer.nonce, "sha256")
    assert (hello.version, hello.proof) == (m.PROTOCOL_VERSION, expected)
    assert TOKEN.encode() not in hello.proof + hello.nonce
    assert not peer.connection.session
    proof = hmac.digest(bytes.fromhex(TOKEN), b"server" + hello.nonce, "sha256")
    peer.send(m.Welcome(m.PROTOCOL_VERSION, proof, "s1", 42))
    peer.qtbot.waitUntil(lambda: bool(opened))
    assert (peer.connection.session, peer.connection.process) == ("s1", 42)


def test_a_server_without_the_token_gets_no_request(peer):
    peer.welcome(token=secrets.token_hex(32))
    assert "does not hold the session's token" in peer.wait_for_the_end()
    with pytest.raises(ConnectionLost):
        peer.connection.ask(m.Ask("s1", 1, m.Undo()))


def test_another_version_is_told_in_the_server_s_words(peer):
    peer.welcome(version=99, error="Update the window.")
    assert peer.wait_for_the_end() == "Update the window."


def test_a_server_that_hangs_up_on_the_proof_has_refused_it(peer):
    peer.hello()
    peer.socket.close()
    assert "refused" in peer.wait_for_the_end()


def test_messages_arrive_typed_and_in_order(peer):
    peer.open()
    peer.connection.ask(m.Ask("s1", 7, m.DescribeRow(row=3)))
    assert peer.read(m.Ask) == m.Ask("s1", 7, m.DescribeRow(row=3))
    sent = [
        m.Progress("s1", 7, 1, 2, "half"),
        m.Answer("s1", 7, 1, m.Done()),
        m.Failure("s1", 8, 1, "request", "No such row."),
        m.Log("s1", "word"),
    ]
    peer.write(b"".join(b"".join(framing.encode(message)) for message in sent))
    peer.qtbot.waitUntil(lambda: len(peer.messages) == 4)
    assert peer.messages == sent


def test_a_large_frame_arrives_in_pieces(peer):
    peer.open()
    change = np.arange(3_000_000, dtype=np.int32)
    planned = m.Planned(
        title="t", changes=change, tensors=1, elements=1, refused=[], notes=[], undoable=True
    )
    frame = b"".join(framing.encode(m.Answer("s1", 1, 0, planned)))
    for start in range(0, len(frame), 1_000_003):
        peer.write(frame[start : start + 1_000_003])
    peer.qtbot.waitUntil(lambda: bool(peer.messages))
    assert np.array_equal(peer.messages[0].result.changes, change)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xff\xff\xff",  # a frame over every limit
        b"\x08\0\0\0\xff\0\0\0\0\0\0\0",  # a header longer than its frame
        b"".join(framing.encode(m.Challenge(b"again"))),  # the wrong moment
        b"".join(framing.encode(m.Log("another session", "word"))),
    ],
)
def test_what_is_no_message_ends_the_conversation_with_a_sentence(peer, garbage):
    peer.open()
    peer.write(garbage + b"".join(framing.encode(m.Log("s1", "never heard"))))
    assert "what is not a message" in peer.wait_for_the_end()
    assert peer.messages == []


def test_a_stranger_may_not_send_much(peer):
    peer.write((LARGEST_GREETING + 1).to_bytes(4, "little"))
    assert "over the limit" in peer.wait_for_the_end()


def test_the_end_of_the_peer_is_told_once(peer):
    peer.open()
    peer.socket.close()
    assert peer.wait_for_the_end() == DISCONNECTED
    peer.connection.close()
    assert len(peer.ends) == 1


def test_closing_from_within_a_message_hears_nothing_more(peer):
    peer.open()
    peer.connection.message.connect(lambda _: peer.connection.close())
    log = b"".join(framing.encode(m.Log("s1", "word")))
    peer.write(log + log)
    assert peer.wait_for_the_end() == ""
    assert len(peer.messages) == 1


@pytest.mark.parametrize(
    "address",
    ["tcp:192.0.2.1:80", "tcp:0.0.0.0:80", "tcp:localhost:80", "tcp:127.0.0.1:", "http:x"],
)
def test_only_this_machine_is_an_address(qtbot, address):
    with pytest.raises(ConnectionLost):
        Connection(address, TOKEN)


@pytest.mark.parametrize("address", ["unix:/nonexistent/socket", "tcp:127.0.0.1:1"])
def test_nobody_there_is_told(qtbot, address):
    connection = Connection(address, TOKEN)
    with qtbot.waitSignal(connection.closed) as closed:
        connection.start()
    place = address.partition(":")[2]
    assert closed.args[0].startswith(f"Nobody answers at {place} (")
    assert "QLocalSocket" not in closed.args[0]
    connection.deleteLater()
