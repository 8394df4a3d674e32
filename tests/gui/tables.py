"""Tables of rows made by hand, so that tests of the window need no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector_app.protocol.messages import Totals
from inspector_app.protocol.table import Flag, Role, RowTable, pack_names, subtree_ends

REGISTERED = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED
EVAL = 1 << 30  # of ``module``: not in train mode
TRAINED = Flag.TENSOR | Flag.REQUIRES_GRAD | Flag.CAN_TRAIN | REGISTERED


@dataclass
class Row:
    """One row and all below it."""

    name: str
    role: Role = Role.MODULE
    flags: int = Flag.IN_MODEL
    kind: str = "Module"  # class
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    device: str | None = None
    tie: int = -1
    id: int = -1  # -1: numbered in preorder
    below: list[Row] = field(default_factory=list)


def parameter(name: str, *shape: int, flags: int = TRAINED, tie: int = -1, id: int = -1) -> Row:
    return Row(name, Role.PARAMETER, flags, "Parameter", shape, "float32", "cpu", tie, id)


def buffer(name: str, *shape: int, persistent: bool = True) -> Row:
    flags = Flag.TENSOR | Flag.MOVED | (Flag.PERSISTENT | Flag.SAVED if persistent else 0)
    return Row(name, Role.BUFFER, flags, "Tensor", shape, "float32", "cpu")


def module(name: str, kind: str, *below: Row, flags: int = 0, id: int = -1) -> Row:
    """In train mode, unless the flags say that it is not."""
    mode = 0 if flags & EVAL else Flag.TRAINING
    return Row(
        name, flags=Flag.IN_MODEL | mode | (flags & ~EVAL), kind=kind, below=list(below), id=id
    )


def table_of(root: Row) -> RowTable:
    """The table of a tree of rows."""
    rows: list[Row] = []
    parents: list[int] = []
    waiting = [(root, -1)]
    while waiting:
        row, parent = waiting.pop()
        position = len(rows)
        rows.append(row)
        parents.append(parent)
        waiting += [(child, position) for child in reversed(row.below)]
    return table_of_rows(rows, parents)


def table_of_rows(rows: list[Row], parents: list[int]) -> RowTable:
    """The table of rows in preorder with the positions of their parents."""

    def numbered(values: list) -> tuple[list, list[int]]:
        used = list(dict.fromkeys(value for value in values if value is not None))
        known = {value: code for code, value in enumerate(used)}
        return used, [-1 if value is None else known[value] for value in values]

    classes, class_index = numbered([row.kind for row in rows])
    shapes, shape_index = numbered([row.shape for row in rows])
    dtypes, dtype_index = numbered([row.dtype for row in rows])
    devices, device_index = numbered([row.device for row in rows])
    sizes = [0 if row.shape is None else int(np.prod(row.shape)) for row in rows]
    name_bytes, name_offsets = pack_names([row.name for row in rows])
    parent = np.asarray(parents, np.int32)
    return RowTable(
        ids=np.asarray([at if row.id < 0 else row.id for at, row in enumerate(rows)], np.int32),
        parent=parent,
        end=subtree_ends(parent),
        role=np.asarray([row.role for row in rows], np.uint8),
        flags=np.asarray([int(row.flags) for row in rows], np.uint32),
        class_index=np.asarray(class_index, np.int32),
        shape_index=np.asarray(shape_index, np.int32),
        dtype_index=np.asarray(dtype_index, np.int16),
        device_index=np.asarray(device_index, np.int16),
        count=np.asarray(sizes, np.int64),
        bytes=np.asarray(sizes, np.int64) * 4,
        tie=np.asarray([row.tie for row in rows], np.int32),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=classes,
        shapes=shapes,
        dtypes=dtypes,
        devices=devices,
    )


def small_table() -> RowTable:
    """A small model with one of everything.

    Ids: 0 root, 1 embed, 2 embed.weight (tied), 3 body, 4 body.0 Linear, 5 its weight, 6 its bias,
    7 body.1 ReLU, 8 body.2 BatchNorm1d, 9-10 its parameters, 11 its running_mean, 12 head,
    13 head.weight (tied with 2), 14 mask (buffer that is not saved), 15 scale (plain tensor),
    16 width (a number).
    """
    return table_of(
        module(
            "",
            "Small",
            module("embed", "Embedding", parameter("weight", 12, 8, tie=2)),
            module(
                "body",
                "Sequential",
                module("0", "Linear", parameter("weight", 8, 8), parameter("bias", 8)),
                module("1", "ReLU"),
                module(
                    "2",
                    "BatchNorm1d",
                    parameter("weight", 8),
                    parameter("bias", 8),
                    buffer("running_mean", 8),
                ),
            ),
            module("head", "Linear", parameter("weight", 12, 8, tie=2)),
            buffer("mask", 4, persistent=False),
            Row("scale", Role.ATTRIBUTE, Flag.TENSOR, "Tensor", (3,), "float32", "cpu"),
            Row("width", Role.ATTRIBUTE, 0, "int"),
        )
    )


def totals_of(table: RowTable) -> Totals:
    """Totals of a table whose tied parameters count once."""
    first = (table.tie < 0) | (table.tie == table.ids)
    parameters = (table.role == Role.PARAMETER) & first
    trains = parameters & ((table.flags & Flag.REQUIRES_GRAD) != 0)
    buffers = table.role == Role.BUFFER
    return Totals(
        modules=int((table.role == Role.MODULE).sum()),
        parameters=int(table.count[parameters].sum()),
        trainable=int(table.count[trains].sum()),
        buffers=int(table.count[buffers].sum()),
        bytes=int(table.bytes[parameters | buffers].sum()),
    )
