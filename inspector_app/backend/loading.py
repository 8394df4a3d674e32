"""Writing a checkpoint's values into a model: wholly or not at all, with an inverse.

The old values are kept before the first new one is written, so that a failure, a cancel or an undo
brings them back bit by bit.  Where they take more space than there is, all is read and converted
once to see that it can be, and then written.  Tensors keep their identity, their ``requires_grad``
and their gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector_app.backend import planning
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.comparing_state import given_rows
from inspector_app.backend.edits import InitializeEdit, staged_in
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.laying import Laying, Load
from inspector_app.backend.recipes import LoadRecipe
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.snapshots import SnapshotStore, bits, stored_size
from inspector_app.backend.state_slots import span
from inspector_app.backend.transformers_names import origin
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import InspectorError, ModelError, RefusedError, TargetError
from inspector_app.protocol.messages import Refusal, StateDifference

Moved = Callable[[int], None]

_NAMED = 3  # keys that a sentence names
_KINDS = {
    "missing": "not in the file",
    "unexpected": "not of the model",
    "shape": "of another shape",
    "dtype": "of another data type",
    "value": "with values that cannot be loaded",
}


class _Form:
    """Class and memory of a tensor that gets its shape by being loaded."""

    def __init__(self, tensor: Tensor) -> None:
        self.cls, self.data = type(tensor), tensor.data


class Materialised:
    """A lazy tensor that was given a shape, as ``LazyModuleMixin`` does when it loads."""

    def __init__(self, load: Load, owner: Any) -> None:
        """Give it the shape of the file's tensor; its values are not there yet."""
        tensor: Any = load.slot.tensor
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            self.tensor = tensor
            self.old = _Form(tensor)
            tensor.materialize(load.shape)
            self.new = _Form(tensor)
        self._owner = owner
        self._owner_class = type(owner)

    @property
    def used(self) -> bool:
        """Whether its module has run since, and so is lazy no more."""
        return type(self._owner) is not self._owner_class

    def put(self, form: _Form) -> None:
        """Make the tensor lazy again, or bring its values back."""
        with torch._C.DisableTorchFunctionSubclass():
            self.tensor.data = form.data
            self.tensor.__class__ = form.cls


class LoadEdit(InitializeEdit):
    """Values of a file that were written."""

    def undo(self) -> None:
        """Bring the old values back, bit by bit, or change nothing and raise RefusedError."""
        if any(getattr(change, "used", False) for change in self.attributes):
            raise RefusedError(
                "The load cannot be undone any more: lazy modules that got their shapes from it "
                "have run since. Open the target again to start afresh."
            )
        super().undo()


# -- writing one tensor ----------------------------------------------------------------------------


def _fill(flat: Tensor, load: Load, checkpoint: Checkpoint, moved: Moved) -> None:
    """Write the file's values into a contiguous tensor of one dimension."""
    direct: Bytes | None = None
    if flat.dtype == load.dtype and flat.device.type == "cpu":
        direct = flat.view(torch.uint8).numpy()
    offset = 0
    size = load.dtype.itemsize
    for block in checkpoint.blocks(load.name):
        stop = offset + len(block)
        if stop > load.nbytes:
            break
        if direct is not None:
            direct[offset:stop] = block
        else:
            values = torch.empty(len(block), dtype=torch.uint8)
            values.numpy()[:] = block
            flat[offset // size : stop // size].copy_(values.view(load.dtype))
        offset = stop
        moved(len(block))
    _check_whole(offset, load, checkpoint)


def _check_whole(read: int, load: Load, checkpoint: Checkpoint) -> None:
    if read != load.nbytes:
        raise TargetError(f"{checkpoint.path} does not hold all of “{load.name}”.")


def _write(load: Load, checkpoint: Checkpoint, moved: Moved) -> None:
    """Write the file's values into the model's tensor; ``moved`` is told bytes as they are read."""
    tensor = load.tensor.detach()
    if tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg()):
        _fill(tensor.view(-1), load, checkpoint, moved)
    else:  # transposed, channels last, conjugated
        staged = torch.empty(tensor.shape, dtype=tensor.dtype)
        _fill(staged.view(-1), load, checkpoint, moved)
        tensor.copy_(staged)


def _rehearse(load: Load, checkpoint: Checkpoint, moved: Moved) -> None:
    """Read as :func:`_write` does, into nothing."""
    total = 0
    for block in checkpoint.blocks(load.name):
        total += len(block)
        moved(len(block))
    _check_whole(total, load, checkpoint)


class _Progress:
    """Bytes done of all; the job may be cancelled after each piece."""

    def __init__(self, total: int, label: str, job: Job) -> None:
        self._total, self._label, self._job = total, label, job
        self._done = 0

    def __call__(self, size: int) -> None:
        """A piece was read."""
        self._done += size
        self._job.progress(self._done, self._total, self._label)
        self._job.check()


# -- all of them -----------------------------------------------------------------------------------


def size_kept(laying: Laying) -> int:
    """Bytes of the old values."""
    return sum(stored_size(load.tensor) for load in laying.loads if not load.slot.lazy)


def _overlapping(loads: Sequence[Load]) -> list[Load]:
    """Those whose memory another one reaches into, though they are not the same tensor."""
    able = [load for load in loads if not load.slot.lazy and load.tensor.numel()]
    by_device: dict[torch.device, list[Load]] = {}
    for load in able:
        by_device.setdefault(load.tensor.device, []).append(load)
    found: list[Load] = []
    for held in by_device.values():
        spans = np.asarray([span(load.tensor) for load in held], np.uint64)
        order = np.argsort(spans[:, 0], kind="stable")
        start, stop = spans[order, 0], spans[order, 1]
        reach = np.maximum.accumulate(stop)
        meets = np.zeros(len(held), bool)
        meets[1:] = start[1:] < reach[:-1]  # one before it ends after it begins
        # Of those before it, the ones that reach into it.
        for later in np.flatnonzero(meets).tolist():
            meets[:later] |= stop[:later] > start[later]
        found += [held[index] for index in sorted(order[meets].tolist())]
    return found


def _overwritten(loads: Sequence[Load], checkpoint: Checkpoint) -> list[str]:
    """Keys of overlapping tensors that do not hold the file's values after all were written."""
    wrong = []
    with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
        for load in loads:
            wanted = checkpoint.tensor(load.name).to(load.tensor.dtype).reshape(load.tensor.shape)
            held = load.tensor.detach().resolve_conj().resolve_neg().cpu()
            if not torch.equal(bits(held), bits(wanted.resolve_conj().resolve_neg())):
                wrong.append(load.slot.key)
    return wrong


class _Loading:
    """One load, from its first to its last tensor."""

    def __init__(self, tree: Tree, laying: Laying, checkpoint: Checkpoint, *, fit: bool) -> None:
        self._tree = tree
        self._loads = laying.loads
        self._checkpoint = checkpoint
        self._fit = fit
        self._total = laying.size
        self._overlapping = _overlapping(laying.loads)
        self.materialised: list[Materialised] = []
        self.notes: list[str] = []
        self.tensors = [load.tensor for load in laying.loads if not load.slot.lazy]

    def rehearse(self, job: Job) -> None:
        """Read all that will be read, so that what can fail does."""
        progress = _Progress(2 * self._total, "Reading", job)
        for load in self._loads:
            job.check()
            _rehearse(load, self._checkpoint, progress)

    def write(self, job: Job) -> None:
        """Write all; where it fails, lazy tensors are lazy again and the others are left."""
        progress = _Progress(self._total, "Loading", job)
        try:
            with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
                for load in self._loads:
                    job.check()
                    if load.slot.lazy:
                        owner = self._tree.objects[self._tree.table.parent[load.slot.row]]
                        self.materialised.append(Materialised(load, owner))
                    _write(load, self._checkpoint, progress)
                # Memory was written past torch, which is to know all the same.
                torch.autograd.graph.increment_version([load.tensor for load in self._loads])
                self._check_overlaps()
        except BaseException:
            for one in reversed(self.materialised):
                one.put(one.old)
            raise

    def _check_overlaps(self) -> None:
        wrong = _overwritten(self._overlapping, self._checkpoint)
        if not wrong:
            return
        what = (
            f"{planning.name_list(wrong, len(wrong))}: shares memory with another tensor of the "
            "model, to which the file gives other values"
        )
        if not self._fit:
            raise RefusedError(f"{what}. Nothing was changed.")
        self.notes.append(f"{what}; those were written last")


def load(
    tree: Tree,
    laying: Laying,
    checkpoint: Checkpoint,
    snapshots: SnapshotStore | None,
    job: Job = NO_JOB,
    *,
    fit: bool,
) -> LoadEdit:
    """Write what ``laying`` says; wholly or not at all.

    ``snapshots`` None keeps no old values, for a model that is thrown away if this fails.  Raises
    RefusedError where there is no room, TargetError where the file cannot be read, Cancelled; then
    nothing has been changed.
    """
    loading = _Loading(tree, laying, checkpoint, fit=fit)
    size = size_kept(laying)
    snapshot = snapshots.reserve(size) if snapshots is not None else None
    if snapshot is not None:
        with staged_in(snapshot):
            for tensor in loading.tensors:
                job.check()
                snapshot.put(tensor)
            try:
                loading.write(job)
            except BaseException:
                snapshot.exchange(loading.tensors)
                raise
    elif snapshots is None:
        loading.write(job)
    else:
        loading.notes.append(planning.too_large_note(size))
        loading.rehearse(job)
        _write_unkept(loading, checkpoint)
    given = tied_rows(tree.table, given_rows(tree, laying))
    written = np.asarray([load.slot.row for load in laying.loads if load.slot.row >= 0], np.int32)
    rows = planning.union(tree.table, given, overlapping_rows(tree, written))
    return LoadEdit(
        loading.tensors,
        snapshot,
        tree.table.ids[rows],
        len(laying.loads),
        left_out(tree, laying.differences),
        [*laying.notes, *loading.notes, *left_notes(laying.differences)],
        loading.materialised,
        _recipe(laying, checkpoint),
    )


def _recipe(laying: Laying, checkpoint: Checkpoint) -> LoadRecipe | None:
    """What a script does to load the same; None where tensors are made of several others."""
    keys = []
    for one in laying.loads:
        name = origin(checkpoint, one.name)
        if name is None:
            return None
        keys.append((name, one.slot.key))
    lazy = any(one.slot.lazy for one in laying.loads)
    whole = not laying.differences
    return LoadRecipe(checkpoint.path, keys, lazy, checkpoint.file.part, complete=whole)


def _write_unkept(loading: _Loading, checkpoint: Checkpoint) -> None:
    """Write what was rehearsed a moment ago; there is nothing to bring back."""
    failure: InspectorError | None = None
    try:
        loading.write(NO_JOB)
    except (InspectorError, OSError, RuntimeError) as error:
        failure = ModelError(
            f"{checkpoint.path} could be read a moment ago and cannot now, so the model holds "
            f"values of both: open the target again. ({error})"
        )
    if failure is not None:
        raise failure


# -- words -----------------------------------------------------------------------------------------


def does_not_fit(path: str, differences: Sequence[StateDifference], *, any_fits: bool) -> str:
    """The sentence for a checkpoint that cannot be loaded wholly."""
    parts = []
    for kind, words in _KINDS.items():
        names = [one.name for one in differences if one.kind == kind]
        if names:
            shown = ", ".join(names[:_NAMED])
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            parts.append(f"{len(names):,} {words} ({shown}{more})")
    if not parts:
        return (
            f"{path} has no key that the model has, and the model none: there is nothing to load."
        )
    cure = "Load what fits to load the rest." if any_fits else "It is of another model."
    return f"{path} does not fit the model, so nothing was changed: {', '.join(parts)}. {cure}"


def left_out(tree: Tree, differences: Sequence[StateDifference]) -> list[Refusal]:
    """Rows of the model that were not loaded, by reason."""
    reasons: dict[str, list[int]] = {}
    for one in differences:
        if one.row >= 0 and not one.fits and one.kind != "unexpected":
            told = one.kind in ("missing", "shape")  # by the sentence alone
            reason = one.sentence if told else f"{_KINDS[one.kind]}: {one.sentence}"
            reasons.setdefault(reason, []).append(tree.table.position(one.row))
    return planning.refusals(tree.table, reasons)


def left_notes(differences: Sequence[StateDifference]) -> list[str]:
    """Notes about keys that were not loaded and have no row to show it."""
    notes = []
    unknown = [one.name for one in differences if one.kind == "unexpected"]
    if unknown:
        what = "1 key of the file is" if len(unknown) == 1 else f"{len(unknown):,} keys are"
        notes.append(f"{what} not the model's: {planning.name_list(unknown, len(unknown))}")
    computed = [one.name for one in differences if one.row < 0 and one.kind != "unexpected"]
    if computed:
        named = planning.name_list(computed, len(computed))
        notes.append(f"not loaded, since no tensor of the model is this value: {named}")
    return notes


def overlap_notes(laying: Laying) -> list[str]:
    """The note about tensors that share memory, which the file must not give different values."""
    found = _overlapping(laying.loads)
    if not found:
        return []
    named = planning.name_list([load.slot.key for load in found], len(found))
    return [f"share memory, so the file must give them the same values there: {named}"]
