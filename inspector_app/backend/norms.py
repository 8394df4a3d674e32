"""Holding what forwards move by themselves: the training flag of its layers, with inverse.

``requires_grad`` does not hold the running mean and variance of a frozen batch normalisation, nor
the estimate by which a spectral norm divides a frozen weight: a forward in train mode moves them
all the same.  In eval mode the layer uses them and leaves them alone.  That is a flag of the layer
which any ``train()`` of a module above sets again, so the plan says that, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrizations import _SpectralNorm

from inspector_app.backend import planning
from inspector_app.backend.computed import computed_by
from inspector_app.backend.module_flags import in_train_mode
from inspector_app.backend.modules import set_training_flag, training_flag
from inspector_app.backend.planning import rows_where
from inspector_app.backend.recipes import HoldRecipe
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict, items_of
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Planned, Refusal
from inspector_app.protocol.table import Flag, Int32, Role

_TRAIN_UNDOES = "train() of any module above undoes this: call eval() on them again after it"
_NO_STATISTICS = "keeps no running statistics"
_TRACED = "traced: does in every mode what it did when it was traced"
_COMPILED = "scripted, so held only where their own code asks for the mode"


def keeps_statistics(module: Any) -> bool:
    """Whether a module moves statistics in train mode: torch's own, or named like theirs.

    The estimates of a spectral norm are such statistics, too.
    """
    if not issubclass(type(module), nn.Module):
        return False
    if issubclass(type(module), _SpectralNorm):
        return True
    facts = instance_dict(module)
    if _is_traced(module):
        facts = instance_dict(facts["_actual_script_module"])
    buffers = dict(items_of(facts.get("_buffers")))
    if issubclass(type(module), _NormBase):
        return bool(facts.get("track_running_stats")) and buffers.get("running_mean") is not None
    return any(
        str(name).startswith("running_") for name, held in buffers.items() if held is not None
    ) or any(one.style == "spectral_norm" for one in computed_by(module))


def _is_traced(module: nn.Module) -> bool:
    return issubclass(type(module), torch.jit._trace.TracedModule)


def keepers(tree: Tree, positions: Int32) -> list[int]:
    """Positions of modules with running statistics: selected themselves, or by what they hold."""
    table = tree.table
    owners = np.zeros(len(table), bool)
    owners[positions] = True
    owners[table.parent[positions[positions > 0]]] = True
    kinds = [index for index, name in enumerate(table.classes) if name == "ParametrizationList"]
    for row in rows_where(owners & np.isin(table.class_index, kinds)).tolist():
        owners[row : table.end[row]] = True  # what computes a weight belongs to it
    holds_buffers = np.zeros(len(table), bool)
    holds_buffers[table.parent[table.role == Role.BUFFER]] = True
    found = []
    seen: set[int] = set()
    for row in rows_where(owners & holds_buffers).tolist():
        module = tree.objects[row]
        if id(module) not in seen and keeps_statistics(module):
            seen.add(id(module))
            found.append(row)
    return found


def moving_note(tree: Tree, positions: Int32) -> list[str]:
    """A note about layers whose statistics move though their parameters are frozen."""
    moving = [row for row in keepers(tree, positions) if in_train_mode(tree.objects[row])]
    if not moving:
        return []
    return [
        "running statistics still move in train mode, frozen or not: hold them, or call eval() on "
        "these, and again after every train() of a module above: "
        f"{planning.paths_list(tree.table, moving)}"
    ]


class HoldEdit:
    """Training flags that were set: their inverse, and what they touched."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        held: bool,
        rows: Int32,
        refused: list[Refusal],
        notes: list[str],
        recipe: HoldRecipe | None = None,
    ) -> None:
        self.touched = len(modules)  # distinct modules
        self.rows: Int32 = rows  # ids
        self.refused = refused
        self.notes = notes
        self.recipe = recipe
        self._modules = list(modules)
        self._held = held
        self._old: list[Any] = []

    @property
    def undoable(self) -> bool:
        """Always: it needs no memory."""
        return True

    def redo(self) -> None:
        """Set the flags, those of the layers alone: ``eval()`` may be overridden."""
        self._old = [training_flag(module) for module in self._modules]
        for module in self._modules:
            set_training_flag(module, not self._held)

    def undo(self) -> None:
        """Give back the flags there were before."""
        for module, old in zip(self._modules, self._old, strict=True):
            set_training_flag(module, old)

    def forget(self) -> None:
        """Let go of the modules."""
        self._modules, self._old, self.recipe = [], [], None


@dataclass(frozen=True)
class _Choice:
    """What a selection comes to."""

    changing: list[int]  # positions of layers whose flag is set
    able: list[int]  # of all layers that can be held
    ids: Int32  # of all rows that hold one of those that change
    reasons: dict[str, list[int]]


def _choose(tree: Tree, positions: Int32, *, held: bool) -> _Choice:
    table = tree.table
    found = keepers(tree, positions)
    traced = [row for row in found if _is_traced(tree.objects[row])]
    able = [
        row for row in found if row not in traced and in_train_mode(tree.objects[row]) is not None
    ]
    changing = [row for row in able if in_train_mode(tree.objects[row]) == held]
    objects = {id(tree.objects[row]) for row in changing}
    modules = rows_where((table.flags & Flag.TENSOR) == 0).tolist() if objects else []
    rows = [row for row in modules if id(tree.objects[row]) in objects]
    reasons = {_TRACED: traced}
    if not able and not traced:  # what a person pointed at holds no such layer
        reasons[_NO_STATISTICS] = planning.selected_directly(table, positions).tolist()
    return _Choice(changing, able, table.ids[np.asarray(rows, np.int32)], reasons)


def _notes(tree: Tree, changing: list[int], *, held: bool) -> list[str]:
    if not changing or not held:
        return []
    notes = [_TRAIN_UNDOES]
    table = tree.table
    owners = np.zeros(len(table), bool)
    trains = (table.role == Role.PARAMETER) & ((table.flags & Flag.REQUIRES_GRAD) != 0)
    owners[table.parent[trains]] = True
    training = [row for row in changing if owners[row]]
    if training:
        notes.append(f"their own parameters still train: {planning.paths_list(table, training)}")
    compiled = [
        row for row in changing if issubclass(type(tree.objects[row]), torch.jit.ScriptModule)
    ]
    if compiled:
        notes.append(f"{_COMPILED}: {planning.paths_list(table, compiled)}")
    return notes


def plan_hold(tree: Tree, positions: Int32, held: bool, title: str) -> Planned:
    """What :func:`hold` would do; nothing is changed.  ``tensors`` counts modules."""
    choice = _choose(tree, positions, held=held)
    return Planned(
        title=title,
        changes=choice.ids,
        tensors=len(choice.changing),
        elements=0,
        refused=planning.refusals(tree.table, choice.reasons),
        notes=_notes(tree, choice.changing, held=held),
        undoable=True,
    )


def hold(tree: Tree, positions: Int32, held: bool) -> HoldEdit:
    """Set the layers with running statistics among ``positions`` to eval mode, or back to train.

    Raises RefusedError where there is none.
    """
    choice = _choose(tree, positions, held=held)
    refused = planning.refusals(tree.table, choice.reasons)
    if not choice.able:
        word = "hold" if held else "let move"
        raise RefusedError(planning.nothing_left(f"There are no statistics to {word}", refused))
    modules = [tree.objects[row] for row in choice.changing]
    notes = _notes(tree, choice.changing, held=held)
    recipe = HoldRecipe(tree, choice.changing, held)
    edit = HoldEdit(modules, held, choice.ids, refused, notes, recipe)
    edit.redo()
    return edit
