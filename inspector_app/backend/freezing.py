"""Freezing and unfreezing: the ``requires_grad`` of parameters, with preview and inverse.

A frozen parameter must not move.  It would, through a gradient left from before (with weight decay
or momentum even a zero one), or through a second parameter on the same memory: so a frozen
parameter loses its gradient, and all parameters on one piece of memory are set together.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inspector_app.backend import norms, parallel, planning
from inspector_app.backend.recipes import FreezeRecipe
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Planned, Refusal
from inspector_app.protocol.table import Flag, Int32, Role

# A subclass may answer for its attributes itself: torch's own class is asked.
_BASE: Any = torch._C.TensorBase
_is_leaf: Callable[[Tensor], bool] = _BASE.is_leaf.__get__
_requires_grad: Callable[[Tensor], bool] = _BASE.requires_grad.__get__
_gradient: Callable[[Tensor], Tensor | None] = _BASE.grad.__get__


@dataclass(frozen=True)
class _Choice:
    """What a selection comes to."""

    tensors: list[Tensor]  # distinct ones that change
    rows: Int32  # all positions that hold one of them
    also: Int32  # positions set though nobody selected them, for they lie on the same memory
    stale: int  # rows of tensors with a gradient that will be taken off
    settled: Int32  # positions that are or will be in the state wished for
    reasons: dict[str, list[int]]


def _booleans(values: list[bool]) -> NDArray[np.bool_]:
    return np.asarray(values, bool)


def _blocked(
    tree: Tree, candidates: Int32, tensors: list[Tensor], changes: NDArray[np.bool_], frozen: bool
) -> dict[str, NDArray[np.bool_]]:
    """Which of the tensors that would change cannot, by reason."""
    exchanged = parallel.wrapped(tree, waiting=frozen)[candidates]
    if frozen:
        leaves = _booleans(list(map(_is_leaf, tensors)))
        reason = "computed from other tensors (not a leaf): its gradient cannot be stopped"
        return {reason: changes & ~leaves, parallel.WAITS: changes & leaves & exchanged}
    inference = _booleans(list(map(_BASE.is_inference, tensors)))
    reason = "made in inference mode: cannot require a gradient"
    return {
        reason: changes & inference,
        parallel.PASSES_OVER: changes & ~inference & exchanged,
    }


def _choose(tree: Tree, positions: Int32, *, frozen: bool) -> _Choice:
    """Sort a selection into what changes, what is already so and what is left out."""
    table = tree.table
    reasons = planning.not_parameters(table, positions)
    able = (table.role == Role.PARAMETER) & ((table.flags & Flag.CAN_TRAIN) != 0)
    selected = positions[able[positions]]
    others = positions[(table.role[positions] == Role.PARAMETER) & ~able[positions]]
    others = others[(table.flags[others] & Flag.TENSOR) != 0]
    for code in sorted(set(table.dtype_index[others].tolist())):
        name = table.dtypes[code] if code >= 0 else "of unknown dtype"
        reasons[f"{name}: only floating-point and complex parameters have gradients"] = others[
            table.dtype_index[others] == code
        ].tolist()
    tied = tied_rows(table, selected)
    overlapping = overlapping_rows(tree, selected)
    rows = planning.union(table, tied, overlapping)
    candidates = rows[able[rows]]
    tensors = [tree.objects[row] for row in candidates.tolist()]
    with torch._C.DisableTorchFunctionSubclass():
        trains = _booleans(list(map(_requires_grad, tensors)))
        wanted = trains if frozen else ~trains
        why_not = _blocked(tree, candidates, tensors, wanted, frozen)
        blocked = np.logical_or.reduce(list(why_not.values()))
        if frozen:
            # A stale gradient moves a parameter that is frozen already, too.
            leaves = tensors
            if blocked.any():
                leaves = [t for t, bad in zip(tensors, blocked.tolist(), strict=True) if not bad]
            changes = ~blocked
            changes[changes] = _booleans([_gradient(tensor) is not None for tensor in leaves])
            stale = int(changes.sum())
            changes |= trains & ~blocked
        else:
            changes, stale = ~trains & ~blocked, 0
    for reason, those in why_not.items():
        reasons[reason] = candidates[those].tolist()
    changing = candidates[changes]
    changed = tensors if changes.all() else [tree.objects[row] for row in changing.tolist()]
    if (table.tie[changing] >= 0).any():
        changed = list({id(tensor): tensor for tensor in changed}.values())
    aliases = rows[~able[rows]]  # plain attributes and buffers that are the very same tensor
    if len(aliases):
        identities = set(map(id, changed))
        same = [id(tree.objects[row]) in identities for row in aliases.tolist()]
        aliases = aliases[_booleans(same)]
    return _Choice(
        tensors=changed,
        rows=planning.union(table, changing, aliases),
        also=overlapping[np.isin(overlapping, changing)],
        settled=candidates[~blocked],
        stale=stale,
        reasons=reasons,
    )


def _notes(tree: Tree, positions: Int32, choice: _Choice, *, frozen: bool) -> list[str]:
    table = tree.table
    notes = planning.tie_notes(table, choice.rows)
    notes += planning.overlap_note(table, choice.also)
    if frozen:
        if choice.stale:
            notes.append(f"{choice.stale:,} gradients are taken off; undo gives them back")
        notes += norms.moving_note(tree, positions)
    return notes


def plan_freeze(tree: Tree, positions: Int32, frozen: bool, title: str) -> Planned:
    """What :func:`freeze` would do; nothing is changed."""
    table = tree.table
    choice = _choose(tree, positions, frozen=frozen)
    return Planned(
        title=title,
        changes=table.ids[choice.rows],
        tensors=len(choice.tensors),
        elements=planning.distinct_elements(table, choice.rows),
        refused=planning.refused_or_empty(table, positions, choice.reasons, choice.settled),
        notes=_notes(tree, positions, choice, frozen=frozen),
        undoable=True,
    )


def _set(tensors: Sequence[Tensor], value: bool) -> None:
    """Set ``requires_grad`` of tensors that all have the other value; all or none."""
    with torch._C.DisableTorchFunctionSubclass():
        try:
            # Tensors made in inference mode can only there be given back what they had.
            with torch.inference_mode(value):
                for tensor in tensors:
                    tensor.requires_grad = value
        except BaseException as error:
            for tensor in tensors:
                if _requires_grad(tensor) == value:
                    tensor.requires_grad = not value
            if not isinstance(error, Exception):
                raise
            raise RefusedError(
                f"requires_grad cannot be set, so nothing was changed: {error}",
                traceback.format_exc(),
            ) from error


class FreezeEdit:
    """A freeze or unfreeze that was carried out: its inverse, and what it touched."""

    def __init__(
        self,
        tensors: Sequence[Tensor],
        frozen: bool,
        rows: Int32,
        refused: list[Refusal],
        notes: list[str],
        recipe: FreezeRecipe | None = None,
    ) -> None:
        self.touched = len(tensors)  # distinct tensors
        self.rows: Int32 = rows  # ids of all rows that hold one of them
        self.refused = refused
        self.notes = notes
        self.recipe = recipe
        self._tensors = list(tensors)
        self._frozen = frozen
        self._flipped: list[Tensor] = []
        self._gradients: list[tuple[Tensor, Tensor]] = []

    @property
    def undoable(self) -> bool:
        """Always: it needs no memory but the gradients'."""
        return True

    def redo(self, *, stale: bool = True) -> None:
        """Carry it out; raises RefusedError and changes nothing where a tensor objects.

        ``stale`` False says that no tensor has a gradient, so that none is looked for.
        """
        with torch._C.DisableTorchFunctionSubclass():
            flipped = [t for t in self._tensors if _requires_grad(t) == self._frozen]
        _set(flipped, not self._frozen)
        self._flipped = flipped
        if self._frozen and stale:
            with torch._C.DisableTorchFunctionSubclass():
                gradients = [(tensor, _gradient(tensor)) for tensor in self._tensors]
                self._gradients = [
                    (t, gradient) for t, gradient in gradients if gradient is not None
                ]
                for tensor, _ in self._gradients:
                    tensor.grad = None

    def undo(self) -> None:
        """Take it back, gradients included; raises RefusedError and changes nothing otherwise."""
        _set(self._flipped, self._frozen)
        with torch._C.DisableTorchFunctionSubclass():
            for tensor, gradient in self._gradients:
                tensor.grad = gradient
        self._flipped, self._gradients = [], []

    def forget(self) -> None:
        """Let go of the tensors: it will be neither undone nor redone."""
        self._tensors, self._flipped, self._gradients, self.recipe = [], [], [], None


def freeze(tree: Tree, positions: Int32, frozen: bool) -> FreezeEdit:
    """Set ``requires_grad`` of all parameters among ``positions`` to ``not frozen``.

    Tensors that are in the state wished for already are not touched.  Raises RefusedError where
    there is nothing that could be set, and then nothing has been changed.
    """
    choice = _choose(tree, positions, frozen=frozen)
    refused = planning.refused_or_empty(tree.table, positions, choice.reasons, choice.settled)
    if not len(choice.settled):
        word = "freeze" if frozen else "unfreeze"
        raise RefusedError(planning.nothing_left(f"There is nothing to {word}", refused))
    notes = _notes(tree, positions, choice, frozen=frozen)
    recipe = FreezeRecipe(tree, choice.settled, frozen)
    ids = tree.table.ids[choice.rows]
    edit = FreezeEdit(choice.tensors, frozen, ids, refused, notes, recipe)
    edit.redo(stale=choice.stale > 0)
    return edit
