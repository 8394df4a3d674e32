"""A blocking peer of the server, for tests."""

from __future__ import annotations

import hmac
import secrets
import socket
from typing import Any

from inspector_app.protocol import framing
from inspector_app.protocol import messages as m


class Peer:
    """Connects, proves itself and asks, one request at a time or several in flight."""

    def __init__(self, address: str, token: bytes, *, greet: bool = True) -> None:
        kind, _, place = address.partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(place)
        else:
            host, port = place.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(30)
        self.session = ""
        self.token = token
        self.number = 0
        self.messages: list[Any] = []
        if greet:
            self.greet()

    def greet(self, version: int = m.PROTOCOL_VERSION) -> m.Welcome:
        challenge = self.receive()
        assert isinstance(challenge, m.Challenge)
        nonce = secrets.token_bytes(32)
        proof = hmac.new(self.token, b"client" + challenge.nonce, "sha256").digest()
        self.send(m.Hello(version, nonce, proof))
        welcome = self.receive()
        assert welcome.proof == hmac.new(self.token, b"server" + nonce, "sha256").digest()
        self.session = welcome.session
        return welcome

    def send(self, message: Any) -> None:
        self.send_bytes(b"".join(framing.encode(message)))

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the server closed the connection")
            data += piece
        return bytes(data)

    def receive(self) -> Any:
        size = int.from_bytes(self._exactly(4), "little")
        return framing.decode(self._exactly(size), m.FromServer)

    def ask(self, request: Any, session: str | None = None) -> int:
        self.number += 1
        self.send(m.Ask(self.session if session is None else session, self.number, request))
        return self.number

    def answer(self, number: int) -> m.Answer | m.Failure:
        """The answer to one request; all that comes before it is kept in ``messages``."""
        while True:
            message = self.receive()
            if isinstance(message, m.Answer | m.Failure) and message.id == number:
                return message
            self.messages.append(message)

    def result(self, request: Any) -> Any:
        answer = self.answer(self.ask(request))
        assert isinstance(answer, m.Answer), answer
        return answer.result

    def closed(self) -> bool:
        """Whether the server closes without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
