"""The connection to a session that runs by itself: a training process, a notebook.

It takes the place of :class:`~inspector_app.gui.client.worker.WorkerLink`, whose worker belongs to
the window.  Here nothing is started and nothing is ended: to stop means to leave.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from inspector_app.gui.client.connection import DISCONNECTED
from inspector_app.gui.client.link import Link
from inspector_app.protocol.errors import ConnectionLost

_ENDED = "The training process has ended, or has closed its session."
_BAD_TOKEN = "The token is not one: it has 64 hexadecimal digits."


class RemoteLink(Link):
    """Speaks with a session at an address.

    ``output`` stays silent, since that process prints for itself.
    """

    def __init__(self, address: str, token: str, parent: QObject | None = None) -> None:
        """``token``: the session's secret in hexadecimal digits."""
        super().__init__(parent)
        self._address = address
        self._token = token
        self._over = False

    def start(self) -> None:
        """Connect."""
        try:
            self._connect(self._address, self._token)
        except (ConnectionLost, ValueError) as error:
            sentence = error.sentence if isinstance(error, ConnectionLost) else _BAD_TOKEN
            QTimer.singleShot(0, self, lambda: self._closed(sentence))

    @property
    def process_id(self) -> int:
        """Of the process that holds the session; 0 before the handshake and after the end."""
        return self._connection.process if self.listening and self._connection else 0

    def kill(self) -> None:
        """Leave now; the process goes on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def stop_and_wait(self) -> None:
        """Leave before this returns."""
        self.kill()

    def _end(self) -> None:
        self.kill()

    def _closed(self, sentence: str) -> None:
        if not self._over:
            self._over = True
            self.ended.emit(_ENDED if sentence in ("", DISCONNECTED) else sentence, "")
