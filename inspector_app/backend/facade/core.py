"""What all parts of a session share: the open target, its tree and the journal."""

from __future__ import annotations

import gc
import secrets
from typing import Literal

import numpy as np

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.journal import Edit, Journal, NewEdit
from inspector_app.backend.marking import marked
from inspector_app.backend.opening import OpenModel
from inspector_app.backend.planning import union
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.selecting import resolve
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.backend.tree import Tree, build_tree, refreshed, totals
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import RowsChange, change_of_rows, difference
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.presets import spoken
from inspector_app.protocol.table import Flag, Int32, RowTable


class Core:
    """One open target; opening another one lets go of it, hooks and snapshots included."""

    _adopted = False  # a live model, which somebody else's program holds

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.revision = 0
        self._opened: OpenModel | Checkpoint | None = None
        self._disabled: dict[str, str] = {}
        self._tree: Tree
        self._shown: RowTable | None = None  # of a live model: what was told of it last
        self._laid_on: Int32 | None = None  # ids of rows that got values while it was opened
        self._materialised = False  # whether a forward gave lazy tensors their shapes
        self._probes = ProbeSet()
        self._journal = Journal()
        self._snapshots = SnapshotStore()

    def close(self) -> None:
        """Let go of the target: no hook, no temporary file stays behind.  May be called twice."""
        self._probes.clear()
        self._journal.clear()
        self._snapshots.close()
        if isinstance(self._opened, Checkpoint):
            self._opened.close()
        self._opened = None
        if self._adopted:  # it outlives this session, and must not be kept by it
            vars(self).pop("_tree", None)
        self._laid_on = None
        self._materialised = False
        gc.unfreeze()
        self._probes = ProbeSet()
        self._journal = Journal()
        self._snapshots = SnapshotStore()

    @property
    def tree(self) -> Tree:
        """Rows and objects of the open target; raises RequestError where nothing is open."""
        if self._opened is None:
            raise RequestError("Nothing is open: open a target first.")
        return self._tree

    @property
    def probes(self) -> ProbeSet:
        """All probes on the open target."""
        return self._probes

    def _model_for(self, operation: str) -> OpenModel:
        """The open model; raises RefusedError with the reason where it cannot do ``operation``."""
        self._check(operation)
        assert isinstance(self._opened, OpenModel)
        if self._adopted:  # its own program may have replaced parts of it
            self._rebuilt(ran=False)
        return self._opened

    def _check(self, operation: str) -> None:
        """Raise RefusedError with the reason where the open target cannot do ``operation``."""
        _ = self.tree
        if operation in self._disabled:
            raise RefusedError(self._disabled[operation])

    def _totals(self) -> m.Totals:
        if isinstance(self._opened, Checkpoint):
            return self._opened.totals()
        return totals(self._tree)

    @property
    def _kind(self) -> Literal["model", "checkpoint"]:
        return "checkpoint" if isinstance(self._opened, Checkpoint) else "model"

    def _position(self, row: int) -> int:
        try:
            return self.tree.table.position(row)
        except KeyError:
            raise RequestError(f"Row {row} is not in the tree any more.") from None

    # -- selections ------------------------------------------------------------------------------

    def _selected(self, selection: m.Selection) -> Int32:
        return resolve(self.tree, selection)

    def _patterns(self, selection: m.Selection) -> list[str]:
        """The selection in words that outlive the rows' ids."""
        table = self._tree.table
        return [table.path(self._position(row)) for row in selection.rows] + selection.patterns

    def _spoken(self, selection: m.Selection) -> str:
        """The selection as a title says it."""
        names = [spoken(pattern) for pattern in self._patterns(selection)] or ["nothing"]
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"

    # -- edits -----------------------------------------------------------------------------------

    def _carried_out(
        self,
        edit: NewEdit,
        entry: m.JournalEntry,
    ) -> m.Edited:
        """Note an edit that was carried out just now, and answer."""
        if edit.touched:  # what was so already is not an edit
            self._journal.append(edit, entry)
        return self._edited(edit, refused=edit.refused, notes=edit.notes)

    def _edited(
        self,
        edit: Edit,
        refused: list[m.Refusal] | None = None,
        notes: list[str] | None = None,
    ) -> m.Edited:
        """The answer to an edit whose work is done: flags read again, revision counted."""
        self.revision += 1
        if getattr(edit, "attributes", None):
            change = self._rebuilt(
                ran=False
            )  # a module's own code set attributes: rows may have come
        else:
            known = edit.rows[np.isin(edit.rows, self._tree.table.ids)]
            positions = self._tree.table.positions(known)
            self._tree, change = refreshed(self._tree, positions)
            self._tree, initial = marked(self._tree, self._settled())
            if len(initial):
                every = union(self._tree.table, positions, initial)
                change = change_of_rows(self._tree.table, every)
            if change.empty:  # new values show in no column, yet these are the rows that changed
                change = change_of_rows(self._tree.table, positions)
        return m.Edited(
            change=self._told(change),
            totals=self._totals(),
            history=self._journal.history,
            refused=refused or [],
            notes=notes or [],
        )

    def _told(self, change: RowsChange) -> RowsChange:
        """What to tell of a change: of a live model all that is new since it was told of last."""
        if self._shown is None:
            return change
        since, self._shown = difference(self._shown, self._tree.table), self._tree.table
        return change if since.empty else since

    def _settled(self) -> Int32 | None:
        """Ids of rows whose values were loaded or initialised; None where nothing was loaded."""
        loaded = self._laid_on is not None
        written = [] if self._laid_on is None else [self._laid_on]
        for edit, entry in self._journal.standing:
            if entry.kind in ("load", "initialize", "train"):
                written.append(edit.rows)
                loaded = loaded or entry.kind == "load"
        return np.concatenate(written) if loaded else None

    def _rebuilt(self, *, ran: bool = True) -> RowsChange:
        """Walk the model again: a forward may materialise lazy layers or keep new tensors.

        Where it did not run, an edit of the journal did that.
        """
        assert isinstance(self._opened, OpenModel)
        before = self._tree.table
        tree = build_tree(self._opened.model, self._tree)
        lazy = before.ids[(before.flags & Flag.LAZY) != 0]
        still = tree.table.ids[(tree.table.flags & Flag.LAZY) != 0]
        self._materialised = self._materialised or (ran and not np.isin(lazy, still).all())
        self._tree, _ = marked(tree, self._settled())
        change = difference(before, self._tree.table)
        if not change.empty:
            self.revision += 1
        return change
