"""Jobs and the executors that carry them out.

A :class:`Job` is what long work sees: it reports progress, checks whether it was cancelled and lets
waiting requests run in between.  A :class:`Task` is one request on its way.  Three executors carry
tasks out, and ``Session`` does not know which:

* :class:`InlineExecutor`: at once, in the caller's thread (command line, tests, notebooks);
* :class:`ThreadExecutor`: one after the other in the thread that calls its ``run_forever`` (the
  worker's main thread, where a user's code expects to run);
* :class:`SafePointExecutor`: in the training thread, whenever that says the model may be changed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from inspector_app.protocol.errors import Cancelled, RefusedError

_ENDED = (
    "The thread that ran the training loop has ended: there is no safe point any more at which "
    "this could be carried out."
)
PROGRESS_INTERVAL = 0.05  # seconds: at most 20 reports a second


class Job(Protocol):
    """What long work sees of its own request."""

    def progress(self, done: int, total: int, label: str) -> None:
        """Tell how far the work is; ``total`` 0 where the end is not known."""

    def check(self) -> None:
        """Raise Cancelled where the person asked to stop; called once per chunk of work."""

    def waiting(self) -> bool:
        """Whether other requests wait for :meth:`safe_point`."""

    def safe_point(self) -> None:
        """Let waiting requests run now; the model must be in order."""


class _NoJob:
    def progress(self, done: int, total: int, label: str) -> None: ...

    def check(self) -> None: ...

    def waiting(self) -> bool:
        return False

    def safe_point(self) -> None: ...


NO_JOB: Job = _NoJob()


class Task:
    """One request on its way through an executor; the Job that its work sees.

    ``on_progress(done, total, label)`` and ``on_done(result, error)`` are called in the executor's
    thread; exactly one call of ``on_done`` follows every submission.
    """

    def __init__(
        self,
        work: Callable[[Job], Any],
        *,
        on_done: Callable[[Any, BaseException | None], None],
        on_progress: Callable[[int, int, str], None] = lambda done, total, label: None,
        may_interrupt: bool = True,
    ) -> None:
        self.may_interrupt = may_interrupt  # may run at the safe point of another task
        self.started = False
        self._work = work
        self._on_done = on_done
        self._on_progress = on_progress
        self._cancelled = threading.Event()
        self._last_report = 0.0
        self._executor: Executor | None = None

    def cancel(self) -> None:
        """Ask to stop; from any thread.  Work that has not begun never begins."""
        self._cancelled.set()

    def run(self, executor: Executor) -> None:
        """Carry the work out; whatever it raises goes to ``on_done``."""
        self.started = True
        self._executor = executor
        result: Any = None
        error: BaseException | None = None
        try:
            self.check()
            result = self._work(self)
        except BaseException as raised:  # noqa: BLE001 - handed on whole, the thread must live
            error = raised
        self._on_done(result, error)

    def refuse(self, error: BaseException) -> None:
        """Answer with an error in place of carrying the work out; from any thread."""
        self.started = True
        self._on_done(None, error)

    def progress(self, done: int, total: int, label: str) -> None:
        """See :class:`Job`; reports closer than 50 ms together are dropped, save the last one."""
        now = time.monotonic()
        if now - self._last_report >= PROGRESS_INTERVAL or (total and done >= total):
            self._last_report = now
            self._on_progress(done, total, label)

    def check(self) -> None:
        """See :class:`Job`."""
        if self._cancelled.is_set():
            raise Cancelled()

    def waiting(self) -> bool:
        """See :class:`Job`."""
        return self._executor is not None and self._executor.waiting()

    def safe_point(self) -> None:
        """See :class:`Job`."""
        if self._executor is not None:
            self._executor.interrupt()


class Executor(Protocol):
    """Carries tasks out one at a time."""

    def submit(self, task: Task) -> None:
        """Take a task; returns at once unless the executor is inline."""

    def waiting(self) -> bool:
        """Whether a task waits that may run at another's safe point."""

    def interrupt(self) -> None:
        """Run those tasks now, in the middle of another one that is at a safe point."""

    def refuse_if_ended(self) -> None:
        """Answer what waits, where the thread has ended that would carry it out; from any."""


class InlineExecutor:
    """Carries a task out while it is submitted."""

    def submit(self, task: Task) -> None:
        """Run ``task`` now."""
        task.run(self)

    def waiting(self) -> bool:
        """Nothing ever waits."""
        return False

    def interrupt(self) -> None:
        """Nothing ever waits."""

    def refuse_if_ended(self) -> None:
        """Nothing ever waits."""


class _QueueExecutor:
    """Tasks in the order in which they came."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._arrived = threading.Condition()
        self._closed = False

    def submit(self, task: Task) -> None:
        """Put ``task`` at the end of the queue, or cancel it after the end; from any thread."""
        with self._arrived:
            closed = self._closed
            if not closed:
                self._tasks.append(task)
                self._arrived.notify_all()
        if closed:
            task.cancel()
            task.run(self)

    def waiting(self) -> bool:
        """Whether a task waits that may run at another's safe point."""
        with self._arrived:
            return any(task.may_interrupt for task in self._tasks)

    def _next(self, *, interrupting: bool) -> Task | None:
        with self._arrived:
            for index, task in enumerate(self._tasks):
                if task.may_interrupt or not interrupting:
                    del self._tasks[index]
                    return task
        return None

    def interrupt(self) -> None:
        """Run the tasks that may interrupt; others keep their places."""
        while (task := self._next(interrupting=True)) is not None:
            task.run(self)

    def refuse_if_ended(self) -> None:
        """See :class:`Executor`; our own thread ends with the queue."""

    def close(self) -> None:
        """End the queue; what still waits is answered as cancelled."""
        with self._arrived:
            self._closed = True
            left = self._take_all()
            self._arrived.notify_all()
        for task in left:
            task.cancel()
            task.run(self)

    def _take_all(self) -> list[Task]:
        """Empty the queue, whose lock is held."""
        left = list(self._tasks)
        self._tasks.clear()
        return left


class ThreadExecutor(_QueueExecutor):
    """Carries tasks out in the thread that calls :meth:`run_forever`."""

    def run_forever(self) -> None:
        """Run tasks until :meth:`close`."""
        while True:
            with self._arrived:
                while not self._tasks and not self._closed:
                    self._arrived.wait()
                if self._closed:
                    return
            task = self._next(interrupting=False)
            if task is not None:
                task.run(self)


class SafePointExecutor(_QueueExecutor):
    """Carries tasks out in a thread that is not ours, when that thread calls :meth:`safe_point`."""

    def __init__(self, on_submit: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._on_submit = on_submit
        self._thread: threading.Thread | None = None  # of the last safe point

    def submit(self, task: Task) -> None:
        """Put ``task`` at the end of the queue and say so; from any thread."""
        super().submit(task)
        self._on_submit()

    def safe_point(self) -> None:
        """Run all that waits; called by a training loop between two steps.  Cheap when idle."""
        self._thread = threading.current_thread()
        while self._tasks:
            task = self._next(interrupting=False)
            if task is not None:
                task.run(self)

    def refuse_if_ended(self) -> None:
        """See :class:`Executor`; where a thread lives on, as that of a notebook, nothing is known.

        Another thread may still begin to train: then later requests are carried out there.
        """
        if self._thread is None or self._thread.is_alive():
            return
        with self._arrived:
            left = self._take_all()
        for task in left:
            task.refuse(RefusedError(_ENDED))
