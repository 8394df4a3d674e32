"""Fetching records for the window's mirror of a backend's ring.

Records are asked for at the rate they can be drawn, one request in the air at a time, from where
the last answer ended: what is drawn may skip, what is mirrored does not.  A training loop whose
budget is short asks for fewer requests.
"""

from __future__ import annotations

from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance

from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError
from inspector_app.protocol.messages import (
    GetRecords,
    Opened,
    Records,
    Request,
    Run,
    Watching,
)

INTERVAL = 33  # milliseconds between two requests, at least
MOST = 4096  # records asked for at once


class Requests(Protocol):
    """What the feed needs of a session."""

    asked: SignalInstance
    answered: SignalInstance

    def request(
        self, request: Request, on_result: Any, on_error: Any = None, label: str = ""
    ) -> int:
        """As :meth:`ClientSession.request`."""
        ...


class RecordsFeed(QObject):
    """Fetches records while watched modules run, and the last ones after they stopped.

    A live model runs whenever its own process wants it to.  ``told(Records)`` gives every answer,
    ``loop_told(TrainingState)`` where the loop stands that trains it; ``failed(error)`` says once
    why there are none.
    """

    told = Signal(object)
    failed = Signal(object)
    loop_told = Signal(object)

    def __init__(self, session: Requests, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.limit = MOST  # records asked for at once; 0 while no more are wanted
        self.whole = False  # whether the last answer held all that there was
        self._session = session
        self._next = 0  # sequence number to ask from
        self._watched = False
        self._live = False
        self._training = False
        self._running = 0
        self._in_the_air = False
        self._late = False  # whether the answer comes after the next request was due
        self._refused = ""
        self._alarms = 0  # their version
        self._generation = 0  # of the worker asked: late answers of a former one do not count
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self.fetch)
        session.asked.connect(self._asked)
        session.answered.connect(self._answered)

    @property
    def active(self) -> bool:
        """Whether it is fetching."""
        return self._timer.isActive()

    def stop(self) -> None:
        """The process is gone; what was mirrored stays."""
        self._live = self._training = False
        self._update()

    def begin_again(self) -> None:
        """Fetch all that the backend holds once more."""
        self._next = self._alarms = 0
        self.limit = MOST
        self._in_the_air = self._late = False
        self._generation += 1

    def _asked(self, request: Request) -> None:
        if isinstance(request, Run):
            self._running += 1
            self._update()

    def _answered(self, request: Request, outcome: object) -> None:
        if isinstance(outcome, Opened):
            self.begin_again()
            self._watched = bool(outcome.watched)
            self._live, self._training = outcome.live, outcome.training
            self._timer.setInterval(INTERVAL)
        elif isinstance(outcome, Watching):
            self._watched = bool(outcome.rows)
        elif isinstance(request, Run):
            self._running -= 1
            if self._watched:
                self.fetch()  # what the last forwards left
        else:
            return
        self._update()

    def _update(self) -> None:
        if self._training or (self._watched and (self._running or self._live)):
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def fetch(self) -> None:
        """Ask for what is new, or as soon as the answer that is on its way has come."""
        if self._in_the_air:
            self._late = True
            return
        self._in_the_air, self._late = True, False
        generation, limit = self._generation, self.limit
        self._session.request(
            GetRecords(since=self._next, limit=limit, alarms_since=self._alarms),
            lambda records: self._take(generation, limit, records),
            lambda error: self._missed(generation, error),
        )

    def _take(self, generation: int, limit: int, records: Records) -> None:
        if generation != self._generation:
            return
        self._in_the_air = False
        self._next = max(self._next, records.next)
        self._alarms = records.alarms_version
        self.whole = len(records.sequence) < limit
        if records.training is not None:
            # Where more waits than one answer holds, to draw less often would mean to miss some.
            behind = len(records.sequence) == limit > 0
            rate = records.training.rate
            interval = INTERVAL if behind else max(INTERVAL, 1000 // max(rate, 1))
            if interval != self._timer.interval():  # setting it lets the time begin anew
                self._timer.setInterval(interval)
        self.told.emit(records)
        if records.training is not None:
            self.loop_told.emit(records.training)
        if not self._timer.isActive():
            if len(records.sequence):
                self.fetch()  # the run is over: until nothing is left
        elif self._late and not self._in_the_air:
            self._timer.start()  # from now on
            self.fetch()

    def _missed(self, generation: int, error: InspectorError) -> None:
        if generation != self._generation:
            return
        self._in_the_air = False
        if not isinstance(error, ConnectionLost | Cancelled) and self._refused != error.sentence:
            self._refused = error.sentence  # it would be said thirty times a second
            self.failed.emit(error)
