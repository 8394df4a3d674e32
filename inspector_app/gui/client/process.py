"""The worker's process: how it is started, heard and ended.

The worker runs in a process of its own, so that a model that hangs, aborts or runs out of memory
takes down nothing but itself.  Its token goes through a pipe, never onto a command line, and the
pipe stays open: its end tells the worker that the window is gone.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections import deque

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTemporaryDir, QTimer, Signal

from inspector_app.starting import FIND_OURS, python_command

KEPT_LINES = 200
LONGEST_LINE = 8192  # characters; a progress bar may never end its line
LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 108 (104 on macOS) with the closing zero
PATIENCE = 1000  # milliseconds between asking the worker to end, telling it, and making it

_WORK = """
from inspector_app.backend.worker import main
main()
"""
BOOTSTRAP = FIND_OURS + _WORK  # the worker puts the user's folder in front afterwards


def worker_command() -> list[str]:
    """Program and arguments of the real worker."""
    return python_command(_WORK)


class Lines:
    """Cuts bytes into lines of text; a line without an end is given out once it grows too long."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Lines completed by ``data``."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def close(self) -> list[str]:
        """What stood behind the last line's end."""
        return self.feed(b"\n") if self._rest else []


class WorkerProcess(QObject):
    """One worker, from its start to its end; never used twice.

    ``ready`` gives the address the worker listens on ("unix:/path" or "tcp:127.0.0.1:PORT").
    ``ended`` comes exactly once, whatever the reason, with the exit code, whether it was a crash
    (or a failed start), and the last lines of standard error.  ``output`` gives each line that
    the worker or the user's code prints.
    """

    ready = Signal(str)
    output = Signal(str)
    ended = Signal(int, bool, str)

    def __init__(self, parent: QObject | None = None, command: list[str] | None = None) -> None:
        """``command`` replaces the real worker, in tests."""
        super().__init__(parent)
        self.token = secrets.token_hex(32)
        self._command = command or worker_command()
        self._folder = QTemporaryDir()  # nobody else may enter it
        self._out, self._err = Lines(), Lines()
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._is_ready = False
        self._over = False
        self._process = QProcess(self)
        self._process.setProcessEnvironment(_environment())
        self._process.readyReadStandardOutput.connect(self._read_output)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._failed)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE)
        self._patience.timeout.connect(self._insist)
        self._told = False

    def start(self) -> None:
        """Start the worker in the current folder, so that relative targets mean what they say."""
        self._process.start(self._command[0], self._command[1:])
        greeting = json.dumps({"token": self.token, "socket": self._socket_path()})
        self._process.write(greeting.encode() + b"\n")

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def process_id(self) -> int:
        """Of the worker; 0 where it does not run."""
        return int(self._process.processId())

    @property
    def last_lines(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._last)

    def stop(self) -> None:
        """Ask the worker to end; returns at once.  One that does not is terminated, then killed."""
        if self.running and not self._patience.isActive():
            self._process.closeWriteChannel()
            self._patience.start()

    def kill(self) -> None:
        """End the worker now, whatever it is doing."""
        if self.running:
            self._process.kill()

    def stop_and_wait(self) -> None:
        """End the worker before this returns (at most three times the patience): for the exit."""
        if not self.running:
            return
        self._patience.stop()
        self._process.closeWriteChannel()
        if self._process.waitForFinished(PATIENCE):
            return
        self._process.terminate()
        if self._process.waitForFinished(PATIENCE):
            return
        self._process.kill()
        self._process.waitForFinished(PATIENCE)

    # -- from the process --------------------------------------------------------------------------

    def _socket_path(self) -> str:
        """Of the Unix socket to make; "" where only loopback TCP will do."""
        path = self._folder.filePath("socket")
        if sys.platform == "win32" or not self._folder.isValid():
            return ""
        return path if len(path.encode()) <= LONGEST_SOCKET_PATH else ""

    def _read_output(self) -> None:
        self._tell(self._out.feed(bytes(self._process.readAllStandardOutput().data())))

    def _read_errors(self) -> None:
        self._note(self._err.feed(bytes(self._process.readAllStandardError().data())))

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            address = "" if self._is_ready else _address_in(line)
            if address:
                self._is_ready = True
                self.ready.emit(address)
            else:
                self.output.emit(line)

    def _note(self, lines: list[str]) -> None:
        for line in lines:
            self._last.append(line)
            self.output.emit(line)

    def _insist(self) -> None:
        if not self._told:
            self._told = True
            self._process.terminate()
            self._patience.start()
        else:
            self._process.kill()

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # the one that `finished` does not follow
            self._note([self._process.errorString()])
            self._end(-1, True)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read_output()
        self._read_errors()
        self._tell(self._out.close())
        self._note(self._err.close())
        self._end(code, status == QProcess.ExitStatus.CrashExit)

    def _end(self, code: int, crashed: bool) -> None:
        if not self._over:
            self._over = True
            self._patience.stop()
            self._folder.remove()
            self.ended.emit(code, crashed, self.last_lines)


def _environment() -> QProcessEnvironment:
    """That of the window; output comes line by line, and an abort leaves a trace on stderr."""
    environment = QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONIOENCODING", "utf-8:backslashreplace")
    environment.insert("PYTHONFAULTHANDLER", "1")
    return environment


def _address_in(line: str) -> str:
    """The address in the worker's first line of its own; "" in any other line."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    address = said.get("address", "") if isinstance(said, dict) else ""
    return address if isinstance(address, str) else ""
