"""A live model as rows.

Preorder; each module's own parameters and buffers, then its registered modules, then what its
plain attributes hold.  A module reached again is shown again (``REPEATED``), unless it stands
inside itself (``REFERENCE``).  Registration is a fact about objects: an attribute that aliases a
registered parameter is seen by the optimizer as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.tensors import TensorFacts, tensor_facts
from inspector_app.backend.walking import CLASS_SHIFT, ROLE_SHIFT, walk
from inspector_app.protocol.messages import Totals
from inspector_app.protocol.table import (
    Flag,
    Int32,
    Int64,
    Role,
    RowTable,
    pack_names,
    subtree_ends,
)

_REGISTRATION = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED


@dataclass(frozen=True)
class Tree:
    """The rows of one open target and, at the same positions, what stands behind them.

    ``space`` and ``start`` place the ``bytes`` of each tensor in memory (see
    :class:`inspector_app.backend.tensors.Memory`); both are 0 for rows that are no tensors, and
    empty for a checkpoint.  ``next_id`` is above every id ever given, so that none is used again.
    """

    table: RowTable
    objects: list[Any]
    space: Int64 = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    start: Int64 = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    next_id: int = 0

    def object_at(self, row_id: int) -> Any:
        """The module, tensor or plain value of a row; raises KeyError where the row is gone."""
        return self.objects[self.table.position(row_id)]


def _groups(positions: Int64, space: Int64, start: Int64, size: Int64) -> list[list[int]]:
    """Positions of tensors that occupy exactly the same bytes, in order, two or more each."""
    # Most models have no ties: one sort of a mix of the three keys tells.
    mixed = (space * np.int64(-7046029254386353131) + start) * np.int64(31) + size
    _, inverse, counts = np.unique(mixed, return_inverse=True, return_counts=True)
    groups: dict[tuple[int, int, int], list[int]] = {}
    for index in np.flatnonzero(counts[inverse] > 1).tolist():
        key = (int(space[index]), int(start[index]), int(size[index]))
        groups.setdefault(key, []).append(int(positions[index]))
    return [group for group in groups.values() if len(group) > 1]


def tied(positions: Int64, space: Int64, start: Int64, size: Int64, ids: Int32) -> Int32:
    """The ``tie`` column of rows of which those at ``positions`` occupy bytes (all columns)."""
    tie = np.full(len(ids), -1, np.int32)
    for group in _groups(positions, space[positions], start[positions], size[positions]):
        tie[group] = ids[group[0]]
    return tie


def _tie(
    groups: list[list[int]], objects: list[Any], flags: NDArray[np.uint32], ids: Int32
) -> Int32:
    """The ``tie`` column; also spreads what is true of an object over all of its rows."""
    tie = np.full(len(objects), -1, np.int32)
    for group in groups:
        tie[group] = ids[group[0]]
        same: dict[int, list[int]] = {}
        for position in group:
            same.setdefault(id(objects[position]), []).append(position)
        for rows in same.values():
            if len(rows) > 1:
                flags[rows] |= np.bitwise_or.reduce(flags[rows]) & np.uint32(_REGISTRATION)
                flags[rows[1:]] |= np.uint32(Flag.REPEATED)
    return tie


def _ids(table: RowTable, previous: Tree | None) -> tuple[Int32, int]:
    """Ids of all rows, those of ``previous`` where parent, role and name are the same."""
    count = len(table)
    if previous is None:
        return np.arange(count, dtype=np.int32), count
    old = previous.table
    item = np.uint32(Flag.ITEM)
    if (
        len(old) == count
        and np.array_equal(old.parent, table.parent)
        and np.array_equal(old.role, table.role)
        and np.array_equal(old.name_offsets, table.name_offsets)
        and np.array_equal(old.name_bytes, table.name_bytes)
        and np.array_equal(old.flags & item, table.flags & item)
    ):
        return old.ids, previous.next_id
    known: dict[tuple[int, int, str], list[int]] = {}
    parents, roles, old_ids = old.parent.tolist(), old.role.tolist(), old.ids.tolist()
    for position in range(len(old) - 1, -1, -1):
        above = parents[position]
        key = (old_ids[above] if above >= 0 else -1, roles[position], old.name(position))
        known.setdefault(key, []).append(old_ids[position])
    next_id = previous.next_id
    ids: list[int] = []
    parents, roles = table.parent.tolist(), table.role.tolist()
    for position in range(count):
        above = parents[position]
        key = (ids[above] if above >= 0 else -1, roles[position], table.name(position))
        left = known.get(key)
        if left:
            ids.append(left.pop())
        else:
            ids.append(next_id)
            next_id += 1
    return np.asarray(ids, np.int32), next_id


def _tensor_flags(
    flags: NDArray[np.uint32], role: NDArray[np.uint8], at: Int64, facts: TensorFacts
) -> None:
    """Add what is known of the tensors at positions ``at`` to their flags."""
    able = np.asarray([d.is_floating_point or d.is_complex for d in facts.dtypes] + [False])
    meta = np.asarray([device.type == "meta" for device in facts.devices] + [False])
    can_train = able[facts.dtype_index] & (role[at] == Role.PARAMETER)
    for flag, holds in (
        (Flag.REQUIRES_GRAD, facts.requires_grad),
        (Flag.LAZY, facts.lazy),
        (Flag.META, meta[facts.device_index]),
        (Flag.CAN_TRAIN, can_train),
    ):
        flags[at] |= np.where(holds, np.uint32(flag), np.uint32(0))


def _safe_names(names: list[Any]) -> list[str]:
    """Names as they are; a key that somebody made of another type by its text."""
    if set(map(type, names)) == {str}:
        return names
    return [
        str.__str__(name) if issubclass(type(name), str) else f"<{type(name).__name__}>"
        for name in names
    ]


def build_tree(root: nn.Module, previous: Tree | None = None) -> Tree:
    """All rows of a model; ids survive from ``previous`` by (id of the parent, role, name).

    Reads instance dictionaries and torch's own descriptors only: none of the model's code runs,
    no random number is drawn.
    """
    with without_collection(), torch._C.DisableTorchFunctionSubclass():
        rows = walk(root)
        count = len(rows.names)
        codes = np.asarray(rows.codes, np.int64)
        role = ((codes >> ROLE_SHIFT) & 0xFF).astype(np.uint8)
        flags = (codes & 0xFFFFFFFF).astype(np.uint32)
        at = np.flatnonzero(flags & Flag.TENSOR)
        facts = tensor_facts([rows.objects[position] for position in at.tolist()])
        _tensor_flags(flags, role, at, facts)

        def column(values: NDArray[Any], fill: int) -> NDArray[Any]:
            whole = np.full(count, fill, values.dtype)
            whole[at] = values
            return whole

        parent = np.asarray(rows.parents, np.int32)
        name_bytes, name_offsets = pack_names(_safe_names(rows.names))
        table = RowTable(
            ids=np.arange(count, dtype=np.int32),
            parent=parent,
            end=subtree_ends(parent),
            role=role,
            flags=flags,
            class_index=(codes >> CLASS_SHIFT).astype(np.int32),
            shape_index=column(facts.shape_index, -1),
            dtype_index=column(facts.dtype_index, -1),
            device_index=column(facts.device_index, -1),
            count=column(facts.count, 0),
            bytes=column(facts.bytes, 0),
            tie=np.full(count, -1, np.int32),
            name_bytes=name_bytes,
            name_offsets=name_offsets,
            classes=rows.classes,
            shapes=facts.shapes,
            dtypes=[str(dtype).removeprefix("torch.") for dtype in facts.dtypes],
            devices=[str(device) for device in facts.devices],
        )
        ids, next_id = _ids(table, previous)
        groups = _groups(at, facts.space, facts.start, facts.bytes)
        tie = _tie(groups, rows.objects, flags, ids)
        _mark_in_model(rows.unregistered, rows.objects, flags)
    return Tree(
        table=msgspec.structs.replace(table, ids=ids, tie=tie, flags=flags),
        objects=rows.objects,
        space=column(facts.space, 0),
        start=column(facts.start, 0),
        next_id=next_id,
    )


def _mark_in_model(unregistered: list[int], objects: list[Any], flags: NDArray[np.uint32]) -> None:
    """Say of modules reached by a plain attribute whether they are registered elsewhere."""
    if not unregistered:
        return
    registered = {id(objects[p]) for p in np.flatnonzero(flags & Flag.IN_MODEL).tolist()}
    for position in unregistered:
        if id(objects[position]) in registered:
            flags[position] |= np.uint32(Flag.IN_MODEL)


def _distinct_bytes(space: Int64, start: Int64, size: Int64) -> int:
    """Bytes that some ranges cover, each counted once."""
    order = np.lexsort((start, space))
    space, start, size = space[order], start[order], size[order]
    end = start + size
    overlap = np.flatnonzero((space[1:] == space[:-1]) & (start[1:] < end[:-1]))
    if not len(overlap):
        return int(size.sum())
    shared = np.isin(space, np.unique(space[overlap]))
    total = int(size[~shared].sum())
    current, reach = None, 0
    for place, first, last in zip(
        space[shared].tolist(), start[shared].tolist(), end[shared].tolist(), strict=True
    ):
        if place != current:
            current, reach = place, first
        total += max(0, last - max(first, reach))
        reach = max(reach, last)
    return total


def totals(tree: Tree) -> Totals:
    """Sums over the model as an optimizer and ``state_dict`` see it.

    Elements of tied tensors (the same memory) count once, and so does each stored byte, also where
    tensors overlap only in part.
    """
    table = tree.table
    module = (table.role == Role.MODULE) & ((table.flags & Flag.IN_MODEL) != 0)
    modules = int(module.sum())
    if (module & ((table.flags & Flag.REPEATED) != 0)).any():
        modules = len({id(tree.objects[position]) for position in np.flatnonzero(module).tolist()})
    is_tensor = (table.flags & Flag.TENSOR) != 0
    parameter = (table.role == Role.PARAMETER) & ((table.flags & Flag.IN_PARAMETERS) != 0)
    buffer = (table.role == Role.BUFFER) & ((table.flags & Flag.MOVED) != 0)
    stored = is_tensor & (parameter | buffer)

    def elements(chosen: NDArray[np.bool_]) -> int:
        """Elements of the rows chosen, of each tie the first one that is chosen."""
        tied = np.flatnonzero(chosen & (table.tie >= 0))
        _, firsts = np.unique(table.tie[tied], return_index=True)
        return int(table.count[chosen & (table.tie < 0)].sum() + table.count[tied[firsts]].sum())

    trains = (table.flags & Flag.REQUIRES_GRAD) != 0
    return Totals(
        modules=modules,
        parameters=elements(parameter),
        trainable=elements(parameter & trains),
        buffers=elements(buffer),
        bytes=_distinct_bytes(tree.space[stored], tree.start[stored], table.bytes[stored]),
    )
