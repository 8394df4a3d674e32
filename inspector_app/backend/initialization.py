"""Writing new values into parameters by a scheme of ``torch.nn.init``, with preview and inverse.

New values are computed beside the model, checked, and only then exchanged with the old ones, which
stay in the snapshot: one copy serves undo and redo alike, bit by bit, and a failure or a cancel
changes nothing.  They are drawn from a generator of their own, as after ``torch.manual_seed``; the
global random state is left alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from inspector_app.backend import planning, resetting
from inspector_app.backend.edits import InitializeEdit, staged_in
from inspector_app.backend.filling import Generators, NotHeldError
from inspector_app.backend.init_targets import Choice, Target, choose
from inspector_app.backend.init_targets import notes as notes_of
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.parametrized import Unassignable
from inspector_app.backend.recipes import InitializeRecipe
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Planned, Scheme
from inspector_app.protocol.schemes import check_scheme, scheme_text
from inspector_app.protocol.table import Int32

__all__ = ["InitializeEdit", "computed", "initialize", "plan_initialize"]


def _touched_rows(tree: Tree, choice: Choice) -> tuple[Int32, Int32]:
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
    choice = choose(tree, positions, scheme)
    rows, overlapping = _touched_rows(tree, choice)
    undoable = snapshots.can_keep(choice.size)
    notes = notes_of(tree, choice, scheme, overlapping)
    if not undoable:
        notes.append(planning.too_large_note(choice.size))
    return Planned(
        title=title,
        changes=tree.table.ids[rows],
        tensors=len(choice.tensors),
        elements=int(tree.table.count[choice.rows].sum()),
        refused=planning.refused_or_empty(tree.table, positions, choice.reasons, choice.rows),
        notes=notes,
        undoable=undoable,
    )


def computed(
    tree: Tree, targets: Sequence[Target], scheme: Scheme, seed: int, job: Job
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Position of each tensor, the tensor and its new values, in order; the model is not touched.

    All are drawn from one generator, so those of the first tensors do not depend on the last.
    """
    generators = Generators(seed)
    for done, target in enumerate(targets):
        job.check()
        job.progress(done, len(targets), "Computing new values")
        try:
            values = target.values(tree, scheme, generators)
        except NotHeldError as error:
            raise RefusedError(
                f"{scheme_text(scheme)} gives {error} "
                f"({planning.path_of(tree.table, target.rows[0])}). Nothing was changed; choose "
                "smaller arguments."
            ) from error
        except (RuntimeError, ValueError, OverflowError, Unassignable) as error:
            raise RefusedError(
                f"{scheme_text(scheme)} failed on "
                f"{planning.path_of(tree.table, target.rows[0])}, so nothing was changed: {error}",
                traceback.format_exc(),
            ) from error
        yield from zip(target.rows, target.tensors, values, strict=True)


def _write(tensor: Tensor, new: Tensor) -> None:
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        tensor.copy_(new)


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
    choice = choose(tree, positions, scheme)
    refused = planning.refused_or_empty(tree.table, positions, choice.reasons, choice.rows)
    if not choice.targets:
        raise RefusedError(planning.nothing_left("There is nothing to initialise", refused))
    rows, overlapping = _touched_rows(tree, choice)
    notes = notes_of(tree, choice, scheme, overlapping)
    tensors = choice.tensors
    snapshot = snapshots.reserve(choice.size)
    if snapshot is None:
        notes.append(planning.too_large_note(choice.size))
        # The old values cannot be kept, so what can fail must fail in a rehearsal.
        for _ in computed(tree, choice.targets, scheme, seed, job):
            pass
        for _, tensor, new in computed(tree, choice.targets, scheme, seed, NO_JOB):
            _write(tensor, new)
    else:
        with staged_in(snapshot):
            for _, _, new in computed(tree, choice.targets, scheme, seed, job):
                snapshot.put(new, own=True)
            snapshot.exchange(tensors)
    recipe = InitializeRecipe(tree, choice.targets, scheme, seed)
    return InitializeEdit(
        tensors, snapshot, tree.table.ids[rows], len(tensors), refused, notes, recipe=recipe
    )
