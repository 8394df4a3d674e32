"""A training loop that the window has joined: pausing, stepping, its budget, its ranks."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.gui.client.ranks import Ranks
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.attach_dialog import AttachDialog
from inspector_app.gui.panels.training_bar import ALL_RANKS, TrainingBar
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import (
    AT_ONCE,
    CancelJob,
    Done,
    Opened,
    Pause,
    Request,
    Resume,
    SetBudget,
    StepOnce,
    TrainingState,
)
from inspector_app.sessions import SessionEntry, running_sessions, token_of

_SAFE_POINT_WITHIN = 2000  # milliseconds; an edit that waits longer is told of
_RANKS_EVERY = 2000  # milliseconds between two looks at which ranks there are


class Training(QObject):
    """What the window knows of the loop, and what a person asks of it.

    ``changed`` is emitted when the loop was paused, went on, or was left;
    ``told(text, tone, detail)`` tells a person.
    """

    changed = Signal()
    told = Signal(str, str, str)

    def __init__(
        self, session: ClientSession, ranks: Ranks, bar: TrainingBar, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session = session
        self._merged = ranks
        self._bar = bar
        self._window = window
        self.state: TrainingState | None = None
        self._waiting: list[Request] = []  # for a safe point
        self._told = False
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_SAFE_POINT_WITHIN)
        self._patience.timeout.connect(self._tell_waiting)
        self._ranks = QTimer(self)
        self._ranks.setInterval(_RANKS_EVERY)
        self._ranks.timeout.connect(self._show_ranks)
        bar.budget_chosen.connect(self.set_budget)
        bar.rank_chosen.connect(self._choose_rank)
        session.asked.connect(self._asked)
        session.answered.connect(self._answered)

    # -- joining -------------------------------------------------------------------------------

    def dialog(self) -> AttachDialog:
        """Lists the sessions of this machine, and joins the one that is chosen."""
        dialog = AttachDialog(self._window)
        dialog.setModal(True)
        dialog.accepted.connect(lambda: self._session.attach(dialog.address, dialog.token))
        return dialog

    def target_opened(self, opened: Opened) -> None:
        """Another target took the place of the one before."""
        self.state = None
        self._forget()
        self._bar.setVisible(opened.training)
        self._ranks.stop()
        if opened.training:
            self._bar.say("Waiting for the loop")
            self._show_ranks()
        self.changed.emit()

    def worker_lost(self) -> None:
        """The process is gone: what was drawn stays."""
        self._forget()
        self._ranks.stop()
        last = self.state
        self.state = None
        if last is not None:
            self._bar.say(f"Ended in step {last.step:,}: what was drawn stays.", "warning")
        self.changed.emit()

    # -- the loop ------------------------------------------------------------------------------

    def show(self, state: TrainingState) -> None:
        """The loop was heard of."""
        former, self.state = self.state, state
        self._bar.show_state(state, self._merged.standing, self._merged.late)
        if former is None or former.ranks != state.ranks:
            self._show_ranks()
        if former is None or (former.paused, former.held) != (state.paused, state.held):
            self.changed.emit()

    @property
    def paused(self) -> bool:
        """Whether the loop stands, or will at its next safe point."""
        return self.state is not None and self.state.paused

    def pause(self, stand: bool) -> None:
        """Let the loop stand at its next safe point, or go on."""
        self._session.request(Pause() if stand else Resume(), _ignore, self._refused)

    def step(self) -> None:
        """Let the loop make one step, then stand."""
        self._session.request(StepOnce(), _ignore, self._refused)

    def set_budget(self, share: float | None) -> None:
        """Set the share of a step that probes may take."""
        self._session.request(SetBudget(share=share), _ignore, self._refused)

    def _refused(self, error: object) -> None:
        self.changed.emit()  # the check mark of Pause is put back
        if isinstance(error, RequestError):
            self.told.emit(error.sentence, "warning", "")

    # -- ranks ---------------------------------------------------------------------------------

    def _show_ranks(self) -> None:
        entries = self._entries()
        self._merged.join(entries)
        own = self.state.rank if self.state else 0
        chosen = ALL_RANKS if self._merged.merging else own
        self._bar.show_ranks([entry.rank for entry in entries], own, chosen)
        several = self.state is not None and self.state.ranks > 1
        if several and not self._ranks.isActive():
            self._ranks.start()

    def _entries(self) -> list[SessionEntry]:
        """Sessions of the processes that train the same model together, by rank."""
        state, remote = self.state, self._session.remote
        if state is None or remote is None or state.ranks == 1:
            return []
        try:
            found = [entry for entry in running_sessions() if entry.ranks == state.ranks]
        except (OSError, RequestError):
            return []
        mine = [entry for entry in found if entry.address == remote.address]
        group = [entry for entry in found if mine and entry.group == mine[0].group]
        return sorted(group, key=lambda entry: entry.rank)

    def _choose_rank(self, rank: int) -> None:
        if self.state is None:
            return
        if rank == ALL_RANKS:
            if not self._merged.merging:
                self._merged.merge(self.state.rank, self.state.ranks)
                self._merged.join(self._entries())
            return
        if rank == self.state.rank:
            self._merged.show_own()
            return
        for entry in self._entries():
            if entry.rank == rank:
                try:
                    self._session.attach(entry.address, token_of(entry.address))
                except (OSError, RequestError) as error:
                    self.told.emit(str(error), "warning", "")

    # -- safe points ---------------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        if self.state is not None and not isinstance(request, (*AT_ONCE, CancelJob)):
            self._waiting.append(request)
            if not self._patience.isActive():
                self._patience.start()

    def _answered(self, request: Request, outcome: object) -> None:
        if request in self._waiting:
            self._waiting.remove(request)
            self._told = False
            if not self._waiting:
                self._patience.stop()

    def _tell_waiting(self) -> None:
        """Something waits for a safe point that does not come."""
        if self.state is None or self._told or not self._waiting:
            return
        self._told = True
        self.told.emit(
            "The loop has reached no safe point for 2 s: what was asked for is carried out "
            f"{self.state.safe_point}.",
            "info",
            "",
        )

    def _forget(self) -> None:
        self._waiting.clear()
        self._told = False
        self._patience.stop()


def _ignore(_: Done) -> None:
    """Where the loop stands is told with its records."""
