"""Setting ``requires_grad`` of a model as a file notes it.

Files that this program exported note it of every parameter by its path; a torch file holds it where
its tensors were saved as Parameters.  It is set as freezing sets it, with the same care.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from inspector_app.backend import planning
from inspector_app.backend.freezing import FreezeEdit, freeze
from inspector_app.backend.matching import match
from inspector_app.backend.recipes import GradientsRecipe
from inspector_app.backend.sharing import overlapping_rows
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Refusal
from inspector_app.protocol.table import Flag, Int32, Role

_TIED = "one tensor under several names, of which some are noted as trainable and some as frozen"
_SHARED = "shares memory with a parameter that is noted otherwise"


@dataclass
class Wanted:
    """Rows whose ``requires_grad`` is to become another."""

    frozen: Int32  # positions
    trainable: Int32
    prefix: str
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tensors(self, tree: Tree) -> int:
        """Distinct tensors among them."""
        rows = [*self.frozen.tolist(), *self.trainable.tolist()]
        return len({id(tree.objects[row]) for row in rows})


def _conflicts(tree: Tree, rows: Int32, wants: Sequence[bool]) -> dict[str, list[int]]:
    """Rows on one memory that are noted as both."""
    table = tree.table
    by_tie: dict[int, set[bool]] = {}
    for row, want in zip(rows.tolist(), wants, strict=True):
        by_tie.setdefault(int(table.tie[row]), set()).add(want)
    both = [tie for tie, wanted in by_tie.items() if tie >= 0 and len(wanted) > 1]
    tied = rows[np.isin(table.tie[rows], both)]
    trainable = rows[np.asarray(wants, bool)]
    shared = overlapping_rows(tree, rows[~np.asarray(wants, bool)])
    shared = shared[np.isin(shared, trainable)]
    others = overlapping_rows(tree, shared)
    others = others[np.isin(others, rows) & ~np.isin(others, trainable)]
    return {_TIED: tied.tolist(), _SHARED: planning.union(table, shared, others).tolist()}


def wanted_gradients(tree: Tree, noted: dict[str, bool], prefix: str | None) -> Wanted:
    """Which parameters differ from what is noted of them; ``prefix`` as for a load."""
    table = tree.table
    able = (table.role == Role.PARAMETER) & ((table.flags & Flag.CAN_TRAIN) != 0)
    positions = {table.path(row): row for row in reversed(planning.rows_where(able).tolist())}
    matches = match(list(noted), list(positions), prefix)
    rows = np.asarray(sorted(positions[key] for key in matches.files), np.int32)
    by_row = {positions[key]: noted[name] for key, name in matches.files.items()}
    wants = [by_row[row] for row in rows.tolist()]
    reasons = _conflicts(tree, rows, wants)
    blocked = {row for held in reasons.values() for row in held}
    frozen: list[int] = []
    trainable: list[int] = []
    with torch._C.DisableTorchFunctionSubclass():
        for row, want in zip(rows.tolist(), wants, strict=True):
            if row not in blocked and tree.objects[row].requires_grad != want:
                (trainable if want else frozen).append(row)
    notes = list(matches.notes)
    left = set(noted) - set(matches.files.values())
    unknown = [name for name in noted if name in left]
    if unknown:
        named = planning.name_list(unknown, len(unknown))
        notes.append(f"noted, but no parameter of this model that can train: {named}")
    silent = len(positions) - len(rows)
    if silent:
        notes.append(f"{silent:,} parameters of this model are not noted and stay as they are")
    return Wanted(
        np.asarray(frozen, np.int32),
        np.asarray(trainable, np.int32),
        matches.prefix,
        planning.refusals(table, reasons),
        notes,
    )


class GradientEdit:
    """Parameters frozen and unfrozen together."""

    def __init__(self, parts: Sequence[FreezeEdit], rows: Int32, wanted: Wanted) -> None:
        self._parts = list(parts)  # all of them are carried out
        self.rows = rows  # ids of all rows that hold one of the tensors
        self.touched = sum(part.touched for part in parts)
        self.refused = [*wanted.refused, *(one for part in parts for one in part.refused)]
        said = [*wanted.notes, *(note for part in parts for note in part.notes)]
        self.notes = list(dict.fromkeys(said))
        recipes = [part.recipe for part in parts if part.recipe is not None]
        self.recipe: GradientsRecipe | None = GradientsRecipe(recipes)

    @property
    def undoable(self) -> bool:
        """Always: it needs no memory but the gradients'."""
        return True

    def redo(self) -> None:
        """Carry it out; raises RefusedError and changes nothing where a tensor objects."""
        _all([part.redo for part in self._parts], [part.undo for part in self._parts])

    def undo(self) -> None:
        """Take it back; raises RefusedError and changes nothing where a tensor objects."""
        parts = self._parts[::-1]
        _all([part.undo for part in parts], [part.redo for part in parts])

    def forget(self) -> None:
        """Let go of the tensors."""
        for part in self._parts:
            part.forget()
        self.recipe = None


def _all(steps: Sequence[Callable[[], None]], inverses: Sequence[Callable[[], None]]) -> None:
    """Take all steps, or none."""
    taken = 0
    try:
        for step in steps:
            step()
            taken += 1
    except BaseException:
        for inverse in reversed(inverses[:taken]):
            inverse()
        raise


def apply_gradients(tree: Tree, wanted: Wanted) -> GradientEdit:
    """Set ``requires_grad`` of all rows that differ; wholly or not at all.

    Raises RefusedError where rows differ and none of them can be set.
    """
    parts: list[FreezeEdit] = []
    failures: list[RefusedError] = []
    try:
        for rows, frozen in ((wanted.frozen, True), (wanted.trainable, False)):
            if not len(rows):
                continue
            try:
                parts.append(freeze(tree, rows, frozen))
            except RefusedError as error:
                failures.append(error)
    except BaseException:
        for part in parts:
            part.undo()
        raise
    if failures and not parts:
        raise failures[0]
    wanted.notes += [failure.sentence for failure in failures]
    ids = [part.rows for part in parts]
    rows = np.unique(np.concatenate(ids)) if ids else np.empty(0, np.int32)
    return GradientEdit(parts, rows.astype(np.int32), wanted)
