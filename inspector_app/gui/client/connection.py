"""The connection to a backend: a local or loopback socket, frames, and the handshake.

Each side proves that it holds the session's token before the other says anything:
HMAC-SHA256 over the other side's random bytes (RFC 2104), so the token itself never travels.
"""

from __future__ import annotations

import hmac
import secrets

import msgspec
from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QAbstractSocket, QHostAddress, QLocalSocket, QTcpSocket

from inspector_app.protocol.errors import ConnectionLost, ProtocolError
from inspector_app.protocol.framing import MAX_FRAME, FrameReader, decode, encode
from inspector_app.protocol.messages import (
    PROTOCOL_VERSION,
    Answer,
    Ask,
    Challenge,
    Failure,
    Hello,
    Log,
    Progress,
    Welcome,
)

LARGEST_GREETING = 4096  # bytes of a frame from a peer that has proved nothing yet
DISCONNECTED = "The connection to the backend ended."
NONCE = 32  # bytes


class Connection(QObject):
    """One conversation with a backend, from the handshake to its end; never used twice.

    ``opened`` gives the session's id once both sides have proved themselves; ``message`` each
    Answer, Failure, Progress and Log of that session.  ``closed`` comes exactly once, with the
    reason as a sentence ("" after :meth:`close`).
    """

    opened = Signal(str)
    message = Signal(object)
    closed = Signal(str)

    def __init__(self, address: str, token: str, parent: QObject | None = None) -> None:
        """``address``: "unix:PATH" or "tcp:127.0.0.1:PORT"; raises ConnectionLost for another.

        ``token``: the session's secret in hexadecimal digits.
        """
        super().__init__(parent)
        self.session = ""
        self.process = 0  # id of the backend's process
        self._kind, _, self._place = address.partition(":")
        if self._kind == "tcp":
            _check_loopback(self._place)
        elif self._kind != "unix":
            raise ConnectionLost(f"“{address}” is no address of a backend.")
        self._token = bytes.fromhex(token)
        self._nonce = secrets.token_bytes(NONCE)
        self._reader = FrameReader(LARGEST_GREETING)
        self._greeted = False
        self._over = False
        self._socket: QLocalSocket | QTcpSocket
        self._socket = QLocalSocket(self) if self._kind == "unix" else QTcpSocket(self)
        self._socket.readyRead.connect(self._read)
        self._socket.disconnected.connect(self._disconnected)
        self._socket.errorOccurred.connect(self._failed)

    def start(self) -> None:
        """Connect; ``closed`` may come before this returns."""
        if isinstance(self._socket, QLocalSocket):
            self._socket.connectToServer(self._place)
        else:
            host, _, port = self._place.rpartition(":")
            self._socket.connectToHost(QHostAddress(host), int(port))
            self._socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)

    def ask(self, ask: Ask) -> None:
        """Send a request; raises ConnectionLost before the handshake and after the end."""
        if self._over or not self.session:
            raise ConnectionLost("There is no connection to the backend.")
        self._write(ask)

    def close(self) -> None:
        """End the conversation."""
        self._end("")

    # -- from the socket ---------------------------------------------------------------------------

    def _write(self, message: msgspec.Struct) -> None:
        self._socket.write(b"".join(encode(message)))

    def _read(self) -> None:
        try:
            for body in self._reader.feed(bytes(self._socket.readAll().data())):
                self._take(body)
        except ProtocolError as error:
            self._end(f"The backend sent what is not a message ({error.sentence})")

    def _take(self, body: bytes) -> None:
        if self._over:  # whoever heard the frame before closed the conversation
            return
        if self.session:
            message = decode(body, Answer | Failure | Progress | Log)
            if message.session != self.session:
                raise ProtocolError("A message belonged to another session.")
            self.message.emit(message)
        elif not self._greeted:
            self._greet(decode(body, Challenge))
        else:
            self._accept(decode(body, Welcome))

    def _greet(self, challenge: Challenge) -> None:
        self._greeted = True
        proof = hmac.digest(self._token, b"client" + challenge.nonce, "sha256")
        self._write(Hello(version=PROTOCOL_VERSION, nonce=self._nonce, proof=proof))

    def _accept(self, welcome: Welcome) -> None:
        proof = hmac.digest(self._token, b"server" + self._nonce, "sha256")
        if not hmac.compare_digest(proof, welcome.proof):
            self._end("The backend does not hold the session's token: nothing was sent to it.")
        elif welcome.error or welcome.version != PROTOCOL_VERSION:
            self._end(welcome.error or "The backend speaks another version of the protocol.")
        else:
            self._reader.limit = MAX_FRAME
            self.session, self.process = welcome.session, welcome.process
            self.opened.emit(welcome.session)

    def _disconnected(self) -> None:
        refused = self._greeted and not self.session
        self._end(
            "The backend refused the connection: the token is not the session's."
            if refused
            else DISCONNECTED
        )

    def _failed(self) -> None:
        if not self._greeted:  # else `disconnected` follows and says what it means
            reason = self._socket.errorString().removeprefix("QLocalSocket::connectToServer: ")
            self._end(f"Nobody answers at {self._place} ({reason}): the process may have ended.")

    def _end(self, sentence: str) -> None:
        if not self._over:
            self._over = True
            self._socket.abort()
            self.closed.emit(sentence)


def _check_loopback(place: str) -> None:
    host, _, port = place.rpartition(":")
    if not QHostAddress(host).isLoopback() or not port.isdecimal():
        raise ConnectionLost(f"“{place}” is not on this machine: only loopback is accepted.")
