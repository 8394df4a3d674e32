"""Edits of the model: asked of the worker, never carried out or kept here."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.freeze_pattern_dialog import FreezePatternDialog
from inspector_app.gui.panels.initialize_dialog import InitializeDialog
from inspector_app.protocol.messages import (
    Edited,
    Freeze,
    Initialize,
    Redo,
    Refusal,
    Request,
    Scheme,
    Selection,
    Undo,
)
from inspector_app.protocol.table import RowTable
from widgets.numbers import count_text


class Edits(QObject):
    """Freeze, initialise, undo and redo.  ``told(text, tone, detail)`` says what came of one."""

    told = Signal(str, str, str)

    def __init__(self, session: Asks, table: Callable[[], RowTable], window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._table = table
        self._window = window

    def freeze(self, selection: Selection, frozen: bool) -> None:
        """Freeze or unfreeze all parameters of a selection."""
        self._ask(
            Freeze(selection=selection, frozen=frozen), "Freezing" if frozen else "Unfreezing"
        )

    def initialize(self, selection: Selection, scheme: Scheme, seed: int) -> None:
        """Write new values into the parameters of a selection."""
        self._ask(Initialize(selection=selection, scheme=scheme, seed=seed), "Initialising")

    def undo(self) -> None:
        """Take back the newest edit."""
        self._ask(Undo(), "Undoing")

    def redo(self) -> None:
        """Carry out again what was undone last."""
        self._ask(Redo(), "Redoing")

    def ask_freeze_pattern(self, pattern: str) -> None:
        """Open the dialog for patterns, ``pattern`` filled in."""
        dialog = FreezePatternDialog(self._session, self._table, pattern, self._window)
        dialog.accepted.connect(lambda: self.freeze(dialog.selection, dialog.frozen))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def ask_initialize(self, selection: Selection, words: str) -> None:
        """Open the dialog for schemes; ``words`` name the selection."""
        dialog = InitializeDialog(self._session, self._table, selection, words, self._window)
        dialog.accepted.connect(
            lambda: self.initialize(dialog.selection, dialog.scheme, dialog.seed)
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _ask(self, request: Request, label: str) -> None:
        self._session.request(request, lambda edited: self._tell(request, edited), label=label)

    def _tell(self, request: Request, edited: Edited) -> None:
        text, tone, detail = outcome(request, edited)
        self.told.emit(text, tone, detail)


def outcome(request: Request, edited: Edited) -> tuple[str, str, str]:
    """What an edit did: one line, its tone, and all of it."""
    done = [entry for entry in edited.history if entry.done]
    undone = [entry for entry in edited.history if not entry.done]
    if isinstance(request, Undo):
        text = f"Undone: {undone[0].title}." if undone else "There is nothing to undo."
    elif isinstance(request, Redo):
        text = f"Done again: {done[-1].title}." if done else "There is nothing to redo."
    elif done and not edited.change.empty:
        touched = done[-1].touched
        text = f"{done[-1].title}: {count_text(touched)} tensor{'' if touched == 1 else 's'}."
    else:
        text = "Nothing changed."
    if edited.refused:
        text += f" {refused_words(edited.refused)}"
    if edited.notes:
        text += f" {edited.notes[0]}"
        if len(edited.notes) > 1:
            text += f" (and {count_text(len(edited.notes) - 1)} more)"
    lines = [f"{refusal.reason}: {', '.join(refusal.examples)}" for refusal in edited.refused]
    return text, "warning" if edited.refused else "info", "\n".join([*lines, *edited.notes])


def refused_words(refused: list[Refusal]) -> str:
    """What was left out, as in "Left out 3 rows (not a floating-point parameter)."."""
    rows = sum(len(refusal.rows) for refusal in refused)
    reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in refused))
    return f"Left out {count_text(rows)} row{'' if rows == 1 else 's'} ({reasons})."
