"""A worker and the connection to it as one thing that takes requests until it ends."""

from __future__ import annotations

import os
import signal
from typing import cast

from PySide6.QtCore import QObject, Signal

from inspector_app.gui.client.connection import DISCONNECTED, Connection
from inspector_app.gui.client.process import WorkerProcess
from inspector_app.protocol.errors import ConnectionLost
from inspector_app.protocol.messages import AnyRequest, Ask, Request


class Link(QObject):
    """Starts a worker and speaks with it; requests made before it listens wait for it.

    ``message`` gives each Answer, Failure, Progress and Log.  ``ended`` comes exactly once, when
    the *process* is over (the connection breaks earlier, and says less), with a sentence and the
    last lines of the worker's standard error.
    """

    message = Signal(object)
    output = Signal(str)
    ended = Signal(str, str)

    def __init__(self, command: list[str] | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connection: Connection | None = None
        self._waiting: list[tuple[int, Request]] = []
        self._reason = ""
        self._process = WorkerProcess(self, command)
        self._process.ready.connect(self._connect)
        self._process.output.connect(self.output)
        self._process.ended.connect(self._process_ended)

    def start(self) -> None:
        """Start the worker."""
        self._process.start()

    @property
    def listening(self) -> bool:
        """Whether requests are sent as they are made."""
        return self._connection is not None and bool(self._connection.session)

    @property
    def process_id(self) -> int:
        """Of the worker; 0 where it does not run."""
        return self._process.process_id

    def ask(self, number: int, request: Request) -> None:
        """Send a request, now or as soon as the worker listens."""
        if self._connection is not None and self._connection.session:
            try:
                known = cast("AnyRequest", request)  # every request is one of these
                self._connection.ask(Ask(self._connection.session, number, known))
            except ConnectionLost:
                return  # the process ends as well, and that is when its requests fail
        else:
            self._waiting.append((number, request))

    def stop(self) -> None:
        """Let the worker end; what it still says is not heard."""
        self.message.disconnect()
        self._process.stop()

    def kill(self) -> None:
        """End the worker now."""
        self._process.kill()

    def stop_and_wait(self) -> None:
        """End the worker before this returns."""
        self._process.stop_and_wait()

    def _connect(self, address: str) -> None:
        try:
            self._connection = Connection(address, self._process.token, self)
        except ConnectionLost as error:
            self._broken(error.sentence)
            return
        self._connection.opened.connect(self._opened)
        self._connection.message.connect(self.message)
        self._connection.closed.connect(self._broken)
        self._connection.start()

    def _opened(self) -> None:
        waiting, self._waiting = self._waiting, []
        for number, request in waiting:
            self.ask(number, request)

    def _broken(self, sentence: str) -> None:
        """A worker nobody can speak with is of no use; most often it is dying already."""
        if sentence != DISCONNECTED:
            self._reason = sentence
        self._process.stop()

    def _process_ended(self, code: int, crashed: bool, last_lines: str) -> None:
        if self._connection is not None:
            self._connection.closed.disconnect(self._broken)
            self._connection.close()
        if self._reason:
            sentence = self._reason
        elif code < 0:
            sentence = "The worker could not be started."
        elif crashed:
            sentence = f"The worker crashed{_cause(code)}."
        else:
            sentence = f"The worker ended (exit code {code})."
        self.ended.emit(sentence, last_lines)


def _cause(code: int) -> str:
    """What ended a process that crashed: ": SIGSEGV (Segmentation fault)" of 11 on Unix."""
    if os.name == "nt":
        return ""
    try:
        return f": {signal.Signals(code).name} ({signal.strsignal(code)})"
    except ValueError:
        return f": signal {code}"
