"""The live model of a training loop as the open target."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import nn

from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.opening import OpenModel
from inspector_app.backend.tree import build_tree
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import change_of_rows
from inspector_app.protocol.errors import RequestError

_LOOP = "The training loop runs this model itself."
_NO_OPTIMIZER = "The loop was joined without its optimizer: give it to watch(model, optimizer)."
_RANKS = (
    "This model is trained by several processes: to change it in one of them would pull them apart."
)


class Loop(Protocol):
    """What a session needs of the training loop that it is part of."""

    @property
    def state(self) -> m.TrainingState:
        """Where it stands."""

    def pause(self) -> None:
        """Stand at the next safe point."""

    def resume(self) -> None:
        """Go on."""

    def step_once(self) -> None:
        """Make one step, then stand."""

    def set_budget(self, share: float | None) -> None:
        """Raises ValueError for a share that makes no sense."""

    def answered(self, seconds: float) -> None:
        """A thread was busy so long to answer a window."""


class Training(Core):
    """Requests to a training process."""

    _loop: Loop | None = None

    def adopt(
        self,
        model: nn.Module,
        title: str,
        loop: Loop | None = None,
        *,
        edits: bool = True,
        updates: bool = True,
    ) -> None:
        """Take a live model for the open target.

        ``loop`` is what trains it, None where nothing does; ``edits`` says whether the model may
        be changed, ``updates`` whether it is known when an optimizer does.
        """
        self._opened = OpenModel(
            model=model,
            target=f"training:{title}",
            title=title,
            path="",
            arguments={},
            device="cpu",
            seed=0,
            kind="live",
        )
        self._loop, self._adopted = loop, True
        self._tree = build_tree(model)
        self._disabled = {"run": _LOOP} if loop is not None else {}
        if not edits:
            refused = ("freeze", "initialize", "load", "pause")
            self._disabled |= dict.fromkeys(refused, _RANKS)
        if not updates:
            self._disabled["update"] = _NO_OPTIMIZER
        self.revision += 1

    def attach(self, job: Job = NO_JOB) -> m.Opened:
        """The live model as it was last looked at; may be called from any thread."""
        opened, tree = self._live(), self._tree
        self._shown = tree.table
        return m.Opened(
            kind="model",
            target=opened.target,
            title=opened.title,
            path="",
            arguments={},
            device="cpu",
            seed=0,
            totals=self._totals(),
            table=tree.table,
            disabled=self._disabled,
            fingerprint="",
            seconds=0.0,
            live=True,
            training=self._loop is not None,
            history=self._journal.history,
            watched=self.probes.rows,
        )

    def look_again(self, job: Job = NO_JOB) -> m.Edited:
        """Walk the live model anew: its program may have replaced, added or frozen parts of it."""
        self._live()
        self._rebuilt(ran=False)
        return m.Edited(
            change=self._told(change_of_rows(self._tree.table, np.empty(0, np.int32))),
            totals=self._totals(),
            history=self._journal.history,
        )

    def _live(self) -> OpenModel:
        if not self._adopted or not isinstance(self._opened, OpenModel):
            raise RequestError("There is no live model here: open a target instead.")
        return self._opened

    def pause(self, job: Job = NO_JOB) -> m.Done:
        """Let the loop stand at its next safe point; may be called from any thread."""
        loop = self._running()
        if reason := self._disabled.get("pause"):
            raise RequestError(reason)
        loop.pause()
        return m.Done()

    def resume(self, job: Job = NO_JOB) -> m.Done:
        """Let the loop go on; may be called from any thread."""
        self._running().resume()
        return m.Done()

    def step_once(self, job: Job = NO_JOB) -> m.Done:
        """Let the loop make one step; may be called from any thread."""
        loop = self._running()
        if reason := self._disabled.get("pause"):
            raise RequestError(reason)
        loop.step_once()
        return m.Done()

    def set_budget(self, share: float | None, job: Job = NO_JOB) -> m.Done:
        """Set the share of a step that probes may take; may be called from any thread."""
        try:
            self._running().set_budget(share)
        except ValueError as error:
            raise RequestError(str(error)) from None
        return m.Done()

    def _running(self) -> Loop:
        if self._loop is None:
            raise RequestError("There is no training loop here.")
        return self._loop
