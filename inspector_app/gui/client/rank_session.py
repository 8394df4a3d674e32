"""A conversation with the session of another rank than the one that the window is attached to."""

from __future__ import annotations

import itertools

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.gui.client.pending import OnError, OnResult
from inspector_app.gui.client.remote import RemoteLink
from inspector_app.protocol.errors import ConnectionLost, InspectorError, error_of_kind
from inspector_app.protocol.messages import Answer, Attach, Failure, Log, Opened, Progress, Request

JOINED_WITHIN = 5000  # milliseconds
_SILENT = "It does not answer."


class RankSession(QObject):
    """Joins a session and carries requests to it, as :class:`ClientSession` does.

    ``joined(Opened)`` once it has answered; ``ended(sentence)`` once, unless :meth:`leave` came
    before.  ``asked`` and ``answered`` tell of all requests.
    """

    asked = Signal(object)
    answered = Signal(object, object)
    joined = Signal(object)
    ended = Signal(str)

    def __init__(self, address: str, token: str, parent: QObject | None = None) -> None:
        """``token``: the session's secret in hexadecimal digits."""
        super().__init__(parent)
        self._numbers = itertools.count(1)
        self._pending: dict[int, tuple[Request, OnResult, OnError]] = {}
        self._over = False
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(JOINED_WITHIN)
        self._patience.timeout.connect(lambda: self._end(_SILENT))
        self._link = RemoteLink(address, token, self)
        self._link.message.connect(self._take)
        self._link.ended.connect(lambda sentence, _: self._end(sentence))

    def start(self) -> None:
        """Connect and join."""
        self._patience.start()
        self.request(Attach(), self._joined, lambda error: self._end(error.sentence))
        self._link.start()

    def request(
        self,
        request: Request,
        on_result: OnResult,
        on_error: OnError | None = None,
        label: str = "",
    ) -> int:
        """Ask; one of the callbacks is called, unless :meth:`leave` came before."""
        number = next(self._numbers)
        self._pending[number] = request, on_result, on_error or _ignore
        self._link.ask(number, request)
        self.asked.emit(request)
        return number

    def leave(self) -> None:
        """End the conversation before this returns; nothing is told any more."""
        self._over = True
        self._patience.stop()
        self._pending.clear()
        self._link.kill()

    def _joined(self, opened: Opened) -> None:
        self._patience.stop()
        self.joined.emit(opened)

    def _take(self, message: Answer | Failure | Progress | Log) -> None:
        if not isinstance(message, Answer | Failure) or message.id not in self._pending:
            return
        request, on_result, on_error = self._pending.pop(message.id)
        if isinstance(message, Answer):
            on_result(message.result)
            self.answered.emit(request, message.result)
        else:
            error = error_of_kind(message.kind, message.sentence, message.detail)
            on_error(error)
            self.answered.emit(request, error)

    def _end(self, sentence: str) -> None:
        if self._over:
            return
        pending = self._pending
        self._pending = {}
        self.leave()
        for _, _, on_error in pending.values():
            on_error(ConnectionLost(sentence))
        self.ended.emit(sentence)


def _ignore(_: InspectorError) -> None:
    """Whoever asks without it does not mind."""
