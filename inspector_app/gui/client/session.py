"""Requests of the window and their answers, the state of the worker, and its replacement.

Each target is opened in a worker of its own, since the modules a user's file imports stay
imported.  The worker that serves the target before lives on until the new one has opened, so that
a typing error in a path costs nothing.  A session that runs by itself, in a training process or a
notebook, is joined in the same way; when the window leaves it, it goes on.
"""

from __future__ import annotations

import itertools
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.gui.client.link import Link
from inspector_app.gui.client.pending import (
    QUESTIONS,
    Next,
    OnError,
    OnResult,
    Pending,
    Remote,
)
from inspector_app.gui.client.remote import RemoteLink
from inspector_app.gui.client.worker import WorkerLink
from inspector_app.protocol.changes import change_of_rows
from inspector_app.protocol.errors import (
    Cancelled,
    ConnectionLost,
    InspectorError,
    error_of_kind,
)
from inspector_app.protocol.messages import (
    Answer,
    AnyResult,
    Attach,
    CancelJob,
    Edited,
    Failure,
    JournalEntry,
    Log,
    LookAgain,
    Open,
    Opened,
    Progress,
    Ran,
    Replay,
    Request,
)

OBEYED_WITHIN = 2000  # milliseconds; a cancel that takes longer is stuck in a user's code


class ClientSession(QObject):
    """All the window knows of the backend.

    States: "closed" (nothing open), "starting" (a worker is opening a target), "ready", "busy" (a
    labelled request runs), "lost" (the worker of the open target died).

    Signals: ``opened(Opened)`` a target took the place of the one before; ``open_failed(error)``
    it did not; ``changed(Edited | Ran)`` rows changed, before the request's own callback;
    ``replayed(Edited)`` a new worker has carried out the edits of a lost one; ``lost(sentence,
    detail)``; ``job_*`` of labelled requests; ``cancel_stuck(id)`` a cancel was not obeyed in
    time, so only :meth:`end_worker` helps; ``answered(request, result)`` any answer;
    ``notice(text, tone)`` a sentence for the person; ``output(line)`` what the user's code prints.
    """

    state_changed = Signal(str)
    opened = Signal(object)
    open_failed = Signal(object)
    changed = Signal(object)
    replayed = Signal(object)
    lost = Signal(str, str)
    job_started = Signal(int, str)
    job_progress = Signal(int, object, object, str)  # numbers of bytes need 64 bits
    job_ended = Signal(int)
    cancel_stuck = Signal(int)
    asked = Signal(object)
    answered = Signal(object, object)
    notice = Signal(str, str)
    output = Signal(str)

    def __init__(self, parent: QObject | None = None, command: list[str] | None = None) -> None:
        """``command`` replaces the real worker, in tests."""
        super().__init__(parent)
        self._command = command
        self._numbers = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._link: Link | None = None  # of the open target
        self._next: Next | None = None
        self._source: Open | Remote | None = None  # what the open target was made from
        self._target: Opened | None = None
        self._journal: list[JournalEntry] = []
        self._revision = 0
        self._state = "closed"

    # -- what is known -----------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """One of the states above."""
        return self._state

    @property
    def target(self) -> Opened | None:
        """The open target as it was when it opened (its table may have changed since)."""
        return self._target

    @property
    def journal(self) -> list[JournalEntry]:
        """Edits of the open target; kept when its worker is lost."""
        return self._journal

    @property
    def revision(self) -> int:
        """Of the model, as far as the window has been told."""
        return self._revision

    @property
    def remote(self) -> Remote | None:
        """Where the open target is, when it runs by itself."""
        return self._source if isinstance(self._source, Remote) else None

    @property
    def process_id(self) -> int:
        """Of the worker that serves the open target; 0 where there is none."""
        return self._link.process_id if self._link else 0

    # -- requests ----------------------------------------------------------------------------------

    def open_target(
        self,
        target: str,
        arguments: dict[str, Any] | None = None,
        device: Literal["cpu", "meta"] = "cpu",
        seed: int = 0,
        trusted: bool = False,
    ) -> int:
        """Open a target in a new worker; a target that is still being opened gives way.

        ``trusted`` is a person's word for this opening; it holds for the target's restarts too.
        """
        request = Open(
            target=target, arguments=arguments or {}, device=device, seed=seed, trusted=trusted
        )
        return self._start(request, [], "")

    def attach(self, address: str, token: str) -> int:
        """Join a session that runs by itself; ``token`` in hexadecimal digits."""
        return self._join(Remote(address, token))

    def restart(self) -> int | None:
        """Open the same target anew, without its edits; None where nothing was open.

        A session that runs by itself is joined again, with all that was done in it.
        """
        if isinstance(self._source, Remote):
            return self._join(self._source)
        return self._start(self._source, [], "") if self._source else None

    def restart_and_replay(self) -> int | None:
        """Open the same target anew and carry out its edits again; None where nothing was open."""
        if not isinstance(self._source, Open) or self._target is None:
            return self.restart()
        done = [entry for entry in self._journal if entry.done]
        return self._start(self._source, done, self._target.fingerprint)

    def request(
        self,
        request: Request,
        on_result: OnResult,
        on_error: OnError | None = None,
        label: str = "",
    ) -> int:
        """Ask the worker of the open target; returns the request's id.

        Exactly one of the callbacks is called, never before this returns; without ``on_error`` the
        error becomes a notice.  A label makes a job of it, for the job panel.
        """
        number = next(self._numbers)
        if self._link is None:
            error = ConnectionLost("Nothing is open: open a model or a checkpoint first.")
            QTimer.singleShot(0, self, lambda: self._tell_error(error, on_error))
            return number
        self._ask(self._link, number, Pending(request, self._link, on_result, on_error, label))
        return number

    def cancel(self, request_id: int) -> None:
        """Ask a request to stop; :attr:`cancel_stuck` tells where that is not obeyed in time."""
        pending = self._pending.get(request_id)
        if pending is None:
            return
        if not pending.link.listening:  # nothing of the user's runs yet
            pending.link.kill()
            self._fail_all(pending.link, Cancelled())
            return
        cancel = Pending(CancelJob(request=request_id), pending.link, _ignore, _ignore, "")
        self._ask(pending.link, next(self._numbers), cancel)
        QTimer.singleShot(OBEYED_WITHIN, self, lambda: self._check_obeyed(request_id))

    def end_worker(self, request_id: int | None = None) -> None:
        """Kill the worker that carries out a request, or that of the open target."""
        pending = self._pending.get(request_id) if request_id is not None else None
        link = pending.link if pending else self._link
        if link is not None:
            link.kill()

    def shutdown(self) -> None:
        """End all workers before this returns; what was pending is forgotten."""
        self._pending.clear()
        self._link = self._next = self._source = self._target = None
        links: list[Link] = [*self.findChildren(WorkerLink), *self.findChildren(RemoteLink)]
        for link in links:  # those that are ending already, too
            link.blockSignals(True)
            link.stop_and_wait()
            link.deleteLater()
        self._update_state()

    # -- opening -----------------------------------------------------------------------------------

    def _start(self, request: Open, replay: list[JournalEntry], fingerprint: str) -> int:
        new = Next(WorkerLink(self._command, self), request, replay, fingerprint)
        return self._begin(new, request, f"Opening {PurePath(request.target).name}")

    def _join(self, remote: Remote) -> int:
        new = Next(RemoteLink(remote.address, remote.token, self), remote)
        return self._begin(new, Attach(), f"Attaching to {remote.address}")

    def _begin(self, new: Next, request: Open | Attach, label: str) -> int:
        if self._next is not None:
            former, self._next = self._next, None
            self._fail_all(former.link, Cancelled())
            self._retire(former.link)
        link = new.link
        link.message.connect(lambda message: self._take(link, message))
        link.output.connect(self.output)
        link.ended.connect(lambda sentence, detail: self._link_ended(link, sentence, detail))
        self._next = new
        number = next(self._numbers)
        pending = Pending(request, link, self._take_over, self._open_failed, label)
        self._ask(link, number, pending)
        link.start()
        return number

    def _take_over(self, opened: Opened) -> None:
        """The new worker has opened its target: it serves the window from now on."""
        new, self._next = self._next, None
        if new is None:
            return
        former, self._link = self._link, new.link
        if former is not None:
            self._fail_all(former, Cancelled("Another target was opened."))
            self._retire(former)
        # The edits of the lost worker are kept until they have been carried out again.
        self._source, self._target = new.source, opened
        self._journal = new.replay or opened.history
        self.opened.emit(opened)
        if opened.live:  # its program may have changed it since it was last looked at
            self.request(LookAgain(), _ignore, _ignore)
        if not new.fingerprint:
            return
        if opened.fingerprint != new.fingerprint:
            self.notice.emit(
                f"{opened.title} is not what it was: its structure or its values differ from the "
                "first time, so the edits may not mean the same.",
                "warning",
            )
        if new.replay:
            replay = Replay(entries=new.replay)
            self.request(replay, self.replayed.emit, self._replay_failed, "Replaying edits")
        else:
            nothing = change_of_rows(opened.table, np.empty(0, np.int32))
            self.replayed.emit(Edited(change=nothing, totals=opened.totals, history=[]))

    def _replay_failed(self, error: InspectorError) -> None:
        """Half of the edits are worse than none: the worker goes, all edits are kept."""
        link = self._link
        if link is None or isinstance(error, ConnectionLost):
            return  # `lost` tells of it
        self._link = None
        sentence = f"Its edits could not be carried out again: {error.sentence}"
        self._fail_all(link, ConnectionLost(sentence))
        self._retire(link)
        self._update_state()
        self.lost.emit(sentence, error.detail)

    def _open_failed(self, error: InspectorError) -> None:
        former, self._next = self._next, None
        if former is not None:
            self._retire(former.link)
        self.open_failed.emit(error)

    def _retire(self, link: Link) -> None:
        """Let a worker end on its own time; nothing it says matters any more."""
        link.ended.disconnect()
        link.ended.connect(link.deleteLater)
        link.stop()
        if not link.process_id:
            link.deleteLater()

    # -- answers -----------------------------------------------------------------------------------

    def _ask(self, link: Link, number: int, pending: Pending) -> None:
        self._pending[number] = pending
        link.ask(number, pending.request)
        self.asked.emit(pending.request)
        if pending.label:
            self.job_started.emit(number, pending.label)
        self._update_state()

    def _take(self, link: Link, message: Answer | Failure | Progress | Log) -> None:
        if isinstance(message, Log):
            self.notice.emit(message.text, "info")
            return
        pending = self._pending.get(message.id)
        if pending is None or pending.link is not link:
            return
        if isinstance(message, Progress):
            if pending.label:
                self.job_progress.emit(message.id, message.done, message.total, message.label)
            return
        if isinstance(message, Failure):
            error = error_of_kind(message.kind, message.sentence, message.detail)
            self._finish(message.id, error)
        elif isinstance(pending.request, QUESTIONS) and message.revision < self._revision:
            link.ask(message.id, pending.request)  # the model changed while this was on its way
        else:
            self._apply(message)

    def _apply(self, answer: Answer) -> None:
        """Take note of what a result changes, then hand it on."""
        result = answer.result
        if isinstance(result, Opened):
            self._revision = answer.revision
        elif isinstance(result, Edited | Ran):
            self._revision = max(self._revision, answer.revision)
            if result.history is not None:
                self._journal = result.history
            self.changed.emit(result)
        self._finish(answer.id, result)

    def _finish(self, number: int, outcome: AnyResult | InspectorError) -> None:
        pending = self._pending.pop(number)
        if pending.label:
            self.job_ended.emit(number)
        if isinstance(outcome, InspectorError):
            self._tell_error(outcome, pending.on_error)
        else:
            pending.on_result(outcome)
        self.answered.emit(pending.request, outcome)
        self._update_state()

    def _tell_error(self, error: InspectorError, on_error: OnError | None) -> None:
        if on_error is not None:
            on_error(error)
        elif not isinstance(error, ConnectionLost | Cancelled):  # `lost` tells of the one
            self.notice.emit(error.sentence, "warning")

    def _fail_all(self, link: Link, error: InspectorError) -> None:
        for number in [n for n, pending in self._pending.items() if pending.link is link]:
            if number in self._pending:
                self._finish(number, error)

    def _check_obeyed(self, number: int) -> None:
        if number in self._pending:
            self.cancel_stuck.emit(number)

    def _link_ended(self, link: Link, sentence: str, detail: str) -> None:
        """A worker died that nobody told to."""
        link.deleteLater()
        served = link is self._link
        if served:
            self._link = None
        self._fail_all(link, ConnectionLost(sentence, detail))
        if served:
            self._update_state()
            self.lost.emit(sentence, detail)

    def _update_state(self) -> None:
        labelled = any(pending.label for pending in self._pending.values())
        if self._next is not None:
            state = "starting"
        elif self._link is not None:
            state = "busy" if labelled else "ready"
        else:
            state = "closed" if self._target is None else "lost"
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)


def _ignore(_: object) -> None:
    """Nobody waits for this answer by itself."""
