"""Pausing a training loop: it stands at a safe point until somebody lets it go on."""

from __future__ import annotations

import threading
from typing import Protocol

_PATIENCE = 0.25  # seconds between two looks at requests that came without a word


class Pending(Protocol):
    """Requests that wait for a safe point."""

    def safe_point(self) -> None:
        """Carry out all that wait."""


class Gate:
    """Open, or shut: then the training thread stays in :meth:`pass_through`.

    It can be shut only while it is attended: nobody else would open it again.  All but
    :meth:`pass_through` may be called from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._attended = False
        self._shut = False
        self._steps = 0  # still to be let through one by one
        self._held = False

    @property
    def shut(self) -> bool:
        """Whether the loop will stand, or stands, at the next safe point."""
        return self._shut

    @property
    def held(self) -> bool:
        """Whether the loop stands there now."""
        return self._held

    def attend(self, attended: bool) -> None:
        """Somebody is there now, or nobody any more: then the loop goes on."""
        with self._changed:
            self._attended = attended
        if not attended:
            self.resume()

    def pause(self) -> bool:
        """Let the loop stand at the next safe point; returns whether it will."""
        with self._changed:
            self._shut = self._attended
            self._steps = 0
            return self._shut

    def resume(self) -> None:
        """Let the loop go on."""
        with self._changed:
            self._shut = False
            self._steps = 0
            self._changed.notify_all()

    def step(self) -> None:
        """Let the loop make one step, then stand again."""
        with self._changed:
            if self._attended:
                self._shut = True
                self._steps += 1
                self._changed.notify_all()

    def wake(self) -> None:
        """A request has come: the loop, where it stands, carries it out."""
        with self._changed:
            self._changed.notify_all()

    def pass_through(self, pending: Pending) -> bool:
        """A safe point: carry out what waits, and stand here while the gate is shut.

        Returns whether the step that follows was asked for by itself.
        """
        pending.safe_point()
        if not self._shut:  # the usual case costs nothing more
            return False
        self._held = True
        try:
            while True:
                with self._changed:
                    if self._steps:
                        self._steps -= 1
                        return True
                    if not self.shut:
                        return False
                    self._changed.wait(_PATIENCE)
                pending.safe_point()
        finally:
            self._held = False
