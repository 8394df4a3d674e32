"""What takes requests for one backend until it ends: what links to workers and others share."""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

from PySide6.QtCore import QObject, Signal

from inspector_app.gui.client.connection import Connection
from inspector_app.protocol.errors import ConnectionLost
from inspector_app.protocol.messages import AnyRequest, Ask, Request


class Link(QObject):
    """Speaks with a session; requests made before the handshake wait for it.

    ``message`` gives each Answer, Failure, Progress and Log, ``output`` a line that the backend
    prints.  ``ended`` comes exactly once, with a sentence and its details.
    """

    message = Signal(object)
    output = Signal(str)
    ended = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connection: Connection | None = None
        self._waiting: list[tuple[int, Request]] = []

    @property
    def listening(self) -> bool:
        """Whether requests are sent as they are made."""
        return self._connection is not None and bool(self._connection.session)

    @property
    @abstractmethod
    def process_id(self) -> int:
        """Of the backend's process; 0 where there is none, or it is not known."""

    @abstractmethod
    def start(self) -> None:
        """Start, or connect."""

    def ask(self, number: int, request: Request) -> None:
        """Send a request, now or after the handshake."""
        if self._connection is not None and self._connection.session:
            try:
                known = cast("AnyRequest", request)  # every request is one of these
                self._connection.ask(Ask(self._connection.session, number, known))
            except ConnectionLost:
                return  # `ended` is on its way, and that is when requests fail
        else:
            self._waiting.append((number, request))

    def stop(self) -> None:
        """End it; what is still said is not heard."""
        self.message.disconnect()
        self._end()

    @abstractmethod
    def kill(self) -> None:
        """End it now."""

    @abstractmethod
    def stop_and_wait(self) -> None:
        """End it before this returns."""

    @abstractmethod
    def _end(self) -> None:
        """End it in its own time."""

    @abstractmethod
    def _closed(self, sentence: str) -> None:
        """The connection is over, or there is none."""

    def _connect(self, address: str, token: str) -> None:
        """Begin the conversation; raises ConnectionLost for a bad address, ValueError for a token.

        ``token``: the session's secret in hexadecimal digits.
        """
        self._connection = Connection(address, token, self)
        self._connection.opened.connect(self._opened)
        self._connection.message.connect(self.message)
        self._connection.closed.connect(self._closed)
        self._connection.start()

    def _opened(self) -> None:
        waiting, self._waiting = self._waiting, []
        for number, request in waiting:
            self.ask(number, request)
