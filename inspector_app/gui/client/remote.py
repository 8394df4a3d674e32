"""The connection to a session that runs by itself: a training process, a notebook.

It takes the place of :class:`~inspector_app.gui.client.link.Link`, whose worker belongs to the
window.  Here nothing is started and nothing is ended: to stop means to leave.
"""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.gui.client.connection import DISCONNECTED, Connection
from inspector_app.protocol.errors import ConnectionLost
from inspector_app.protocol.messages import AnyRequest, Ask, Request

_ENDED = "The training process has ended, or has closed its session."


class RemoteLink(QObject):
    """Speaks with a session at an address; requests made before the handshake wait for it.

    The signals are those of a link; ``output`` stays silent, since that process prints for itself.
    """

    message = Signal(object)
    output = Signal(str)
    ended = Signal(str, str)

    def __init__(self, address: str, token: str, parent: QObject | None = None) -> None:
        """``token``: the session's secret in hexadecimal digits."""
        super().__init__(parent)
        self._address = address
        self._token = token
        self._connection: Connection | None = None
        self._waiting: list[tuple[int, Request]] = []
        self._over = False

    def start(self) -> None:
        """Connect."""
        try:
            self._connection = Connection(self._address, self._token, self)
        except (ConnectionLost, ValueError) as error:
            sentence = error.sentence if isinstance(error, ConnectionLost) else _BAD_TOKEN
            QTimer.singleShot(0, self, lambda: self._closed(sentence))
            return
        self._connection.opened.connect(self._opened)
        self._connection.message.connect(self.message)
        self._connection.closed.connect(self._closed)
        self._connection.start()

    @property
    def listening(self) -> bool:
        """Whether requests are sent as they are made."""
        return self._connection is not None and bool(self._connection.session)

    @property
    def process_id(self) -> int:
        """Of the process that holds the session; 0 before the handshake and after the end."""
        return self._connection.process if self.listening and self._connection else 0

    def ask(self, number: int, request: Request) -> None:
        """Send a request, now or after the handshake."""
        if self._connection is not None and self._connection.session:
            try:
                known = cast("AnyRequest", request)  # every request is one of these
                self._connection.ask(Ask(self._connection.session, number, known))
            except ConnectionLost:
                return  # `ended` is on its way
        else:
            self._waiting.append((number, request))

    def stop(self) -> None:
        """Leave; what is still said is not heard."""
        self.message.disconnect()
        self.kill()

    def kill(self) -> None:
        """Leave now; the process goes on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def stop_and_wait(self) -> None:
        """Leave before this returns."""
        self.kill()

    def _opened(self) -> None:
        waiting, self._waiting = self._waiting, []
        for number, request in waiting:
            self.ask(number, request)

    def _closed(self, sentence: str) -> None:
        if not self._over:
            self._over = True
            self.ended.emit(_ENDED if sentence in ("", DISCONNECTED) else sentence, "")


_BAD_TOKEN = "The token is not one: it has 64 hexadecimal digits."
