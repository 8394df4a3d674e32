"""A file of tensors opened as a bare checkpoint: rows from its description, values on demand.

There is nothing to run and nothing to train; what can be done is to look, measure and export.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.notes import noted_requires_grad, noted_ties
from inspector_app.backend.opening.safetensors_file import CODES, SafetensorsFile
from inspector_app.backend.opening.torch_archive import BEGINNING, TorchArchive
from inspector_app.backend.opening.torch_values import StoredTensor
from inspector_app.backend.opening.values import Entry, PlainValue, TensorFile
from inspector_app.backend.states import Bytes, Spec, tensor_blocks
from inspector_app.backend.tree import Tree, tied
from inspector_app.protocol.messages import Fact, Totals
from inspector_app.protocol.table import Flag, Role, RowTable, pack_names, subtree_ends

_NAMED = 12  # names of code that are spelt out
_DEPTH = 32  # levels a key is taken apart to; the rest stays one name
_SAMPLES = 64  # pieces of the data that a fingerprint looks at
_SAMPLE = 4096  # bytes of each


def _natural(name: str) -> tuple[bool, int, str]:
    """Order of siblings: numbers by value, then words."""
    number = name.isdecimal() and len(name) < 19
    return not number, int(name) if number else 0, name


class _Interned(dict[Any, int]):
    """Distinct values, numbered as they come."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


def checkpoint_tree(
    entries: Mapping[str, Entry],
    values: Mapping[str, PlainValue] | None = None,
    beside: Collection[str] = (),
) -> Tree:
    """Rows of a checkpoint: one per name, below a group per common dotted prefix.

    The path of a row is exactly its name.  Where a name is also a prefix of others, its row has
    them below it.  The objects are the entries and plain values, and None for groups.  ``beside``
    are names that stand beside the state dict.
    """
    entries = {**entries, **values} if values else entries  # type: ignore[dict-item]
    parted = [name.split(".", _DEPTH) for name in entries]
    # Keys in natural order, so that each stands behind its prefixes.  Each part becomes its rank as
    # four bytes: to compare such strings is one call.
    words = sorted(set(chain.from_iterable(parted)), key=_natural)
    rank = {word: number.to_bytes(4, "big") for number, word in enumerate(words)}
    keys = [b"".join(map(rank.__getitem__, parts)) for parts in parted]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    names, parents = [""], [-1]
    leaves: list[int] = []  # positions of the tensors
    previous = b""
    above = [0]  # positions of the root and of all parts of the previous key
    for index in order:
        key = keys[index]
        depth = len(previous) // 4
        while not key.startswith(previous[: 4 * depth]):
            depth -= 1
        start = len(names)
        names += parted[index][depth:]
        parents.append(above[depth])
        parents.extend(range(start, len(names) - 1))
        above[depth + 1 :] = range(start, len(names))
        leaves.append(len(names) - 1)
        previous = key
    every = list(entries.items())
    objects: list[Any] = [None] * len(names)
    at = np.zeros(len(names), np.bool_)
    plain: list[int] = []
    aside: list[int] = []
    outside = set(beside)
    for position, index in zip(leaves, order, strict=True):
        name, value = every[index]
        objects[position] = value
        if values and name in values:
            plain.append(position)
        else:
            at[position] = True
            if outside and name in outside:
                aside.append(position)
    tensors = np.flatnonzero(at)
    found: list[Any] = [objects[position] for position in tensors.tolist()]
    shapes, dtypes, devices, classes = _Interned(), _Interned(), _Interned(), _Interned()
    for word in ("Checkpoint", "Group", "Tensor"):
        classes[word]

    def column(values: list[int], fill: int, kind: type[Any]) -> NDArray[Any]:
        whole = np.full(len(names), fill, kind)
        whole[tensors] = values
        return whole

    class_index = column([classes[entry.class_name] for entry in found], 1, np.int32)
    class_index[plain] = [classes[objects[position].class_name] for position in plain]
    class_index[0] = 0
    role = np.where(at, Role.TENSOR, Role.GROUP).astype(np.uint8)
    role[plain] = Role.ATTRIBUTE
    flags = np.where(at, Flag.TENSOR | Flag.SAVED, 0).astype(np.uint32)
    flags[aside] &= ~np.uint32(Flag.SAVED)
    flags[[p for p in tensors.tolist() if objects[p].device == "meta"]] |= np.uint32(Flag.META)
    parent_column = np.asarray(parents, np.int32)
    name_bytes, name_offsets = pack_names(names)
    space = column([entry.space for entry in found], 0, np.int64)
    begin = column([entry.start for entry in found], 0, np.int64)
    size = column([entry.stored for entry in found], 0, np.int64)
    ids = np.arange(len(names), dtype=np.int32)
    table = RowTable(
        ids=ids,
        parent=parent_column,
        end=subtree_ends(parent_column),
        role=role,
        flags=flags,
        class_index=class_index,
        shape_index=column(
            [-1 if entry.shape is None else shapes[entry.shape] for entry in found], -1, np.int32
        ),
        dtype_index=column([dtypes[entry.dtype] for entry in found], -1, np.int16),
        device_index=column([devices[entry.device] for entry in found], -1, np.int16),
        count=column([entry.count for entry in found], 0, np.int64),
        bytes=size,
        tie=tied(tensors[size[tensors] > 0], space, begin, size, ids),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=list(classes),
        shapes=list(shapes),
        dtypes=list(dtypes),
        devices=list(devices),
    )
    return Tree(table=table, objects=objects, space=space, start=begin, next_id=len(names))


def _open(path: str | os.PathLike[str]) -> TensorFile:
    """The file of tensors at a path, by its content."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            start = file.read(len(BEGINNING))
    except (OSError, ValueError):
        start = b""  # which the reader tells in a sentence
    return TorchArchive(path) if start == BEGINNING else SafetensorsFile(path)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would never answer


class Checkpoint:
    """An open checkpoint, and a source of its own tensors for export and comparison."""

    def __init__(self, path: str | os.PathLike[str], target: str = "") -> None:
        """Open ``path``; ``target`` is how it was asked for.  Raises TargetError."""
        self.file = _open(path)
        self.path = os.path.abspath(self.file.path)
        self.target = target or self.file.path
        self.title = os.path.basename(self.path)

    @cached_property
    def tree(self) -> Tree:
        """Its rows; the objects are entries and plain values, and None for groups."""
        file = self.file
        with without_collection():
            if not isinstance(file, TorchArchive):
                return checkpoint_tree(file.entries)
            inside = set(file.state)
            beside = [name for name in file.entries if name not in inside]
            return checkpoint_tree(file.entries, file.values, beside)

    @property
    def notes(self) -> list[Fact]:
        """What to know of the file as a whole."""
        file = self.file
        if not isinstance(file, TorchArchive):
            return []
        notes: list[Fact] = []
        if file.wrapper:
            value = f"Found under “{file.wrapper}”. What stands beside it is not exported."
            notes.append(Fact(label="State dict", value=value))
        if file.foreign:
            named = ", ".join(file.foreign[:_NAMED])
            more = f" and {len(file.foreign) - _NAMED:,} more" if len(file.foreign) > _NAMED else ""
            value = (
                f"torch.load would import and run {named}{more}. Here nothing of the file was "
                "imported or run: it is listed only."
            )
            notes.append(
                Fact(label="Code", value=value, exact="\n".join(file.foreign), tone="warning")
            )
        return notes

    @property
    def metadata(self) -> dict[str, str]:
        """The strings in its header."""
        return self.file.metadata

    @cached_property
    def _ties(self) -> dict[str, int]:
        """Number of the group of names that are one tensor, where that was noted."""
        return {
            name: number for number, names in enumerate(noted_ties(self.metadata)) for name in names
        }

    def totals(self) -> Totals:
        """Elements and bytes of all tensors.

        A file that we exported tells which are parameters, which of those train and which are one
        tensor.  Of any other, all elements are counted as parameters, as model hubs do.
        """
        entries = self.file.entries
        grad = noted_requires_grad(self.metadata)
        archive = isinstance(self.file, TorchArchive)
        if archive:
            # Only a module that was pickled whole tells which of its tensors are parameters.
            told = {name: entries[name] for name in self.names() if name in entries}
            if any(entry.parameter for entry in told.values()):
                grad = {name: e.requires_grad for name, e in told.items() if e.parameter}
            entries = told
        shared = Counter(entry.space for entry in entries.values())
        counted: set[Hashable] = set()
        parameters = trainable = buffers = 0
        for name, entry in entries.items():
            tie = self._memory(name, entry) if shared[entry.space] > 1 else None
            if tie in counted:
                continue
            if tie is not None:
                counted.add(tie)
            if grad is None or name in grad:
                parameters += entry.count
                trainable += entry.count if grad is not None and grad[name] else 0
            else:
                buffers += entry.count
        size = self.file.size - self.file.data_start
        if archive:
            records = {e.storage.number: e.storage.nbytes for e in entries.values() if e.storage}
            size = sum(records.values())
        return Totals(
            modules=0, parameters=parameters, trainable=trainable, buffers=buffers, bytes=size
        )

    def _memory(self, name: str, entry: Any) -> Hashable:
        """Equal for names that are one tensor; None where that is not known."""
        if isinstance(entry, StoredTensor):
            same = entry.space, entry.start, entry.dtype, entry.shape, entry.strides
            return (*same, entry.conjugate, entry.negative) if entry.stored else None
        return self._ties.get(name)

    def fingerprint(self) -> str:
        """A mark that is equal for equal files: of the header and samples of the data."""
        file = self.file
        mark = hashlib.blake2b(file.head(), digest_size=16)
        last = max(file.data_start, file.size - _SAMPLE)
        for offset in np.linspace(file.data_start, last, _SAMPLES).astype(np.int64).tolist():
            mark.update(file.read(offset, min(_SAMPLE, file.size - offset)))
        return mark.hexdigest()

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped read-only from the file; see :meth:`SafetensorsFile.tensor`."""
        return self.file.tensor(name)

    def names(self) -> list[str]:
        """All keys of the state dict."""
        file = self.file
        return file.state if isinstance(file, TorchArchive) else list(file.entries)

    def spec(self, name: str) -> Spec:
        """What the description says of one value; ties are those that were noted, or one memory."""
        entry = self.file.entries.get(name)
        if entry is None:
            assert isinstance(self.file, TorchArchive)
            value = self.file.values[name]
            return Spec(reason=f"not a tensor but {value.class_name}", is_tensor=False)
        reason = entry.reason
        if not reason and entry.dtype not in CODES:
            reason = f"{entry.dtype}, which the format does not know"
        if reason:
            return Spec(entry.dtype, entry.shape or (), reason=reason)
        return Spec(entry.dtype, entry.shape, entry.nbytes, self._memory(name, entry))

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, read piece by piece."""
        file = self.file
        if isinstance(file, TorchArchive) and not file.in_order(name):
            return tensor_blocks(file.tensor(name))
        return file.blocks(name)

    def release(self) -> None:
        """Give back the memory of mapped pages."""
        self.file.release()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
