"""A safetensors file opened as a bare checkpoint: rows from its header, values on demand.

There is nothing to run and nothing to train; what can be done is to look, measure and export.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.notes import noted_requires_grad, noted_ties
from inspector_app.backend.opening.safetensors_file import (
    SafetensorsFile,
    TensorEntry,
)
from inspector_app.backend.states import Bytes, Spec
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Totals
from inspector_app.protocol.table import Flag, Role, RowTable, pack_names, subtree_ends

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


def checkpoint_tree(entries: Mapping[str, TensorEntry]) -> Tree:
    """Rows of a checkpoint: a tensor per key, below a group per common dotted prefix.

    The path of a tensor's row is exactly its key.  Where a key is also a prefix of others, its row
    has them below it.  The objects are the entries, and None for groups.
    """
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
    values = list(entries.values())
    found = [values[index] for index in order]
    objects: list[TensorEntry | None] = [None] * len(names)
    for position, entry in zip(leaves, found, strict=True):
        objects[position] = entry
    shapes, dtypes = _Interned(), _Interned()
    at = np.zeros(len(names), np.bool_)
    at[leaves] = True

    def column(values: list[int], fill: int, kind: type[Any]) -> NDArray[Any]:
        whole = np.full(len(names), fill, kind)
        whole[leaves] = values
        return whole

    class_index = np.where(at, 2, 1).astype(np.int32)
    class_index[0] = 0
    parent_column = np.asarray(parents, np.int32)
    name_bytes, name_offsets = pack_names(names)
    table = RowTable(
        ids=np.arange(len(names), dtype=np.int32),
        parent=parent_column,
        end=subtree_ends(parent_column),
        role=np.where(at, Role.TENSOR, Role.GROUP).astype(np.uint8),
        flags=np.where(at, Flag.TENSOR | Flag.SAVED, 0).astype(np.uint32),
        class_index=class_index,
        shape_index=column([shapes[entry.shape] for entry in found], -1, np.int32),
        dtype_index=column([dtypes[entry.dtype] for entry in found], -1, np.int16),
        device_index=np.where(at, 0, -1).astype(np.int16),
        count=column([entry.count for entry in found], 0, np.int64),
        bytes=column([entry.nbytes for entry in found], 0, np.int64),
        tie=np.full(len(names), -1, np.int32),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=["Checkpoint", "Group", "Tensor"],
        shapes=list(shapes),
        dtypes=list(dtypes),
        devices=["cpu"],
    )
    return Tree(
        table=table,
        objects=objects,
        space=at.astype(np.int64),  # all in one file
        start=column([entry.start for entry in found], 0, np.int64),
        next_id=len(names),
    )


class Checkpoint:
    """An open checkpoint, and a source of its own tensors for export and comparison."""

    def __init__(self, path: str | os.PathLike[str], target: str = "") -> None:
        """Open ``path``; ``target`` is how it was asked for.  Raises TargetError."""
        self.file = SafetensorsFile(path)
        self.path = os.path.abspath(self.file.path)
        self.target = target or self.file.path
        self.title = os.path.basename(self.path)

    @cached_property
    def tree(self) -> Tree:
        """Its rows; the objects are TensorEntry, and None for groups."""
        with without_collection():
            return checkpoint_tree(self.file.entries)

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
        counted: set[int] = set()
        parameters = trainable = buffers = 0
        for name, entry in entries.items():
            tie = self._ties.get(name)
            if tie in counted:
                continue
            if tie is not None:
                counted.add(tie)
            if grad is None or name in grad:
                parameters += entry.count
                trainable += entry.count if grad is not None and grad[name] else 0
            else:
                buffers += entry.count
        return Totals(
            modules=0,
            parameters=parameters,
            trainable=trainable,
            buffers=buffers,
            bytes=self.file.size - self.file.data_start,
        )

    def fingerprint(self) -> str:
        """A mark that is equal for equal files: of the header and samples of the data."""
        file = self.file
        mark = hashlib.blake2b(file.read(0, file.data_start), digest_size=16)
        last = max(file.data_start, file.size - _SAMPLE)
        for offset in np.linspace(file.data_start, last, _SAMPLES).astype(np.int64).tolist():
            mark.update(file.read(offset, min(_SAMPLE, file.size - offset)))
        return mark.hexdigest()

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped read-only from the file; see :meth:`SafetensorsFile.tensor`."""
        return self.file.tensor(name)

    def names(self) -> list[str]:
        """All keys."""
        return list(self.file.entries)

    def spec(self, name: str) -> Spec:
        """What the header says of one tensor; ties are those that were noted."""
        entry = self.file.entries[name]
        return Spec(entry.dtype, entry.shape, entry.nbytes, self._ties.get(name))

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, read piece by piece."""
        return self.file.blocks(name)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
