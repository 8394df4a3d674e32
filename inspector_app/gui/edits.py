"""Edits of the model: asked of the worker, never carried out or kept here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from inspector_app.gui.edit_commands import FREEZE_READY
from inspector_app.gui.models.history_model import touched_text
from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.freeze_pattern_dialog import FreezePatternDialog
from inspector_app.gui.panels.initialize_dialog import InitializeDialog
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.selected import Selected
from inspector_app.gui.wording import sentence, shortened
from inspector_app.protocol.messages import (
    Edited,
    Freeze,
    HoldStatistics,
    Initialize,
    JournalEntry,
    PlanHoldStatistics,
    Planned,
    Redo,
    Refusal,
    Request,
    Scheme,
    Selection,
    Undo,
)
from inspector_app.protocol.presets import INITIAL, spoken
from inspector_app.protocol.table import RowTable
from widgets.notice_bar import NoticeBar, Tone
from widgets.numbers import count_text

_TITLE = 60  # characters of a title in the notice bar
_NOTE = 100  # characters of a note or a reason there; all of it is in its detail


class Edits(QObject):
    """Freeze, hold, initialise, undo and redo; the notice bar says what came of each."""

    def __init__(
        self,
        session: Asks,
        notices: NoticeBar,
        table: Callable[[], RowTable],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._notices = notices
        self._table = table
        self._window = window

    def commands(self, selected: Callable[[], Selected]) -> dict[str, Callable[[], object]]:
        """What each command of an edit does, to the rows that are selected then."""
        ready = {
            command.id: partial(self.ask_freeze_pattern, pattern)
            for pattern, command in FREEZE_READY.items()
        }
        return {
            **ready,
            "edit.undo": self.undo,
            "edit.redo": self.redo,
            "edit.freeze": lambda: self.freeze(selected().selection, True),
            "edit.unfreeze": lambda: self.freeze(selected().selection, False),
            "edit.freeze_pattern": lambda: self.ask_freeze_pattern(selected().pattern()),
            "edit.hold": lambda: self.hold(selected().selection, True),
            "edit.release": lambda: self.hold(selected().selection, False),
            "edit.initialize": lambda: self.ask_initialize(
                selected().selection, selected().words()
            ),
            "edit.initialize_initial": lambda: self.ask_initialize(
                Selection(patterns=[INITIAL]), spoken(INITIAL)
            ),
        }

    def freeze(self, selection: Selection, frozen: bool, holds: bool = False) -> None:
        """Freeze or unfreeze all parameters of a selection.

        With ``holds`` its running statistics are held as well (or let move); without it that is
        offered where there are any that would move.
        """
        request = Freeze(selection=selection, frozen=frozen)

        def done(edited: Edited) -> None:
            if holds:
                self.hold(selection, frozen, outcome(request, edited, notes=False).text)
            elif not frozen:
                self._tell(outcome(request, edited))
            else:
                self._session.request(
                    PlanHoldStatistics(selection=selection),
                    lambda planned: self._offer_to_hold(request, edited, planned),
                    lambda _: self._tell(outcome(request, edited)),
                )

        label = "Freezing" if frozen else "Unfreezing"
        self._session.request(request, done, label=label)

    def _offer_to_hold(self, request: Freeze, edited: Edited, planned: Planned) -> None:
        """What was frozen has layers whose statistics move all the same."""
        if not planned.tensors:
            self._tell(outcome(request, edited))
            return
        told = outcome(request, edited, notes=False)
        layers = plural(planned.tensors, "layer")
        self._tell(
            told._replace(text=f"{told.text} The running statistics of {layers} still move."),
            [("Hold them", lambda: self.hold(request.selection, True))],
        )

    def hold(self, selection: Selection, held: bool, before: str = "") -> None:
        """Hold the running statistics of a selection, or let them move again.

        ``before`` is what another edit came to, so that both are told.
        """
        request = HoldStatistics(selection=selection, held=held)
        self._ask(request, "Holding statistics" if held else "Letting statistics move", before)

    def initialize(self, selection: Selection, scheme: Scheme, seed: int) -> None:
        """Write new values into the parameters of a selection."""
        self._ask(Initialize(selection=selection, scheme=scheme, seed=seed), "Initialising")

    def undo(self) -> None:
        """Take back the newest edit."""
        self._ask(Undo(), "Undoing")

    def redo(self) -> None:
        """Carry out again what was undone last."""
        self._ask(Redo(), "Redoing")

    def ask_freeze_pattern(self, pattern: str) -> FreezePatternDialog:
        """Open the dialog for patterns, ``pattern`` filled in."""
        dialog = FreezePatternDialog(self._session, self._table, pattern, self._window)
        dialog.accepted.connect(lambda: self._freeze_as_asked(dialog))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def _freeze_as_asked(self, dialog: FreezePatternDialog) -> None:
        if dialog.freezes:
            self.freeze(dialog.selection, dialog.frozen, dialog.holds)
        else:
            self.hold(dialog.selection, dialog.frozen)

    def ask_initialize(self, selection: Selection, words: str) -> InitializeDialog:
        """Open the dialog for schemes; ``words`` name the selection."""
        dialog = InitializeDialog(self._session, self._table, selection, words, self._window)
        dialog.accepted.connect(
            lambda: self.initialize(dialog.selection, dialog.scheme, dialog.seed)
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def _ask(self, request: Request, label: str, before: str = "") -> None:
        def done(edited: Edited) -> None:
            told = outcome(request, edited)
            self._tell(told._replace(text=f"{before} {told.text}".strip()))

        self._session.request(request, done, label=label)

    def _tell(
        self, told: Outcome, actions: list[tuple[str, Callable[[], object]]] | None = None
    ) -> None:
        self._notices.show_notice(told.text, told.tone, actions, told.detail)


class Outcome(NamedTuple):
    """What came of an edit: one line, its tone, and all of it."""

    text: str
    tone: Tone
    detail: str


def outcome(request: Request, edited: Edited, notes: bool = True) -> Outcome:
    """What an edit did, in words; ``notes`` False leaves the notes to the detail."""
    done = [entry for entry in edited.history if entry.done]
    undone = [entry for entry in edited.history if not entry.done]
    if isinstance(request, Undo):
        text = _named("Undone", undone[0]) if undone else "There is nothing to undo."
    elif isinstance(request, Redo):
        text = _named("Done again", done[-1]) if done else "There is nothing to redo."
    elif done and not edited.change.empty:
        text = f"{shortened(done[-1].title, _TITLE)}: {touched_text(done[-1])}."
    else:
        text = "Nothing changed."
    if edited.refused:
        text += f" {refused_words(edited.refused)}"
    if notes and edited.notes:
        text += f" {sentence(edited.notes[0], _NOTE)}"
        if len(edited.notes) > 1:
            text += f" (and {count_text(len(edited.notes) - 1)} more)"
    lines = [f"{refusal.reason}: {', '.join(refusal.examples)}" for refusal in edited.refused]
    tone: Tone = "warning" if edited.refused else "info"
    return Outcome(text, tone, "\n".join([*lines, *edited.notes]))


def _named(word: str, entry: JournalEntry) -> str:
    return f"{word}: {shortened(entry.title, _TITLE)}."


def refused_words(refused: list[Refusal]) -> str:
    """What was left out, as in "Left out 3 rows (not a floating-point parameter)."."""
    rows = sum(len(refusal.rows) for refusal in refused)
    reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in refused))
    return f"Left out {plural(rows, 'row')} ({shortened(reasons, _NOTE)})."
