"""``reset_parameters``: each module writes its own values, as it does when it is made.

Inner modules come first, so that an outer one has the last word (as in ``nn.Module.apply``).  This
is a user's code: before it runs, all values below the modules are kept; whatever it raises, all is
put back; and objects that it replaces, instead of writing into them, are put back as well.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from inspector_app.backend import planning
from inspector_app.backend.edits import InitializeEdit, staged_in
from inspector_app.backend.failures import spoken
from inspector_app.backend.holding import Held
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.planning import rows_where
from inspector_app.backend.recipes import ResetRecipe
from inspector_app.backend.running import private_random
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.snapshots import Snapshot, SnapshotStore, stored_size
from inspector_app.backend.tree import Tree
from inspector_app.backend.writing import (
    computes_its_weights,
    factor_of_a_weight,
    no_plain_memory,
)
from inspector_app.protocol.errors import ModelError, RefusedError
from inspector_app.protocol.messages import Planned
from inspector_app.protocol.table import Flag, Int32, Role, RowTable

_METHODS = ("reset_parameters", "_reset_parameters")
_NOT_COVERED = "no module selected has a reset_parameters that covers it; select its module"
_REPLACED = "its reset_parameters replaces parameters or buffers instead of writing into them"
_NOT_WRITTEN = "left as it was: no reset_parameters wrote it"


@dataclass(frozen=True)
class _Call:
    row: int  # position of the module
    module: nn.Module
    method: str


@dataclass(frozen=True)
class _Choice:
    calls: list[_Call]  # in the order in which they are made
    covered: NDArray[np.bool_]  # rows at or below one of them
    parameters: Int32  # positions that are covered and not left out
    reasons: dict[str, list[int]]


def _method(cls: type) -> tuple[str | None, str | None]:
    """The method that resets instances of a class, or why it cannot be called."""
    for name in _METHODS:
        # Looked up on the class: getattr on a module may run its code.
        function = getattr(cls, name, None)
        if not callable(function):
            continue
        try:
            inspect.signature(function).bind(None)
        except TypeError:
            return None, f"{cls.__name__}.{name} asks for arguments"
        except ValueError:
            pass  # no signature to be had
        return name, None
    return None, None


def _memory_problems(tree: Tree, rows: Int32) -> dict[int, str]:
    """Registered tensors among ``rows`` whose values cannot be kept and written, and why."""
    table = tree.table
    tensors = (table.flags[rows] & Flag.TENSOR) != 0
    registered = (table.role[rows] == Role.PARAMETER) | (table.role[rows] == Role.BUFFER)
    problems = {}
    for row in rows[tensors & registered].tolist():
        problem = no_plain_memory(tree.objects[row])
        if problem is not None:
            problems[row] = problem
    return problems


def _choose(tree: Tree, positions: Int32, without: frozenset[int]) -> _Choice:
    """Sort a selection; the modules at the positions ``without`` are left out."""
    table = tree.table
    reasons = planning.not_parameters(table, positions)
    problems = _memory_problems(tree, positions)
    bad = np.zeros(len(table) + 1, np.int64)
    bad[1 + np.asarray(sorted(problems), np.int64)] = 1
    bad_before = np.cumsum(bad)
    methods: dict[type, tuple[str | None, str | None]] = {}
    calls: list[_Call] = []
    why_not: dict[int, str] = {}  # modules that are not reset
    seen: set[int] = set()
    for row in _modules(tree, positions):
        module = tree.objects[row]
        cls = type(module)
        if cls not in methods:
            methods[cls] = _method(cls)
        method, problem = methods[cls]
        if method is not None or problem is not None:
            problem = problem or computes_its_weights(module)
            if row in without:
                problem = _REPLACED
            end = int(table.end[row])
            if problem is None and bad_before[end] > bad_before[row]:
                first = next(other for other in sorted(problems) if row <= other < end)
                problem = f"{planning.path_of(table, first)}: {problems[first]}"
            if problem is not None:
                why_not[row] = problem
            elif method is not None and id(module) not in seen:
                seen.add(id(module))
                calls.append(_Call(row, module, method))
    covered = np.zeros(len(table), bool)
    for call in calls:
        covered[call.row : table.end[call.row]] = True
    parameters = (table.role == Role.PARAMETER) & ((table.flags & Flag.TENSOR) != 0)
    taken = []
    for row in positions[parameters[positions]].tolist():
        reason = problems.get(row) or _owner_problem(tree, row, why_not)
        if reason is None and not covered[row]:
            reason = _reason_above(table, row, why_not) or _NOT_COVERED
        if reason is None:
            taken.append(row)
        else:
            reasons.setdefault(reason, []).append(row)
    return _Choice(calls, covered, np.asarray(taken, np.int32), reasons)


def _modules(tree: Tree, positions: Int32) -> list[int]:
    """Modules among ``positions``, children before parents and siblings in order."""
    table = tree.table
    plain = (table.flags[positions] & (Flag.TENSOR | Flag.REFERENCE | Flag.CONTAINER)) == 0
    rows = positions[plain]
    rows = rows[np.lexsort((-rows, table.end[rows]))]
    return [row for row in rows.tolist() if issubclass(type(tree.objects[row]), nn.Module)]


def _owner_problem(tree: Tree, row: int, why_not: dict[int, str]) -> str | None:
    """Why the module that owns a parameter cannot write it, though one above it may run."""
    owner = int(tree.table.parent[row])
    problem = factor_of_a_weight(tree.objects[owner], tree.table.name(row))
    if problem is None and why_not.get(owner) is not None:
        problem = computes_its_weights(tree.objects[owner])
    return problem


def _reason_above(table: RowTable, row: int, why_not: dict[int, str]) -> str | None:
    """Why the nearest module above a parameter that has a reset_parameters is left out."""
    above = int(table.parent[row])
    while above >= 0:
        if above in why_not:
            return why_not[above]
        above = int(table.parent[above])
    return None


def _affected(tree: Tree, choice: _Choice) -> Int32:
    """Rows expected to change: the parameters, and statistics of normalisation layers."""
    table = tree.table
    statistics = np.zeros(len(table), bool)
    for call in choice.calls:
        if isinstance(call.module, _NormBase):
            statistics[call.row : table.end[call.row]] = True
    tensors = (table.flags & Flag.TENSOR) != 0
    statistics &= tensors & (table.role == Role.BUFFER)
    return tied_rows(table, planning.union(table, choice.parameters, rows_where(statistics)))


def _held_rows(tree: Tree, choice: _Choice) -> list[int]:
    """One row for each distinct tensor at or below the modules, as far as it can be kept."""
    table = tree.table
    tensors = choice.covered & ((table.flags & Flag.TENSOR) != 0)
    first_rows: dict[int, int] = {}
    for row in rows_where(tensors).tolist():
        tensor = tree.objects[row]
        if id(tensor) not in first_rows and no_plain_memory(tensor) is None:
            first_rows[id(tensor)] = row
    return list(first_rows.values())


def _tie_notes(tree: Tree, choice: _Choice) -> list[str]:
    """Which of several owners of one tensor writes it last."""
    table = tree.table
    order = {call.row: index for index, call in enumerate(choice.calls)}
    notes = planning.tie_notes(table, choice.parameters)
    for rows in list(planning.tie_groups(table, choice.parameters).values())[: planning.NAMES]:
        owners = {int(table.parent[row]) for row in rows} & order.keys()
        if len(owners) > 1:
            last = max(owners, key=order.__getitem__)
            notes.append(
                f"tied: of the modules that own {planning.path_of(table, rows[0])}, "
                f"{planning.path_of(table, last)} resets it last, so its values stay"
            )
    return notes


def _no_room(size: int) -> str:
    return (
        f"reset_parameters runs the model's own code, so the old values ({size:,} bytes) must be "
        "kept first, and they take more than is set aside for undo; select less"
    )


def _size(tree: Tree, rows: Sequence[int]) -> int:
    return sum(stored_size(tree.objects[row]) for row in rows)


def covered_rows(tree: Tree, positions: Int32) -> Int32:
    """Positions at or below the modules among ``positions`` that would be reset."""
    return rows_where(_choose(tree, positions, frozenset()).covered)


def held_size(tree: Tree, positions: Int32) -> int:
    """Bytes of all tensors at or below these modules."""
    return _size(tree, _held_rows(tree, _choose(tree, positions, frozenset())))


def plan_reset(tree: Tree, positions: Int32, title: str, snapshots: SnapshotStore) -> Planned:
    """What :func:`reset` would do, as far as can be said without running the modules' code."""
    table = tree.table
    choice = _choose(tree, positions, frozenset())
    rows = _affected(tree, choice)
    size = _size(tree, _held_rows(tree, choice))
    refused = planning.refused_or_empty(table, positions, choice.reasons, choice.parameters)
    notes = _tie_notes(tree, choice)
    if not snapshots.can_keep(size):
        refused += planning.refusals(table, {_no_room(size): [call.row for call in choice.calls]})
        rows = np.empty(0, np.int32)
    return Planned(
        title=title,
        changes=table.ids[rows],
        tensors=len({id(tree.objects[row]) for row in rows.tolist()}),
        elements=planning.distinct_elements(table, rows),
        refused=refused,
        notes=notes,
        undoable=True,
    )


def _run(table: RowTable, choice: _Choice, seed: int, job: Job) -> None:
    with private_random(seed), torch.no_grad():
        for done, call in enumerate(choice.calls):
            job.check()
            job.progress(done, len(choice.calls), "Resetting modules")
            cls = type(call.module)
            try:
                getattr(cls, call.method)(call.module)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise ModelError(
                    f"{cls.__name__}.{call.method} failed at "
                    f"{planning.path_of(table, call.row)}, so nothing was changed: "
                    f"{spoken(error)}.",
                    traceback.format_exc(),
                ) from error


def _attempt(
    tree: Tree, choice: _Choice, seed: int, snapshot: Snapshot, rows: Sequence[int], job: Job
) -> tuple[Held, list[int], list[int]]:
    """Run the calls; what was rejoined, and replaced, in which case all has been put back.

    Where anything raises, all has been put back as well.
    """
    tensors: list[Tensor] = [tree.objects[row] for row in rows]
    for tensor in tensors:
        job.check()
        snapshot.put(tensor)
    modules = [(row, tree.objects[row]) for row in _modules(tree, rows_where(choice.covered))]
    held = Held(modules, list(zip(rows, tensors, strict=True)))
    try:
        _run(tree.table, choice, seed, job)
        rejoined = held.rejoin()
        replaced = held.replaced()
    except BaseException:
        held.restore()
        snapshot.exchange(tensors)
        raise
    if replaced:
        held.restore()
        snapshot.exchange(tensors)
    return held, rejoined, replaced


def _guilty(choice: _Choice, table: RowTable, rows: Sequence[int]) -> frozenset[int]:
    """Of the modules that were reset, the innermost around each of ``rows``."""
    return frozenset(
        max(call.row for call in choice.calls if call.row <= row < table.end[call.row])
        for row in rows
    )


def _edit(
    tree: Tree,
    choice: _Choice,
    held: Held,
    snapshot: Snapshot,
    rows: Sequence[int],
    positions: Int32,
    recipe: ResetRecipe,
) -> InitializeEdit:
    """The edit, with what was really written: a module may leave parameters alone."""
    table = tree.table
    tensors: list[Tensor] = [tree.objects[row] for row in rows]
    written = {
        id(tensor)
        for index, (tensor, moved) in enumerate(zip(tensors, held.versions_moved(), strict=True))
        if moved or not snapshot.same(index, tensor)
    }
    touched = np.asarray([row for row in rows if id(tree.objects[row]) in written], np.int32)
    left = [row for row in choice.parameters.tolist() if id(tree.objects[row]) not in written]
    reasons = choice.reasons | {_NOT_WRITTEN: left}
    changed = planning.union(table, tied_rows(table, touched), overlapping_rows(tree, touched))
    return InitializeEdit(
        tensors,
        snapshot,
        table.ids[changed],
        len(touched),
        planning.refused_or_empty(table, positions, reasons, choice.parameters),
        _tie_notes(tree, choice),
        held.attribute_changes(),
        recipe,
    )


def reset(
    tree: Tree, positions: Int32, seed: int, snapshots: SnapshotStore, job: Job = NO_JOB
) -> InitializeEdit:
    """Call ``reset_parameters`` of all modules among ``positions``; wholly or not at all.

    Modules that replace parameters or buffers are put back and the rest is done again without
    them.  Raises RefusedError where nothing can be reset, ModelError where a module's code raises,
    Cancelled.
    """
    without: frozenset[int] = frozenset()
    while True:
        choice = _choose(tree, positions, without)
        if not choice.calls:
            refused = planning.refused_or_empty(
                tree.table, positions, choice.reasons, choice.parameters
            )
            raise RefusedError(planning.nothing_left("There is nothing to reset", refused))
        rows = _held_rows(tree, choice)
        snapshot = snapshots.reserve(_size(tree, rows))
        if snapshot is None:
            raise RefusedError(_no_room(_size(tree, rows)) + ".")
        with staged_in(snapshot):
            held, rejoined, replaced = _attempt(tree, choice, seed, snapshot, rows, job)
            if not replaced:
                calls = [(call.row, call.method) for call in choice.calls]
                recipe = ResetRecipe(tree, calls, seed, rejoined)
                return _edit(tree, choice, held, snapshot, rows, positions, recipe)
        snapshot.drop()
        without |= _guilty(choice, tree.table, replaced)
