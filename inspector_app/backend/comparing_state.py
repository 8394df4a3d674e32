"""How the tensors of a checkpoint lie on those of a model: what fits, what does not, and why.

Nothing is changed here, and values are read only where a conversion might not hold them.  torch's
own ``load_state_dict`` tells of missing keys and shapes when the model has been changed already,
and of lost values never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector_app.backend import planning
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.choosing_state import other_states
from inspector_app.backend.conversion import (
    Conversion,
    conversion,
    is_exact,
    problem_with_values,
    word,
)
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.laying import Laying, Load, described
from inspector_app.backend.loading_code import loading_code_note, old_names
from inspector_app.backend.matching import Matches, match
from inspector_app.backend.notes import noted_aliases
from inspector_app.backend.saved_values import SavedValues
from inspector_app.backend.snapshots import bits
from inspector_app.backend.state_slots import Slot
from inspector_app.backend.statistics import chunks
from inspector_app.backend.transformers_names import origin
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import StateDifference
from inspector_app.protocol.table import Flag, Int32, Role

_CHUNK = 1 << 18  # elements that are looked at together
_MISSING = "the file has no such key"
_UNEXPECTED = "the model's state dict has no such key"
_COUNTER = "num_batches_tracked"


@cache
def _dtype_of(name: str) -> torch.dtype | None:
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) else None


def _same_shape(file: tuple[int, ...] | None, model: tuple[int, ...]) -> bool:
    """Whether values of one shape are those of another.

    torch 0.3 wrote scalars as one element, and torch takes them for scalars still.
    """
    return file == model or (file == (1,) and model == ())


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two readable tensors hold the same, bit by bit."""
    if one.dtype != other.dtype or not _same_shape(tuple(one.shape), tuple(other.shape)):
        return False
    first, second = (bits(tensor.resolve_conj().resolve_neg()) for tensor in (one, other))
    return torch.equal(first.reshape(second.shape), second.to(first.device))


class _Comparison:
    """One pass over the keys of a model; the result grows in ``laying``."""

    def __init__(self, tree: Tree, slots: Sequence[Slot], checkpoint: Checkpoint, job: Job) -> None:
        self._tree = tree
        self._slots = slots
        self._checkpoint = checkpoint
        self._entries = checkpoint.file.entries
        self._job = job
        self._converted: Counter[tuple[str, str]] = Counter()
        self._loaded: dict[Hashable, Load] = {}  # by the memory that is written
        self._tied: list[tuple[str, str]] = []  # keys without a tensor of their own in the file
        self._saved = SavedValues(checkpoint)
        self.laying = Laying(prefix="", keys=len(slots))

    def run(self, prefix: str | None) -> Laying:
        """Compare all keys."""
        files, matches = self._matched(prefix)
        laying = self.laying
        laying.prefix = matches.prefix
        for done, slot in enumerate(self._slots):
            self._job.check()
            self._job.progress(done, len(self._slots), "Comparing")
            name = files.get(slot.key)
            if name is not None:
                self._compare(slot, name)
        missing = [slot for slot in self._slots if slot.key not in files]
        below = self._below(missing, matches.prefix)
        for slot in missing:
            self._without_key(slot, below.get(slot.key))
        order = {slot.key: number for number, slot in enumerate(self._slots)}
        laying.differences.sort(key=lambda difference: order[difference.name])
        used = {*files.values(), *(name for names in below.values() for name in names)}
        left = [name for name in self._checkpoint.names() if name not in used]
        self._unexpected(left, matches)
        laying.notes = [*matches.notes, *self._notes(bool(left) and bool(missing))]
        return laying

    def _matched(self, prefix: str | None) -> tuple[dict[str, str], Matches]:
        """Name in the file for each key of the model."""
        checkpoint = self._checkpoint
        names = checkpoint.names()
        # A file may hold a tied tensor once, and note its other names.
        alias = noted_aliases(checkpoint.metadata, names)
        shapes = {
            slot.key: tuple(slot.value.shape)
            for slot in self._slots
            if not slot.reason and not slot.lazy
        }
        old = dict(old_names(self._tree, self._slots))

        def same_shape(name: str, key: str) -> bool:
            entry = self._entries.get(alias.get(name, name))
            key = old.get(key, key)
            return entry is not None and key in shapes and _same_shape(entry.shape, shapes[key])

        keys = [slot.key for slot in self._slots]
        matches = match([*names, *alias], [*keys, *old], prefix, same_shape)
        files = dict(matches.files)
        for older, key in old.items():
            name = files.pop(older, None)
            if name is not None:
                files.setdefault(key, name)
        return {key: alias.get(name, name) for key, name in files.items()}, matches

    # -- one key -------------------------------------------------------------------------------

    def _differs(self, slot: Slot, kind: Any, sentence: str, file: str, **more: Any) -> None:
        self.laying.differences.append(
            StateDifference(
                name=slot.key,
                kind=kind,
                row=int(self._tree.table.ids[slot.row]) if slot.row >= 0 else -1,
                model=_describe_slot(slot),
                file=file,
                sentence=sentence,
                **more,
            )
        )

    def _matches(self, slot: Slot) -> None:
        self.laying.matching += 1
        if slot.row >= 0:
            self.laying.given.append(slot.row)

    def _compare(self, slot: Slot, name: str) -> None:
        """One key that both have."""
        entry = self._entries.get(name)
        if entry is None:
            self._compare_plain(slot, name)
            return
        file = described(entry.dtype, entry.shape)
        dtype = _dtype_of(entry.dtype)
        if entry.reason and self._saved.holds(self._key(name), slot.value):
            self._matches(slot)
        elif entry.reason or dtype is None:
            reason = entry.reason or f"{entry.dtype}, which torch {torch.__version__} does not know"
            self._differs(slot, "value", f"its values cannot be read here: {reason}", file)
        elif slot.reason:
            if self._holds(slot, name, dtype):
                self._matches(slot)
            else:
                self._differs(slot, "value", slot.reason, file)
        elif not slot.lazy and not _same_shape(entry.shape, tuple(slot.value.shape)):
            self._differs(slot, "shape", f"the file has {file}", file)
        else:
            load = Load(name, slot, dtype, entry.shape or (), entry.nbytes)
            self._compare_values(slot, load, file)

    def _holds(self, slot: Slot, name: str, dtype: torch.dtype) -> bool:
        """Whether a value that cannot be written is what the file says already."""
        value = slot.value
        if not isinstance(value, Tensor) or value.dtype != dtype or value.is_meta:
            return False
        if value.layout is not torch.strided or value.is_quantized or value.is_nested:
            return False
        try:
            return _equal(value, self._checkpoint.tensor(name))
        except (RuntimeError, NotImplementedError):
            return False  # it wraps others, and has no memory of its own to compare
        finally:
            self._checkpoint.release()

    def _key(self, name: str) -> str:
        """The key in the file itself of one of the checkpoint's names."""
        return origin(self._checkpoint, name) or name

    def _compare_plain(self, slot: Slot, name: str) -> None:
        """A key under which the file holds no tensor."""
        plain = self._checkpoint.file.values.get(name)
        spoken = plain.class_name if plain is not None else "unknown"
        ours = slot.value
        number = plain.value if plain is not None else None
        if number is not None and type(number) is type(ours) and number == ours:
            self._matches(slot)
            return
        if slot.reason and self._saved.holds(self._key(name), ours):
            self._matches(slot)
            return
        sentence = slot.reason or f"the file holds no tensor there but {spoken}"
        self._differs(slot, "value", sentence, spoken)

    def _compare_values(self, slot: Slot, load: Load, file: str) -> None:
        """A key whose shapes are alike."""
        how = conversion(load.dtype, slot.value.dtype)
        source, target = word(load.dtype), word(slot.value.dtype)
        if how is Conversion.NEVER:
            sentence = f"{source} and {target} are different kinds of numbers"
            self._differs(slot, "dtype", sentence, file)
            return
        if how is Conversion.LOSSY:
            problem = problem_with_values(self._chunks(load.name), slot.value.dtype)
            if problem:
                self._differs(slot, "value", problem, file)
                return
            if is_exact(self._chunks(load.name), slot.value.dtype):
                how = Conversion.LOSSLESS
        before = self._loaded.get(slot.memory) if slot.memory is not None else None
        if before is not None and not self._agree(before, load):
            self._differs(
                slot,
                "value",
                f"other values than {before.slot.key}, which is the same tensor in the model: "
                "those are loaded",
                file,
            )
            return
        if before is None:
            self.laying.loads.append(load)
            if slot.memory is not None:
                self._loaded[slot.memory] = load
            if how is Conversion.LOSSLESS:
                self._converted[source, target] += 1
        if how is Conversion.LOSSY:
            sentence = f"digits are lost from {source} to {target}"
            self._differs(slot, "dtype", sentence, file, fits=True)
            self.laying.lossy += 1
            if slot.row >= 0:
                self.laying.given.append(slot.row)
        else:
            self._matches(slot)

    def _chunks(self, name: str) -> Iterator[Tensor]:
        try:
            for chunk in chunks(self._checkpoint.tensor(name), _CHUNK):
                self._job.check()
                yield chunk
        finally:
            self._checkpoint.release()

    def _agree(self, one: Load, other: Load) -> bool:
        """Whether two tensors of the file are the same values of one tensor of the model."""
        if one.name == other.name:
            return True
        specs = self._checkpoint.spec(one.name), self._checkpoint.spec(other.name)
        if specs[0].memory is not None and specs[0].memory == specs[1].memory:
            return True
        target = one.tensor.dtype
        values = (self._checkpoint.tensor(load.name).to(target) for load in (one, other))
        return _equal(*values)

    def _below(self, slots: Iterable[Slot], prefix: str) -> dict[str, list[str]]:
        """Names of the file that stand below a key whose value is no tensor: its parts.

        The extra state of a module is mostly a dictionary, and the file lists what is in it.
        """
        found: dict[str, list[str]] = {}
        keys = {slot.key for slot in slots if not isinstance(slot.value, Tensor)}
        for name in self._checkpoint.names() if keys else ():
            bare = name.removeprefix(prefix)
            at = bare.find(".")
            while at >= 0:
                if bare[:at] in keys:
                    found.setdefault(bare[:at], []).append(name)
                    break
                at = bare.find(".", at + 1)
        return found

    def _without_key(self, slot: Slot, parts: Sequence[str] | None) -> None:
        """A key that the file does not have; its tensor may have come under another name."""
        if parts:
            key = parts[0][: parts[0].index(slot.key) + len(slot.key)]
            if self._saved.holds(key, slot.value):
                self._matches(slot)
                return
            self._differs(slot, "value", slot.reason, f"{len(parts):,} values")
            return
        before = self._loaded.get(slot.memory) if slot.memory is not None else None
        if before is not None:
            self._tied.append((slot.key, before.slot.key))
            self._matches(slot)
            return
        sentence = _MISSING
        if slot.key.rpartition(".")[2] == _COUNTER:
            sentence += "; torch would not miss it, since older files lack it, and keep the count"
        self._differs(slot, "missing", sentence, "")

    # -- what is left --------------------------------------------------------------------------

    def _unexpected(self, names: Iterable[str], matches: Matches) -> None:
        table = self._tree.table
        passing = (table.role == Role.BUFFER) & ((table.flags & Flag.PERSISTENT) == 0)
        unsaved = {table.path(row): row for row in np.flatnonzero(passing).tolist()}
        values = self._checkpoint.file.values
        for name in names:
            entry = self._entries.get(name)
            sentence, row = _UNEXPECTED, -1
            if name in matches.collided:
                sentence = f"it means the same key as {matches.collided[name]}, which counts"
            elif name in unsaved:
                row = int(table.ids[unsaved[name]])
                sentence = "the model has a buffer of that name, which its state dict leaves out"
            if entry is not None:
                file = described(entry.dtype, entry.shape)
            else:
                file = values[name].class_name if name in values else "unknown"
            self.laying.differences.append(
                StateDifference(name=name, kind="unexpected", row=row, file=file, sentence=sentence)
            )

    def _notes(self, renamed: bool) -> list[str]:
        """Sentences; ``renamed`` says that keys are missing and others left over."""
        notes = []
        wrapper = self._checkpoint.file.wrapper
        if wrapper:
            notes.append(f"found under “{wrapper}”: what stands beside it is not loaded")
        notes += other_states(self._checkpoint)
        for (source, target), count in self._converted.items():
            what = "1 tensor is" if count == 1 else f"{count:,} tensors are"
            notes.append(f"{what} converted from {source} to {target} without loss")
        tied = [f"tied: {key} is loaded as {other}" for key, other in self._tied]
        notes += tied[: planning.NAMES]
        if len(tied) > planning.NAMES:
            notes.append(f"and {len(tied) - planning.NAMES:,} more tied tensors")
        lazy = sum(load.slot.lazy for load in self.laying.loads)
        if lazy:
            notes.append(f"{lazy:,} lazy tensors get their shapes from the file")
        stale = sum(_has_gradient(self._tree, load) for load in self.laying.loads)
        if stale:
            notes.append(
                f"{stale:,} of the tensors have gradients, which stay: they were computed with the "
                "old values, so call zero_grad() before the next step"
            )
        if renamed:
            notes += loading_code_note(self._tree)
        return notes


def _describe_slot(slot: Slot) -> str:
    value = slot.value
    if not isinstance(value, Tensor):
        return type(value).__name__
    if slot.lazy:
        return f"{word(value.dtype)}, lazy"
    try:
        return described(word(value.dtype), value.shape)
    except (RuntimeError, NotImplementedError):
        return word(value.dtype)  # nested: no one shape


def _has_gradient(tree: Tree, load: Load) -> bool:
    held = tree.objects[load.slot.row] if load.slot.row >= 0 else None
    return isinstance(held, Tensor) and held.is_leaf and held.grad is not None


def compare(
    tree: Tree,
    slots: Sequence[Slot],
    checkpoint: Checkpoint,
    prefix: str | None,
    job: Job = NO_JOB,
) -> Laying:
    """Compare an open checkpoint with a model's state dict.

    ``prefix`` as :func:`inspector_app.backend.matching.match` takes it.  Raises TargetError where
    the file cannot be read, Cancelled.
    """
    with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
        return _Comparison(tree, slots, checkpoint, job).run(prefix)


def given_rows(tree: Tree, laying: Laying) -> Int32:
    """Positions of all rows whose values the file gives, sorted."""
    return planning.union(tree.table, np.asarray(laying.given, np.int32))
