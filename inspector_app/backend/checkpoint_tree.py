"""Rows of a checkpoint: its keys taken apart at their dots, in a natural order.

All is done by columns, so that tens of thousands of keys take a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.backend.formats.values import Entry, PlainValue
from inspector_app.backend.quantization import QUANTIZED_DTYPES
from inspector_app.backend.ranges import Places, tied
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import (
    Flag,
    Int32,
    Int64,
    Role,
    RowTable,
    pack_names,
    subtree_ends,
    take_names,
)

_DEPTH = 32  # levels a key is taken apart to; the rest stays one name
_CLASSES = ("Checkpoint", "Group")  # of rows that are no tensors
_QUANTIZED = frozenset(str(dtype).removeprefix("torch.") for dtype in QUANTIZED_DTYPES)


def _natural(name: str) -> tuple[bool, int, str]:
    """Order of siblings: numbers by value, then words."""
    number = name.isdecimal() and len(name) < 19
    return not number, int(name) if number else 0, name


class _Interned(dict[Any, int]):
    """Distinct values, numbered as they come."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number

    def codes(self, values: Iterable[Any]) -> list[int]:
        """The number of each value."""
        return list(map(self.__getitem__, values))


class _Rows:
    """Where the keys stand: a row for each, and one for each prefix that is no key itself.

    ``words`` holds the number of each row's name among ``names``, ``parent`` the row above it;
    ``order`` are the keys as they follow each other and ``leaves`` their rows.
    """

    def __init__(self, keys: list[str]) -> None:
        parted = [key.split(".", _DEPTH) for key in keys]
        flat = list(chain.from_iterable(parted))
        self.names = ["", *sorted(set(flat), key=_natural)]
        rank = dict(zip(self.names[1:], range(1, len(self.names)), strict=True))
        lengths = np.fromiter(map(len, parted), np.int32, len(parted))
        deepest = int(lengths.max(initial=0))
        # A line for each key, with the ranks of its parts and 0 behind them: 0 comes first, so that
        # each key stands behind its prefixes.
        table = np.zeros((len(keys), deepest), np.int32)
        filled = np.arange(deepest) < lengths[:, None]
        table[filled] = np.fromiter(map(rank.__getitem__, flat), np.int32, len(flat))
        self.order = np.lexsort(table.T[::-1]) if deepest else np.arange(len(keys))
        table, lengths, filled = table[self.order], lengths[self.order], filled[self.order]
        # Of each key, the parts that it does not share with the one before it are new rows.
        shared = np.zeros(len(keys), np.int64)
        same = np.logical_and.accumulate(table[1:] == table[:-1], axis=1)
        shared[1:] = np.minimum((same & filled[1:] & filled[:-1]).sum(axis=1), lengths[:-1])
        new = filled & (np.arange(deepest) >= shared[:, None])
        self.words: Int32 = np.concatenate([np.zeros(1, np.int32), table[new]])
        # The row of each part: its own where it is new, else that of the line before.
        rows = np.zeros((len(keys) + 1, deepest + 1), np.int32)
        rows[1:, 1:][new] = np.arange(1, len(self.words), dtype=np.int32)
        np.maximum.accumulate(rows, axis=0, out=rows)
        self.parent: Int32 = np.concatenate([np.full(1, -1, np.int32), rows[1:, :-1][new]])
        self.leaves: Int64 = rows[np.arange(1, len(keys) + 1), lengths].astype(np.int64)

    def packed(self) -> tuple[NDArray[np.uint8], Int32]:
        """The names of all rows, as a table holds them."""
        return take_names(*pack_names(self.names), self.words)


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
    plain = values or {}
    keys = [*entries, *plain]
    rows = _Rows(keys)
    count = len(rows.words)
    place = np.empty(len(keys), np.int64)  # the row of each key
    place[rows.order] = rows.leaves
    tensors, others = place[: len(entries)], place[len(entries) :]
    objects: list[Any] = [None] * count
    for position, value in zip(
        place.tolist(), chain(entries.values(), plain.values()), strict=True
    ):
        objects[position] = value
    found = list(entries.values())
    shapes, dtypes, devices, classes = _Interned(), _Interned(), _Interned(), _Interned()
    classes.codes((*_CLASSES, "Tensor"))

    def column(values: list[int], fill: int, kind: type[Any]) -> NDArray[Any]:
        whole = np.full(count, fill, kind)
        whole[tensors] = values
        return whole

    class_index = column(classes.codes([entry.class_name for entry in found]), 1, np.int32)
    class_index[others] = classes.codes([value.class_name for value in plain.values()])
    class_index[0] = 0
    role = np.full(count, Role.GROUP, np.uint8)
    role[tensors], role[others] = Role.TENSOR, Role.ATTRIBUTE
    flags = np.zeros(count, np.uint32)
    flags[tensors] = Flag.TENSOR | Flag.SAVED
    if beside:
        row_of = dict(zip(entries, tensors.tolist(), strict=True))
        flags[[row_of[name] for name in beside if name in row_of]] &= ~np.uint32(Flag.SAVED)
    where = devices.codes([entry.device for entry in found])
    on_meta = np.asarray(where, np.int64) == devices.get("meta", -1)
    flags[tensors[on_meta]] |= np.uint32(Flag.META)
    shape_codes = [-1 if entry.shape is None else shapes[entry.shape] for entry in found]
    space = column([entry.space for entry in found], 0, np.int64)
    begin = column([entry.start for entry in found], 0, np.int64)
    size = column([entry.stored for entry in found], 0, np.int64)
    ids = np.arange(count, dtype=np.int32)
    holding = np.flatnonzero(size > 0)
    places = Places(space[holding], begin[holding], size[holding])
    # By their ranges alone: whether elements of two interleaved tensors meet is not looked at.
    flags[holding[places.overlapping(lambda *_: True)]] |= np.uint32(Flag.OVERLAPS)
    flags[tensors[[entry.dtype in _QUANTIZED for entry in found]]] |= np.uint32(Flag.QUANTIZED)
    name_bytes, name_offsets = rows.packed()
    table = RowTable(
        ids=ids,
        parent=rows.parent,
        end=subtree_ends(rows.parent),
        role=role,
        flags=flags,
        class_index=class_index,
        shape_index=column(shape_codes, -1, np.int32),
        dtype_index=column(dtypes.codes([entry.dtype for entry in found]), -1, np.int16),
        device_index=column(where, -1, np.int16),
        count=column([entry.count for entry in found], 0, np.int64),
        bytes=size,
        tie=tied(places, holding, ids),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=list(classes),
        shapes=list(shapes),
        dtypes=list(dtypes),
        devices=list(devices),
    )
    return Tree(table=table, objects=objects, space=space, start=begin, next_id=count)
