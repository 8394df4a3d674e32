"""``inspector_app.inspect``: a look at a model while the program stands still."""

from __future__ import annotations

import atexit
import threading

from torch import nn

from inspector_app.backend.jobs import ThreadExecutor
from inspector_app.backend.session import Session
from inspector_app.backend.training.clock import StepClock
from inspector_app.backend.training.forking import remember, unhook
from inspector_app.backend.training.publishing import (
    PublishedSession,
    rank_of_process,
    title_of,
    with_rank,
)
from inspector_app.backend.training.window import open_window


class StoppedSession:
    """What :func:`inspector_app.inspect` returns; a context manager.

    Requests are carried out at once, in a thread beside the one that stands.
    """

    def __init__(self, model: nn.Module, *, window: bool = True, title: str = "") -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"inspect() takes a torch.nn.Module, not {type(model).__name__}.")
        self._closed = False
        self._session = Session()
        self._executor = ThreadExecutor()
        name = title_of(model, title)
        self._session.adopt(model, with_rank(name), edits=rank_of_process()[1] == 1)
        # Each forward of the person is a step; runs for a window count theirs, in another thread.
        self._clock = StepClock(
            model, None, None, self._session.probes, lambda: None, threading.get_ident()
        )
        try:
            self._published = PublishedSession(self._session, self._executor, name)
        except BaseException:
            self._clock.close()
            self._session.close()
            raise
        self._thread = threading.Thread(
            target=self._executor.run_forever, name="inspector-requests", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)
        remember(self)
        if window:
            open_window(self.address, self._published.token)

    @property
    def address(self) -> str:
        """Where a window attaches to."""
        return self._published.address

    def __enter__(self) -> StoppedSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def let_go_in_child(self) -> None:
        """In the child of a fork: neither watch nor listen there."""
        self._closed = True
        self._clock.close()
        unhook(self._session.probes)
        self._published.let_go_in_child()

    def close(self) -> None:
        """Stop listening and remove every hook; may be called twice."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._clock.close()
        self._published.close()  # which also stops what runs for a window
        self._executor.close()
        self._thread.join(timeout=5)
        self._session.close()
