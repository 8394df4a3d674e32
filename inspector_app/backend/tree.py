"""A live model as rows.

Preorder; each module's own parameters and buffers, then its registered modules, then what its
plain attributes hold.  A module reached again is shown again (``REPEATED``), unless it stands
inside itself (``REFERENCE``).  Registration is a fact about objects: an attribute that aliases a
registered parameter is seen by the optimizer as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.computed import computed_by, originals_of
from inspector_app.backend.kinds import class_name
from inspector_app.backend.module_flags import LOOKED_AT, module_flags
from inspector_app.backend.quantization import QUANTIZED_DTYPES
from inspector_app.backend.ranges import Places, distinct_bytes
from inspector_app.backend.tensors import TensorFacts, share_a_byte, tensor_facts
from inspector_app.backend.walking import CLASS_SHIFT, ROLE_SHIFT, walk
from inspector_app.protocol.changes import RowsChange, change_of_rows
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

_BASE: Any = torch._C.TensorBase
_requires_grad: Callable[[torch.Tensor], bool] = _BASE.requires_grad.__get__
# What is true of an object is true of each of its rows.
_OF_OBJECTS = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED | Flag.PARAMETRIZED
# A module may hold quantized tensors besides packed ones: that does not change by an edit.
_REREAD = np.uint32(LOOKED_AT & ~Flag.QUANTIZED)


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
                flags[rows] |= np.bitwise_or.reduce(flags[rows]) & np.uint32(_OF_OBJECTS)
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
    quantized = np.asarray([d in QUANTIZED_DTYPES for d in facts.dtypes] + [False])
    can_train = able[facts.dtype_index] & (role[at] == Role.PARAMETER)
    for flag, holds in (
        (Flag.REQUIRES_GRAD, facts.requires_grad),
        (Flag.LAZY, facts.lazy),
        (Flag.META, facts.meta),
        (Flag.UNUSUAL, facts.unusual),
        (Flag.QUANTIZED, quantized[facts.dtype_index]),
        (Flag.CAN_TRAIN, can_train),
    ):
        flags[at] |= np.where(holds, np.uint32(flag), np.uint32(0))


def _packed_names(names: list[Any]) -> tuple[NDArray[np.uint8], Int32]:
    """Names as they are; a key that somebody made of another type by that type."""
    try:
        return pack_names(names)
    except TypeError:
        return pack_names(
            [
                name if issubclass(type(name), str) else f"<{class_name(type(name))}>"
                for name in names
            ]
        )


def build_tree(root: nn.Module, previous: Tree | None = None) -> Tree:
    """All rows of a model; ids survive from ``previous`` by (id of the parent, role, name).

    Reads instance dictionaries and torch's own descriptors only: none of the model's code runs,
    no random number is drawn.
    """
    with without_collection(), torch._C.DisableTorchFunctionSubclass():
        rows = walk(root)
        count = len(rows.names)
        codes = np.fromiter(rows.codes, np.int64, count)
        role = ((codes >> ROLE_SHIFT) & 0xFF).astype(np.uint8)
        flags = (codes & 0xFFFFFFFF).astype(np.uint32)
        at = np.flatnonzero(flags & Flag.TENSOR)
        facts = tensor_facts([rows.objects[position] for position in at.tolist()])
        _tensor_flags(flags, role, at, facts)

        def column(values: NDArray[Any], fill: int) -> NDArray[Any]:
            whole = np.full(count, fill, values.dtype)
            whole[at] = values
            return whole

        parent = np.fromiter(rows.parents, np.int32, count)
        name_bytes, name_offsets = _packed_names(rows.names)
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
        _mark_modules(rows.special, rows.objects, table, flags)
        places = Places(facts.space, facts.start, facts.bytes)
        groups = [at[group].tolist() for group in places.same()]
        tie = _tie(groups, rows.objects, flags, ids)
        overlapping = places.overlapping(lambda a, b: _meet(rows.objects, at[a], at[b]))
        flags[at[overlapping]] |= np.uint32(Flag.OVERLAPS)
        _mark_in_model(rows.unregistered, rows.objects, flags)
    return Tree(
        table=msgspec.structs.replace(table, ids=ids, tie=tie, flags=flags),
        objects=rows.objects,
        space=column(facts.space, 0),
        start=column(facts.start, 0),
        next_id=next_id,
    )


def _meet(objects: list[Any], some: Int64, others: Int64) -> bool:
    """Whether a tensor of one range shares a byte with one of another that overlaps it."""
    some_tensors = {id(objects[p]): objects[p] for p in some.tolist()}
    other_tensors = {id(objects[p]): objects[p] for p in others.tolist()}
    return any(
        share_a_byte(one, other)
        for one in some_tensors.values()
        for other in other_tensors.values()
    )


def _mark_modules(
    special: list[int], objects: list[Any], table: RowTable, flags: NDArray[np.uint32]
) -> None:
    """Flags of modules that are not like most, and of the tensors that they compute and hold."""
    for position in special:
        module = objects[position]
        own = module_flags(module)
        flags[position] |= np.uint32(own)
        if own & Flag.PARAMETRIZED:
            names = set(originals_of(module))
            for computed in computed_by(module):
                names |= {computed.name, *computed.sources}
            for row in _tensors_of(table, position):
                if table.name(row) in names:
                    flags[row] |= np.uint32(Flag.PARAMETRIZED)
    quantized = np.flatnonzero((flags & Flag.QUANTIZED) != 0)
    owners = table.parent[quantized[(flags[quantized] & Flag.TENSOR) != 0]]
    owners = owners[(flags[owners] & Flag.CONTAINER) == 0]
    flags[owners] |= np.uint32(Flag.QUANTIZED)


def _tensors_of(table: RowTable, position: int) -> Iterator[int]:
    """Positions of the tensors that a module holds itself."""
    row, end = position + 1, int(table.end[position])
    while row < end:
        if table.flags[row] & Flag.TENSOR:
            yield row
        row = int(table.end[row])


def refreshed(tree: Tree, positions: Int32) -> tuple[Tree, RowsChange]:
    """The tree with what edits set of these rows read again, and what that changed.

    That is ``requires_grad`` of tensors, and what :func:`module_flags` tells of modules.
    """
    table = tree.table
    is_tensor = (table.flags[positions] & Flag.TENSOR) != 0
    rows = positions[is_tensor]
    with torch._C.DisableTorchFunctionSubclass():
        trains = [_requires_grad(tree.objects[row]) for row in rows.tolist()]
    flags = table.flags.copy()
    bit = np.uint32(Flag.REQUIRES_GRAD)
    flags[rows] = np.where(np.asarray(trains, np.bool_), flags[rows] | bit, flags[rows] & ~bit)
    for row in positions[~is_tensor].tolist():
        if issubclass(type(tree.objects[row]), nn.Module):
            flags[row] = (flags[row] & ~_REREAD) | np.uint32(module_flags(tree.objects[row]))
    new = msgspec.structs.replace(table, flags=flags)
    for name in ("paths", "depth", "_names", "_position_by_id"):  # these do not depend on it
        if name in vars(table):
            vars(new)[name] = vars(table)[name]
    return (
        dataclasses.replace(tree, table=new),
        change_of_rows(new, positions[flags[positions] != table.flags[positions]]),
    )


def _mark_in_model(unregistered: list[int], objects: list[Any], flags: NDArray[np.uint32]) -> None:
    """Say of modules reached by a plain attribute whether they are registered elsewhere."""
    if not unregistered:
        return
    registered = {id(objects[p]) for p in np.flatnonzero(flags & Flag.IN_MODEL).tolist()}
    for position in unregistered:
        if id(objects[position]) in registered:
            flags[position] |= np.uint32(Flag.IN_MODEL)


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
        bytes=distinct_bytes(tree.space[stored], tree.start[stored], table.bytes[stored]),
    )
