"""The list of edits: the only undo list there is.

Pure bookkeeping: what an edit does to the model is the edit's own affair.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from inspector_app.backend.recipes import Recipe
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import JournalEntry, Refusal
from inspector_app.protocol.table import Int32


class Edit(Protocol):
    """A change of the model that was carried out, with its inverse."""

    @property
    def rows(self) -> Int32:
        """Ids of all rows that it touched."""

    @property
    def undoable(self) -> bool:
        """Whether what undo and redo need is still kept."""

    @property
    def recipe(self) -> Recipe | None:
        """What it did, for a script; None where a script cannot do it."""

    def undo(self) -> None:
        """Take it back, wholly or not at all."""

    def redo(self) -> None:
        """Carry it out again, wholly or not at all."""

    def forget(self) -> None:
        """Let go of all that is kept for it."""


class NewEdit(Edit, Protocol):
    """An edit that was carried out just now, with what there is to say of it."""

    @property
    def touched(self) -> int:
        """Distinct tensors (or modules, where it is their mode) that it changed."""

    @property
    def refused(self) -> list[Refusal]:
        """Rows left out, by reason."""

    @property
    def notes(self) -> list[str]:
        """Sentences for the person."""


class Journal:
    """Edits in the order in which they were made; those after the newest done one can be redone."""

    def __init__(self) -> None:
        self._edits: list[tuple[Edit, JournalEntry]] = []
        self._done = 0  # so many of them stand; the rest is undone

    @property
    def next_number(self) -> int:
        """Number for the next entry: one more than the newest that stands."""
        return self._edits[self._done - 1][1].number + 1 if self._done else 1

    @property
    def history(self) -> list[JournalEntry]:
        """All entries, oldest first, as they stand now.

        Edits are undone newest first and redone oldest first, so what lies behind one that is no
        longer kept cannot be reached either.
        """
        entries: list[JournalEntry] = []
        reachable = True
        for edit, entry in reversed(self._edits[: self._done]):
            reachable = reachable and edit.undoable
            entries.insert(0, msgspec.structs.replace(entry, done=True, undoable=reachable))
        reachable = True
        for edit, entry in self._edits[self._done :]:
            reachable = reachable and edit.undoable
            entries.append(msgspec.structs.replace(entry, done=False, undoable=reachable))
        return entries

    @property
    def standing(self) -> list[tuple[Edit, JournalEntry]]:
        """The edits that were not undone, oldest first."""
        return self._edits[: self._done]

    def append(self, edit: Edit, entry: JournalEntry) -> None:
        """Add an edit that was carried out just now; what was undone is gone for good."""
        for undone, _ in self._edits[self._done :]:
            undone.forget()
        self._edits[self._done :] = [(edit, entry)]
        self._done += 1

    def undo(self) -> Edit:
        """Take back the newest edit that stands, and return it.

        Raises RefusedError where there is none or it is no longer kept, and whatever the edit
        raises; the journal is then as it was.
        """
        if not self._done:
            raise RefusedError("There is nothing to undo.")
        edit, entry = self._edits[self._done - 1]
        if not edit.undoable:
            raise RefusedError(
                f"“{entry.title}” cannot be undone: its old values took more space than is set "
                "aside for undo. Open the target again to start afresh."
            )
        edit.undo()
        self._done -= 1
        return edit

    def redo(self) -> Edit:
        """Carry out again what was undone last, and return it; raises as :meth:`undo` does."""
        if self._done == len(self._edits):
            raise RefusedError("There is nothing to redo.")
        edit, entry = self._edits[self._done]
        if not edit.undoable:
            raise RefusedError(
                f"“{entry.title}” cannot be redone: its values took more space than is set aside "
                "for undo. Make the edit anew."
            )
        edit.redo()
        self._done += 1
        return edit

    def clear(self) -> None:
        """Forget all edits; the model stays as it is."""
        for edit, _ in self._edits:
            edit.forget()
        self._edits, self._done = [], 0
