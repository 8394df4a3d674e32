"""Holding the statistics of normalisation layers: their training flag, with preview and inverse.

``requires_grad`` does not hold them: a forward in train mode moves the running mean and variance
of a frozen layer all the same.  In eval mode the layer uses them and leaves them alone.  That is a
flag of the layer which any ``train()`` of a module above sets again, so the plan says that, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from inspector_app.backend import planning
from inspector_app.backend.planning import rows_where
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Planned, Refusal
from inspector_app.protocol.table import Flag, Int32, Role

_TRAIN_UNDOES = "train() of any module above undoes this: call eval() on them again after it"
_NO_STATISTICS = "keeps no running statistics"


def keeps_statistics(module: object) -> bool:
    """Whether a module moves statistics in train mode: torch's own, or named like theirs."""
    if not isinstance(module, nn.Module):
        return False
    facts = instance_dict(module)
    buffers = facts.get("_buffers") or {}
    if isinstance(module, _NormBase):
        return bool(facts.get("track_running_stats")) and buffers.get("running_mean") is not None
    return any(
        str(name).startswith("running_") for name, held in buffers.items() if held is not None
    )


def in_train_mode(module: nn.Module) -> bool:
    """Its training flag, read without running its code."""
    return bool(instance_dict(module).get("training"))


def keepers(tree: Tree, positions: Int32) -> list[int]:
    """Positions of modules with running statistics: selected themselves, or by what they hold."""
    table = tree.table
    owners = np.zeros(len(table), bool)
    owners[positions] = True
    owners[table.parent[positions[positions > 0]]] = True
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
        "running statistics still move in train mode, frozen or not; hold them, or call eval() on "
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
    ) -> None:
        self.touched = len(modules)  # distinct modules
        self.rows: Int32 = rows  # ids
        self.refused = refused
        self.notes = notes
        self._modules = list(modules)
        self._held = held
        self._old: list[Any] = []

    @property
    def undoable(self) -> bool:
        """Always: it needs no memory."""
        return True

    def redo(self) -> None:
        """Set the flags, those of the layers alone: ``eval()`` may be overridden."""
        self._old = [instance_dict(module)["training"] for module in self._modules]
        for module in self._modules:
            instance_dict(module)["training"] = not self._held

    def undo(self) -> None:
        """Give back the flags there were before."""
        for module, old in zip(self._modules, self._old, strict=True):
            instance_dict(module)["training"] = old

    def forget(self) -> None:
        """Let go of the modules."""
        self._modules, self._old = [], []


def _choose(tree: Tree, positions: Int32, *, held: bool) -> tuple[list[int], list[int], Int32]:
    """Positions of layers that change, of all that keep statistics, and ids of what changes."""
    able = [
        row for row in keepers(tree, positions) if "training" in instance_dict(tree.objects[row])
    ]
    changing = [row for row in able if in_train_mode(tree.objects[row]) == held]
    objects = {id(tree.objects[row]) for row in changing}
    table = tree.table
    modules = rows_where((table.flags & Flag.TENSOR) == 0)
    rows = [row for row in modules.tolist() if id(tree.objects[row]) in objects]
    return changing, able, table.ids[np.asarray(rows, np.int32)]


def _refused(tree: Tree, positions: Int32, able: list[int]) -> list[Refusal]:
    """What a person pointed at that holds no such layer."""
    if able:
        return []
    directly = planning.selected_directly(tree.table, positions)
    return planning.refusals(tree.table, {_NO_STATISTICS: directly.tolist()})


def _notes(tree: Tree, changing: list[int], *, held: bool) -> list[str]:
    if not changing or not held:
        return []
    notes = [_TRAIN_UNDOES]
    table = tree.table
    training = [
        row
        for row in changing
        if (
            (table.parent == row)
            & (table.role == Role.PARAMETER)
            & ((table.flags & Flag.REQUIRES_GRAD) != 0)
        ).any()
    ]
    if training:
        notes.append(f"their own parameters still train: {planning.paths_list(table, training)}")
    return notes


def plan_hold(tree: Tree, positions: Int32, held: bool, title: str) -> Planned:
    """What :func:`hold` would do; nothing is changed.  ``tensors`` counts modules."""
    changing, able, ids = _choose(tree, positions, held=held)
    return Planned(
        title=title,
        changes=ids,
        tensors=len(changing),
        elements=0,
        refused=_refused(tree, positions, able),
        notes=_notes(tree, changing, held=held),
        undoable=True,
    )


def hold(tree: Tree, positions: Int32, held: bool) -> HoldEdit:
    """Set the layers with running statistics among ``positions`` to eval mode, or back to train.

    Raises RefusedError where there is none.
    """
    changing, able, ids = _choose(tree, positions, held=held)
    if not able:
        refused = _refused(tree, positions, able)
        raise RefusedError(planning.nothing_left("There are no statistics to hold", refused))
    modules = [tree.objects[row] for row in changing]
    edit = HoldEdit(modules, held, ids, [], _notes(tree, changing, held=held))
    edit.redo()
    return edit
