"""A worker and the connection to it as one thing that takes requests until it ends."""

from __future__ import annotations

import os
import signal

from PySide6.QtCore import QObject

from inspector_app.gui.client.connection import DISCONNECTED
from inspector_app.gui.client.link import Link
from inspector_app.gui.client.process import WorkerProcess
from inspector_app.protocol.errors import ConnectionLost


class WorkerLink(Link):
    """Starts a worker and speaks with it.

    ``ended`` comes when the *process* is over (the connection breaks earlier, and says less), with
    the last lines of the worker's standard error.
    """

    def __init__(self, command: list[str] | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reason = ""
        self._process = WorkerProcess(self, command)
        self._process.ready.connect(self._listens)
        self._process.output.connect(self.output)
        self._process.ended.connect(self._process_ended)

    def start(self) -> None:
        """Start the worker."""
        self._process.start()

    @property
    def process_id(self) -> int:
        """Of the worker; 0 where it does not run."""
        return self._process.process_id

    def kill(self) -> None:
        """End the worker now."""
        self._process.kill()

    def stop_and_wait(self) -> None:
        """End the worker before this returns."""
        self._process.stop_and_wait()

    def _end(self) -> None:
        self._process.stop()

    def _listens(self, address: str) -> None:
        try:
            self._connect(address, self._process.token)
        except ConnectionLost as error:
            self._closed(error.sentence)

    def _closed(self, sentence: str) -> None:
        """A worker nobody can speak with is of no use; most often it is dying already."""
        if sentence != DISCONNECTED:
            self._reason = sentence
        self._process.stop()

    def _process_ended(self, code: int, crashed: bool, last_lines: str) -> None:
        if self._connection is not None:
            self._connection.closed.disconnect(self._closed)
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
