"""An initialisation tried on copies: what the first tensors would hold, beside what they hold now.

It is the initialisation itself that runs, from the same seed and in the same order, so the values
are those that it would write.  Where two tensors share a part of their memory, each is shown as it
is written; the one written last stays.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from inspector_app.backend import initialization, resetting
from inspector_app.backend.failures import spoken
from inspector_app.backend.init_targets import Target, choose
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.planning import path_of
from inspector_app.backend.running import private_random
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.backend.statistics import measure_both
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import BeforeAfter, Previewed, Scheme
from inspector_app.protocol.schemes import check_scheme
from inspector_app.protocol.table import Int32

ELEMENTS = 1 << 23  # of all tensors tried together: a third of a second on one core
LARGEST = 1 << 27  # elements of the first one, which is tried beyond that as well
_COSTLY = "orthogonal_"  # a QR decomposition, which nothing can interrupt
_COSTLIER = 8  # times, roughly
COPIED = 256 * 10**6  # bytes of modules that are copied for their reset_parameters
COPIED_ROWS = 5_000  # of the tree: more take seconds to copy


@dataclass(frozen=True)
class Trial:
    """One tensor as it is and as it would be."""

    row: int  # position
    before: Tensor  # the model's own
    after: Tensor


def _first(sizes: list[int], limit: int, costly: bool = False) -> int:
    """How many tensors of ``sizes`` elements are tried: one at least, and no more than fit."""
    most = ELEMENTS // _COSTLIER if costly else ELEMENTS
    within = sum(total <= most for total in itertools.accumulate(sizes))
    return min(limit, max(within, 1), len(sizes))


def trials(
    tree: Tree, positions: Int32, scheme: Scheme, seed: int, limit: int, job: Job = NO_JOB
) -> tuple[int, Iterator[Trial]]:
    """How many tensors would change, and the first ``limit`` of them at most, one at a time.

    The model and the global random state are not touched.  Raises RequestError for a wrong scheme,
    RefusedError where the values cannot be had, ModelError where a ``reset_parameters`` fails.
    """
    scheme = check_scheme(scheme)
    if scheme.name == "reset_parameters":
        reset = _reset_trials(tree, positions, seed, job)
        count = _first([trial.before.numel() for trial in reset], limit)
        return len(reset), iter(reset[:count])
    choice = choose(tree, positions, scheme)
    if choice.targets:
        _check_size(tree, choice.targets[0], scheme)
    costly = scheme.name == _COSTLY
    count = _first([tensor.numel() for tensor in choice.tensors], limit, costly)
    written = initialization.computed(tree, choice.targets, scheme, seed, job)
    return len(choice.tensors), (Trial(*one) for one in itertools.islice(written, count))


def _check_size(tree: Tree, first: Target, scheme: Scheme) -> None:
    """Raise RefusedError where not even the first tensor can be tried in memory and time."""
    most = ELEMENTS if scheme.name == _COSTLY else LARGEST
    elements = math.prod(first.shape)
    if elements > most:
        raise RefusedError(
            f"{path_of(tree.table, first.rows[0])} holds {elements:,} elements, more than the "
            f"{most:,} that are tried on a copy: select other tensors to see their values."
        )


def preview_initialize(
    tree: Tree, positions: Int32, scheme: Scheme, seed: int, limit: int, job: Job = NO_JOB
) -> Previewed:
    """Statistics of the first tensors before and after; raises as :func:`trials` does."""
    if limit < 1:
        raise RequestError(f"A preview shows one tensor or more, not {limit}.")
    total, tried = trials(tree, positions, scheme, seed, limit, job)
    shown = []
    for trial in tried:
        row = int(tree.table.ids[trial.row])
        before, after = measure_both(trial.before, trial.after, job, row=row)
        path = path_of(tree.table, trial.row)
        shown.append(BeforeAfter(row=row, path=path, before=before, after=after))
    return Previewed(tensors=shown, more=total - len(shown))


# -- reset_parameters -----------------------------------------------------------------------------


def _reset_trials(tree: Tree, positions: Int32, seed: int, job: Job) -> list[Trial]:
    """All tensors that the modules' own code writes, tried on a copy of these modules."""
    covered = resetting.covered_rows(tree, positions)
    if not len(covered):
        return []
    size = resetting.held_size(tree, positions)
    if size > COPIED or len(covered) > COPIED_ROWS:
        too_many = (
            f"are {len(covered):,} rows, more than the {COPIED_ROWS:,}"
            if len(covered) > COPIED_ROWS
            else f"hold {size:,} bytes, more than the {COPIED:,}"
        )
        raise RefusedError(
            f"reset_parameters is tried on a copy of its modules, and these {too_many} that are "
            "copied: select less to see its values."
        )
    copied = _copied(tree, covered, seed)
    store = SnapshotStore()
    try:
        edit = resetting.reset(copied, positions, seed, store, job)
    finally:
        store.close()
    found: dict[int, Trial] = {}
    for row in tree.table.positions(edit.rows).tolist():
        before, after = tree.objects[row], copied.objects[row]
        if after is not before:  # else it only shares memory with what is written
            tie = int(tree.table.tie[row])
            found.setdefault(
                int(tree.table.ids[row]) if tie < 0 else tie, Trial(row, before, after)
            )
    return list(found.values())


def _copied(tree: Tree, covered: Int32, seed: int) -> Tree:
    """The tree with copies of the objects in these rows, which know nothing of the model."""
    tops = covered[~np.isin(tree.table.parent[covered], covered)]
    memo: dict[int, object] = {}
    with private_random(seed):
        try:
            copy.deepcopy([tree.objects[row] for row in tops.tolist()], memo)
        except (Exception, SystemExit) as error:
            raise RefusedError(
                "reset_parameters is tried on a copy of its modules, and these cannot be copied: "
                f"{spoken(error)}"
            ) from error
    copies: dict[int, object] = {}
    for row in covered.tolist():
        original = tree.objects[row]
        if issubclass(type(original), (Tensor, nn.Module)):
            copies[id(original)] = memo.get(id(original), original)
            if copies[id(original)] is original:
                raise RefusedError(
                    "reset_parameters is tried on a copy of its modules, and "
                    f"{path_of(tree.table, row)} gives none of itself."
                )
    return replace(tree, objects=[copies.get(id(thing), thing) for thing in tree.objects])
