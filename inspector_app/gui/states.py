"""Laying the values of a checkpoint onto the open model, and what is offered afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.open_dialog import STATE_FILTER
from inspector_app.gui.panels.placing import show_below_notices
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.state_dialog import StateDialog
from inspector_app.gui.settings import Settings
from inspector_app.gui.tree_actions import TreeActions
from inspector_app.gui.wording import sentence
from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError, RefusedError
from inspector_app.protocol.messages import (
    ApplyRequiresGrad,
    Edited,
    LoadState,
    PlanState,
    StatePlan,
)
from widgets.notice_bar import NoticeBar
from widgets.tree_delegate import one_line

_LONGEST = 120  # characters of a note in a notice
Actions = list[tuple[str, Callable[[], object]]]


class States(QObject):
    """Compares first and loads wholly, or on a person's word what fits."""

    def __init__(
        self,
        session: ClientSession,
        notices: NoticeBar,
        settings: Settings,
        tree: TreeActions,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._notices = notices
        self._settings = settings
        self._tree = tree
        self._window = window
        self._dialog: StateDialog | None = None
        session.opened.connect(lambda _: self._close())
        session.lost.connect(lambda *_: self._close())

    def ask_load(self) -> None:
        """Ask for a checkpoint and compare it."""
        target = self._session.target
        if target is None:
            return
        folder = self._settings.folder("state") or str(Path(target.path).parent)
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Load state", folder, STATE_FILTER)
        if chosen:
            self._settings.set_folder("state", str(Path(chosen).parent))
            self.compare(chosen)

    def compare(self, path: str) -> StateDialog:
        """Show how a checkpoint lies on the model."""
        dialog = self._open_dialog(path)
        dialog.compare()
        return dialog

    def lay_on(self, path: str) -> None:
        """Load a checkpoint into a model that was just opened; ask where it does not fit."""
        target = self._session.target
        if target is not None and "load" in target.disabled:
            self._failed(RefusedError(target.disabled["load"]))
            return

        def planned(plan: StatePlan) -> None:
            if plan.complete:
                request = LoadState(path=plan.path, prefix=plan.asked)
                self._session.request(
                    request,
                    lambda edited: self._loaded(edited, plan, False),
                    self._failed,
                    f"Loading {Path(path).name}",
                )
            else:
                self._open_dialog(path).show_plan(plan)

        self._session.request(PlanState(path=path), planned, self._failed, "Comparing")

    def _failed(self, error: InspectorError) -> None:
        if not isinstance(error, (Cancelled, ConnectionLost)):
            self._notices.show_notice(
                f"The state was not loaded. {error.sentence}", "danger", detail=error.detail
            )

    # -- the dialog ----------------------------------------------------------------------------

    def _open_dialog(self, path: str) -> StateDialog:
        self._close()
        target = self._session.target
        title = one_line(target.title) if target is not None else ""
        dialog = self._dialog = StateDialog(self._session, path, title, self._window)
        self._session.job_progress.connect(dialog.show_progress)
        dialog.row_chosen.connect(self._tree.select)
        dialog.planned.connect(self._mark)
        dialog.loaded.connect(self._loaded)
        dialog.finished.connect(lambda: self._closed(dialog))
        show_below_notices(dialog, self._window)
        return dialog

    def _close(self) -> None:
        """What was compared is gone."""
        if self._dialog is not None:
            self._dialog.done(StateDialog.DialogCode.Rejected)

    def _closed(self, dialog: StateDialog) -> None:
        if self._dialog is dialog:
            self._dialog = None
        dialog.deleteLater()

    def _mark(self, plan: StatePlan | None) -> None:
        differences = plan.differences if plan is not None else []
        self._tree.mark({found.row: found.kind for found in differences if found.row >= 0})

    # -- afterwards ----------------------------------------------------------------------------

    def _loaded(self, edited: Edited, plan: StatePlan, fit: bool) -> None:
        done = [entry for entry in edited.history if entry.done]
        touched = done[-1].touched if done and not edited.change.empty else 0
        text = f"{plural(touched, 'tensor')} loaded from {one_line(Path(plan.path).name)}."
        if not touched:
            text = "Nothing changed: the model has the values of the file already."
        initial = self._tree.count_initial() if fit else 0
        actions: Actions = []
        if initial:
            text += f" {initial_sentence(initial)}"
            actions += self.initial_actions()
        if plan.requires_grad:
            actions.append(
                (
                    f"Apply stored requires_grad ({plan.requires_grad:,})",
                    lambda: self._apply_requires_grad(plan, actions[:-1]),
                )
            )
        news = [note for note in edited.notes if note not in plan.notes]
        if news:
            text += f" {sentence(news[0], _LONGEST)}"
        self._offer(text, "warning" if initial else "good", actions, "\n".join(edited.notes))

    def initial_actions(self) -> Actions:
        """What can be done about rows still at their initial value."""
        return [
            ("Show them", self._tree.show_initial),
            ("Initialise them…", self._tree.initialize_initial),
        ]

    def _offer(self, text: str, tone: str, actions: Actions, detail: str = "") -> None:
        """A notice; what is not chosen from it stays on offer."""

        def chosen(number: int) -> None:
            rest = [action for at, action in enumerate(actions) if at != number]
            if rest:
                self._offer(text, tone, rest, detail)
            actions[number][1]()

        offers = [
            (label, lambda number=number: chosen(number))
            for number, (label, _) in enumerate(actions)
        ]
        self._notices.show_notice(text, tone, offers, detail)  # type: ignore[arg-type]

    def _apply_requires_grad(self, plan: StatePlan, rest: Actions) -> None:
        def applied(edited: Edited) -> None:
            done = [entry for entry in edited.history if entry.done]
            touched = done[-1].touched if done and not edited.change.empty else 0
            text = (
                f"requires_grad of {plural(touched, 'tensor')} is as {Path(plan.path).name} says."
            )
            self._offer(text, "info", rest, "\n".join(edited.notes))

        self._session.request(
            ApplyRequiresGrad(path=plan.path, prefix=plan.asked),
            applied,
            label="Applying requires_grad",
        )


def initial_sentence(rows: int) -> str:
    """How many rows no checkpoint has written."""
    return f"{plural(rows, 'row')} {'is' if rows == 1 else 'are'} still at the initial value."
