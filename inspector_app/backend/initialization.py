"""Writing new values into parameters by a scheme of ``torch.nn.init``, with preview and inverse.

New values are computed beside the model, checked, and only then exchanged with the old ones, which
stay in the snapshot: one copy serves undo and redo alike, bit by bit, and a failure or a cancel
changes nothing.  They are those that ``torch.nn.init`` would write after ``torch.manual_seed``;
a generator of their own leaves the global random state alone.
"""

from __future__ import annotations

import functools
import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inspector_app.backend import fans, planning, resetting
from inspector_app.backend.edits import InitializeEdit
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.snapshots import SnapshotStore, stored_size
from inspector_app.backend.tree import Tree
from inspector_app.backend.writing import (
    computes_or_keeps,
    factor_of_a_weight,
    no_plain_memory,
    padding_row,
    pruned,
)
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Planned, Scheme
from inspector_app.protocol.schemes import all_arguments, check_scheme, scheme_text
from inspector_app.protocol.table import Flag, Int32, Role

__all__ = ["InitializeEdit", "initialize", "plan_initialize"]

_NEEDS_FANS = ("kaiming_uniform_", "xavier_uniform_")
_CONSTANTS = ("zeros_",)


@dataclass(frozen=True)
class _Target:
    """One tensor that gets new values."""

    row: int  # the position it was selected by
    tensor: Tensor
    padding: tuple[int, ...]  # rows of an embedding that keep their values


@dataclass(frozen=True)
class _Choice:
    targets: list[_Target]
    reasons: dict[str, list[int]]
    masked: list[int]  # positions under a pruning mask

    @property
    def rows(self) -> Int32:
        return np.asarray([target.row for target in self.targets], np.int32)

    @property
    def size(self) -> int:
        return sum(stored_size(target.tensor) for target in self.targets)


def _fill(name: str, tensor: Tensor, arguments: dict[str, Any], generator: torch.Generator) -> None:
    function = getattr(nn.init, name)
    function(tensor, **arguments, **({} if name in _CONSTANTS else {"generator": generator}))


@functools.cache
def _dtype_problem(name: str, dtype: torch.dtype) -> str | None:
    """Why values of ``dtype`` cannot be had from a scheme: tried on a small tensor."""
    trial = torch.empty(2, 2, dtype=dtype)
    word = str(dtype).removeprefix("torch.")
    try:
        _fill(name, trial, {}, torch.Generator())
    except (RuntimeError, NotImplementedError):
        return f"{word}: {name} is not defined for it"
    if name == "zeros_" and trial.view(torch.uint8).any():
        return f"{word}: cannot hold a zero"
    return None


def _tensor_problem(tensor: Tensor, scheme: Scheme) -> str | None:
    problem = no_plain_memory(tensor)
    if problem is not None:
        return problem
    with torch._C.DisableTorchFunctionSubclass():
        if tensor.numel() == 0:
            return "holds no elements"
        if scheme.name in _NEEDS_FANS and tensor.dim() < 2:
            return f"{tensor.dim()}-dimensional: has no fans"
        return _dtype_problem(scheme.name, tensor.dtype)


def _choose(tree: Tree, positions: Int32, scheme: Scheme) -> _Choice:
    """Sort a selection into what gets new values and what is left out."""
    table, objects = tree.table, tree.objects
    reasons = planning.not_parameters(table, positions)
    parameters = (table.role == Role.PARAMETER) & ((table.flags & Flag.TENSOR) != 0)
    selected = positions[parameters[positions]]
    groups = planning.tie_groups(table, selected)
    targets: list[_Target] = []
    masked: list[int] = []
    taken: set[int] = set()
    ties, owners = table.tie[selected].tolist(), table.parent[selected].tolist()
    for row, tie, owner in zip(selected.tolist(), ties, owners, strict=True):
        if tie in taken:
            continue
        problem = _tensor_problem(objects[row], scheme)
        padding: list[int] = []
        if tie >= 0 or computes_or_keeps(objects[owner]):
            for known_as in groups.get(tie, [row]):
                if parameters[known_as]:
                    module, name = objects[table.parent[known_as]], table.name(known_as)
                    problem = problem or factor_of_a_weight(module, name)
                    kept = padding_row(module, name)
                    padding += [] if kept is None else [kept]
                    masked += [row] if pruned(module, name) else []
        if problem is not None:
            reasons.setdefault(problem, []).append(row)
            continue
        if tie >= 0:
            taken.add(tie)
        targets.append(_Target(row, objects[row], tuple(padding)))
    # Of a tied tensor that was refused under one name and taken under another, nothing is left out.
    left_out = {
        reason: [row for row in rows if int(table.tie[row]) not in taken]
        for reason, rows in reasons.items()
    }
    return _Choice(targets, left_out, masked)


def _notes(tree: Tree, choice: _Choice, scheme: Scheme, overlapping: Int32) -> list[str]:
    table = tree.table
    rows = choice.rows
    notes = planning.tie_notes(table, rows) + planning.overlap_note(table, overlapping)
    padded = [target.row for target in choice.targets if target.padding]
    if padded:
        notes.append(f"the padding row keeps its values: {planning.paths_list(table, padded)}")
    if choice.masked:
        notes.append(
            "pruned: the mask still lies over the new values: "
            f"{planning.paths_list(table, choice.masked)}"
        )
    if scheme.name in _NEEDS_FANS:
        notes += fans.notes(tree, rows, scheme)
    return notes


def _touched_rows(tree: Tree, choice: _Choice) -> tuple[Int32, Int32]:
    """Positions of all rows whose values change, and of those that merely overlap."""
    rows = tied_rows(tree.table, choice.rows)
    overlapping = overlapping_rows(tree, choice.rows)
    return planning.union(tree.table, rows, overlapping), overlapping


def plan_initialize(
    tree: Tree, positions: Int32, scheme: Scheme, title: str, snapshots: SnapshotStore
) -> Planned:
    """What :func:`initialize` would do; nothing is changed and no random number is drawn.

    Raises RequestError where the scheme or an argument is unknown.
    """
    scheme = check_scheme(scheme)
    if scheme.name == "reset_parameters":
        return resetting.plan_reset(tree, positions, title, snapshots)
    choice = _choose(tree, positions, scheme)
    rows, overlapping = _touched_rows(tree, choice)
    undoable = snapshots.can_keep(choice.size)
    notes = _notes(tree, choice, scheme, overlapping)
    if not undoable:
        notes.append(planning.too_large_note(choice.size))
    return Planned(
        title=title,
        changes=tree.table.ids[rows],
        tensors=len(choice.targets),
        elements=int(tree.table.count[choice.rows].sum()),
        refused=planning.refused_or_empty(tree.table, positions, choice.reasons, choice.rows),
        notes=notes,
        undoable=undoable,
    )


def _empty_like(tensor: Tensor) -> Tensor:
    """An empty tensor with the same strides, on which torch.nn.init does what it would there."""
    empty = torch.empty_strided(
        tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    if tensor.is_conj():
        empty = empty.conj()
    return torch._neg_view(empty) if tensor.is_neg() else empty


def _finite(tensor: Tensor) -> bool:
    """Whether all values are finite (aminmax is not as soon as one is NaN or infinite)."""
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return all(math.isfinite(float(bound)) for bound in torch.aminmax(real))


def _compute(
    tree: Tree,
    targets: Sequence[_Target],
    scheme: Scheme,
    seed: int,
    take: Callable[[_Target, Tensor], None],
    job: Job,
) -> None:
    """Give the new values of each target to ``take``, in order; the model is not touched."""
    arguments = all_arguments(scheme)
    generators: dict[torch.device, torch.Generator] = {}
    for done, target in enumerate(targets):
        job.check()
        job.progress(done, len(targets), "Computing new values")
        with torch._C.DisableTorchFunctionSubclass():
            old = target.tensor.detach()
            if old.device not in generators:
                generators[old.device] = torch.Generator(old.device).manual_seed(seed)
            new = _empty_like(old)
            try:
                _fill(scheme.name, new, arguments, generators[old.device])
            except (RuntimeError, ValueError, OverflowError) as error:
                raise RefusedError(
                    f"{scheme_text(scheme)} failed on "
                    f"{planning.path_of(tree.table, target.row)}, so nothing was changed: {error}",
                    traceback.format_exc(),
                ) from error
            if scheme.name not in _CONSTANTS and not _finite(new):
                raise RefusedError(
                    f"{scheme_text(scheme)} gives values that "
                    f"{str(old.dtype).removeprefix('torch.')} cannot hold "
                    f"({planning.path_of(tree.table, target.row)}). Nothing was changed; choose "
                    "smaller arguments."
                )
            for index in target.padding:
                new[index] = old[index]
        take(target, new)


def _write(target: _Target, new: Tensor) -> None:
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        target.tensor.copy_(new)


def initialize(
    tree: Tree,
    positions: Int32,
    scheme: Scheme,
    seed: int,
    snapshots: SnapshotStore,
    job: Job = NO_JOB,
) -> InitializeEdit:
    """Write new values into the parameters among ``positions``; wholly or not at all.

    Raises RequestError for a wrong scheme, RefusedError where nothing can be written or the values
    would not be finite, ModelError where a module's own ``reset_parameters`` fails, Cancelled.
    """
    scheme = check_scheme(scheme)
    if scheme.name == "reset_parameters":
        return resetting.reset(tree, positions, seed, snapshots, job)
    choice = _choose(tree, positions, scheme)
    refused = planning.refused_or_empty(tree.table, positions, choice.reasons, choice.rows)
    if not choice.targets:
        raise RefusedError(planning.nothing_left("There is nothing to initialise", refused))
    rows, overlapping = _touched_rows(tree, choice)
    notes = _notes(tree, choice, scheme, overlapping)
    tensors = [target.tensor for target in choice.targets]
    snapshot = snapshots.reserve(choice.size)
    if snapshot is None:
        notes.append(planning.too_large_note(choice.size))
        # The old values cannot be kept, so what can fail must fail in a rehearsal.
        _compute(tree, choice.targets, scheme, seed, lambda target, new: None, job)
        _compute(tree, choice.targets, scheme, seed, _write, NO_JOB)
    else:
        put = snapshot.put
        try:
            _compute(
                tree, choice.targets, scheme, seed, lambda target, new: put(new, own=True), job
            )
            snapshot.exchange(tensors)
        except OSError as error:
            snapshot.drop()
            raise RefusedError(
                f"The old values could not be kept, so nothing was changed: {error}"
            ) from error
        except BaseException:
            snapshot.drop()
            raise
    return InitializeEdit(tensors, snapshot, tree.table.ids[rows], len(tensors), refused, notes)
