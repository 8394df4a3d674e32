"""A stand-in for ClientSession that answers from plain data, for tests of panels and the window.

It has the signals, properties and methods of ``inspector_app.gui.client.session.ClientSession``.
Every answer comes from the event loop, as the real ones do.  A test may replace an answer
(``session.answers[Measure] = RefusedError("...")``), hold answers back (``session.hold()`` ...
``session.release()``), send progress (``session.progress``) and end the worker (``session.lose``).
``session.requests`` lists all that was asked; ``session.backend`` holds the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.gui.client.pending import Remote
from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError
from inspector_app.protocol.messages import (
    Attach,
    Edited,
    JournalEntry,
    Open,
    Opened,
    Ran,
    Replay,
    Request,
    Run,
)
from inspector_app.protocol.table import RowTable
from tests.gui.fake_backend import FakeBackend


class FakeSession(QObject):
    state_changed = Signal(str)
    opened = Signal(object)
    open_failed = Signal(object)
    changed = Signal(object)
    replayed = Signal(object)
    lost = Signal(str, str)
    job_started = Signal(int, str)
    job_progress = Signal(int, object, object, str)
    job_ended = Signal(int)
    cancel_stuck = Signal(int)
    asked = Signal(object)
    answered = Signal(object, object)
    notice = Signal(str, str)
    output = Signal(str)

    def __init__(self, table: RowTable | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.backend = FakeBackend(table)
        self.answers: dict[type[Request], Any] = {}  # a result, an error, or a function of both
        self.requests: list[Request] = []
        self.state = "closed"
        self.target: Opened | None = None
        self.journal: list[JournalEntry] = []
        self.revision = 0
        self.process_id = 0
        self.remote: Remote | None = None
        self.cancelled: list[int] = []
        self.stopped = False
        self._numbers = itertools.count(1)
        self._held: list[Callable[[], None]] | None = None
        self._pending: dict[int, tuple[Request, Any, Any, str]] = {}
        self._open: Open | Attach | None = None

    # -- as ClientSession --------------------------------------------------------------------------

    def open_target(self, target, arguments=None, device="cpu", seed=0, trusted=False) -> int:
        self._open = Open(
            target=target, arguments=arguments or {}, device=device, seed=seed, trusted=trusted
        )
        self._set_state("starting")
        return self.request(self._open, self._opened, self._open_failed, f"Opening {target}")

    def attach(self, address, token) -> int:
        self.remote = Remote(address, token)
        self.backend.live = True
        self._open = Attach()
        self._set_state("starting")
        return self.request(self._open, self._opened, self._open_failed, f"Attaching to {address}")

    def restart(self) -> int | None:
        if self._open is None:
            return None
        self._set_state("starting")
        return self.request(self._open, self._opened, self._open_failed, "Opening again")

    def restart_and_replay(self) -> int | None:
        if self._open is None:
            return None
        done = [entry for entry in self.journal if entry.done]

        def replay(opened: Opened) -> None:
            self._opened(opened)
            self.request(Replay(entries=done), self.replayed.emit, label="Replaying edits")

        self._set_state("starting")
        return self.request(self._open, replay, self._open_failed, f"Opening {self._open.target}")

    def request(self, request, on_result, on_error=None, label="") -> int:
        number = next(self._numbers)
        self.requests.append(request)
        self._pending[number] = (request, on_result, on_error, label)
        self.asked.emit(request)
        if label:
            self.job_started.emit(number, label)
            if not isinstance(request, Open):
                self._set_state("busy")
        endless = isinstance(request, Run) and request.repeat == 0
        if not endless:
            self._later(lambda: self._answer(number))
        return number

    def cancel(self, request_id: int) -> None:
        if request_id in self._pending:
            self.cancelled.append(request_id)
            self._later(lambda: self._finish(request_id, Cancelled()))

    def end_worker(self, request_id: int | None = None) -> None:
        self._later(lambda: self.lose("The worker crashed: SIGKILL (Killed)."))

    def shutdown(self) -> None:
        self.stopped = True
        self._pending.clear()

    # -- for tests ---------------------------------------------------------------------------------

    @property
    def pending(self) -> list[int]:
        """Ids of requests that have no answer yet."""
        return list(self._pending)

    def hold(self) -> None:
        """Answer nothing until :meth:`release`."""
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for answer in held:
            answer()

    def progress(self, number: int, done: int, total: int, label: str) -> None:
        self.job_progress.emit(number, done, total, label)

    def lose(self, sentence: str = "The worker crashed.", detail: str = "last line") -> None:
        """Let the worker die."""
        for number in list(self._pending):
            self._finish(number, ConnectionLost(sentence, detail))
        self._set_state("lost")
        self.lost.emit(sentence, detail)

    # -- answers -----------------------------------------------------------------------------------

    def _later(self, call: Callable[[], None]) -> None:
        if self._held is None:
            QTimer.singleShot(0, self, call)
        else:
            self._held.append(call)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)

    def _opened(self, opened: Opened) -> None:
        self.target, self.journal = opened, []
        self._set_state("ready")
        self.opened.emit(opened)

    def _open_failed(self, error: InspectorError) -> None:
        self._set_state("closed" if self.target is None else "ready")
        self.open_failed.emit(error)

    def _answer(self, number: int) -> None:
        if number not in self._pending:
            return
        request = self._pending[number][0]
        answer = self.answers.get(type(request), self.backend.answer)
        if callable(answer):
            try:
                answer = answer(request)
            except InspectorError as error:
                answer = error
        self._finish(number, answer)

    def _finish(self, number: int, outcome: Any) -> None:
        if number not in self._pending:
            return
        request, on_result, on_error, label = self._pending.pop(number)
        if isinstance(outcome, Edited | Ran):
            self.revision += 1
            if isinstance(outcome, Edited):
                self.journal = outcome.history
            self.changed.emit(outcome)
        if label:
            self.job_ended.emit(number)
        if not isinstance(outcome, InspectorError):
            on_result(outcome)
        elif on_error is not None:
            on_error(outcome)
        elif not isinstance(outcome, ConnectionLost | Cancelled):
            self.notice.emit(outcome.sentence, "warning")
        self.answered.emit(request, outcome)
        if self.state == "busy" and not any(asked[3] for asked in self._pending.values()):
            self._set_state("ready")
