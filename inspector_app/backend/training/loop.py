"""``inspector_app.watch``: a session inside of a training loop.

The training thread pays for the probes and for a look at a flag between two steps; everything else
happens in the server's thread.  Whether a window is there, is slow or dies changes nothing for it.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from inspector_app.backend.jobs import SafePointExecutor
from inspector_app.backend.session import Session
from inspector_app.backend.training.budget import Budget
from inspector_app.backend.training.clock import StepClock, hookable
from inspector_app.backend.training.forking import remember, unhook
from inspector_app.backend.training.gate import Gate
from inspector_app.backend.training.publishing import (
    PublishedSession,
    rank_of_process,
    title_of,
    with_rank,
)
from inspector_app.backend.training.window import open_window, say
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.table import Flag, Role

Probes = Literal["leaves", "none"] | Sequence[str]
_BOTH: tuple[m.ProbeKind, ...] = ("output", "gradient")
_WHOLE = 1.2
"""Times what the probes' own clock shows that they cost.

Their code and data drive the model's out of the caches, and hooks are called in steps that are left
out, too: between 1.05 and 1.2 of it were measured.
"""


class TrainingSession:
    """What :func:`inspector_app.watch` returns; a context manager.

    All methods belong to the training thread.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        loss_scaler: Any = None,
        probes: Probes = "leaves",
        budget: float | None = 0.05,
        *,
        exact: bool = False,
        window: bool = True,
        title: str = "",
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"watch() takes a torch.nn.Module, not {type(model).__name__}.")
        if not isinstance(optimizer, torch.optim.Optimizer | None):
            raise TypeError(
                "watch() takes a torch.optim.Optimizer as its optimizer (of several the one that "
                f"steps last), not {type(optimizer).__name__}."
            )
        optimizer = None if optimizer is None else hookable(optimizer)
        if loss_scaler is not None and not hasattr(loss_scaler, "get_scale"):
            raise TypeError(
                "watch() takes a GradScaler as its loss_scaler, or what has get_scale() like it, "
                f"not {type(loss_scaler).__name__}."
            )
        self._rank, self._ranks = rank_of_process()
        self._budget = Budget(budget, doubling=self._ranks > 1)
        self._gate = Gate()
        self._executor = SafePointExecutor(on_submit=self._gate.wake)
        self._session = Session()
        self._closed = False
        self._answered = 0.0  # seconds of answers to windows; only their thread adds to it
        self._charged = 0.0  # of these, what the budget was told of
        name = title_of(model, title)
        self._session.adopt(
            model, with_rank(name), self, edits=self._ranks == 1, updates=optimizer is not None
        )
        if self._ranks == 1:
            self._session.probes.alarms.pause = self._gate.pause
        self._clock = StepClock(
            model, optimizer, loss_scaler, self._session.probes, self._at_safe_point
        )
        try:
            self._watch(probes, exact)
            self._published = self._publish(name)
        except BaseException:
            self._clock.close()
            self._session.close()
            raise
        self._since = time.perf_counter()
        atexit.register(self.close)
        remember(self)
        if window and self._rank == 0 and self._published is not None:
            open_window(self.address, self._published.token)

    @property
    def address(self) -> str:
        """Where a window attaches to; "" where none can."""
        return "" if self._published is None else self._published.address

    def __enter__(self) -> TrainingSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- the training thread ---------------------------------------------------------------------

    def step(self) -> None:
        """Say that a training step is over, where no optimizer was given."""
        if not self._closed:
            self._clock.step()

    def log(self, **scalars: float | torch.Tensor) -> None:
        """Record numbers of a step, to be drawn as curves: ``session.log(loss=loss)``.

        It is the step that runs or, until its first forward begins, the one that has just ended.
        What is no number does no harm: the window tells that it was left out.
        """
        if not self._closed:
            step = self._clock.step_of_numbers
            for name, value in scalars.items():
                self._session.probes.scalar(name, value, step)

    def close(self) -> None:
        """Remove every hook and stop listening; may be called twice."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._clock.close()
        self._gate.resume()
        self._session.probes.clear()
        self._executor.close()
        if self._published is not None:
            self._published.close()
        self._session.close()

    def let_go_in_child(self) -> None:
        """In the child of a fork: neither watch nor listen there."""
        self._closed = True
        self._clock.close()
        unhook(self._session.probes)
        if self._published is not None:
            self._published.let_go_in_child()

    def _at_safe_point(self) -> None:
        probes = self._session.probes
        seconds = time.perf_counter() - self._since
        answered = self._answered
        probes.active = self._budget.step(
            seconds,
            _WHOLE * probes.spent,
            measured=probes.active,
            answers=answered - self._charged,
        )
        self._charged = answered
        probes.spent = 0.0
        if self._budget.sample != probes.batch.sample:
            probes.set_sample(self._budget.sample)
        asked = self._gate.pass_through(self._executor)
        if asked or probes.captures.awaits(probes.step + 1):
            probes.active = True  # a step that somebody asked for is one to be seen
        self._since = time.perf_counter()

    # -- the loop, as the session sees it --------------------------------------------------------

    @property
    def state(self) -> m.TrainingState:
        """Where the loop stands."""
        budget = self._budget
        return m.TrainingState(
            step=self._session.probes.step,
            paused=self._gate.shut,
            held=self._gate.held,
            safe_point=self._clock.kind,
            step_seconds=budget.step_seconds,
            overhead=budget.overhead,
            budget=budget.share,
            every=budget.every,
            thinned=budget.sentence,
            rate=budget.rate,
            sample=budget.sample,
            rank=self._rank,
            ranks=self._ranks,
            ended=self._closed,
        )

    def pause(self) -> None:
        """Stand at the next safe point."""
        self._gate.pause()

    def resume(self) -> None:
        """Go on."""
        self._gate.resume()

    def step_once(self) -> None:
        """Make one step, then stand."""
        self._gate.step()

    def set_budget(self, share: float | None) -> None:
        """Set the share of a step that probes may take; raises ValueError."""
        self._budget.set_share(share)

    def answered(self, seconds: float) -> None:
        """A window was answered, which took so long."""
        self._answered += seconds

    # -- setting up ------------------------------------------------------------------------------

    def _publish(self, title: str) -> PublishedSession | None:
        """Let windows find the session; None, and a sentence, where they cannot."""
        try:
            published = PublishedSession(self._session, self._executor, title)
        except RefusedError as error:
            say(f"{error.sentence} Training goes on without one.")
            return None
        published.server.on_attended = self._gate.attend
        return published

    def _watch(self, probes: Probes, exact: bool) -> None:
        if probes == "none":
            return
        table = self._session.tree.table
        if probes == "leaves":
            modules = (table.role == Role.MODULE) & ((table.flags & Flag.REPEATED) == 0)
            rows = [
                int(table.ids[position])
                for position in modules.nonzero()[0].tolist()
                if not modules[position + 1 : int(table.end[position])].any()
            ]
        else:
            patterns = [probes] if isinstance(probes, str) else list(probes)
            rows = self._session.modules_matching(patterns)
        self._session.watch(rows, _BOTH, exact)
