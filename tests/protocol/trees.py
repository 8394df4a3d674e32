"""Row tables made of random trees: for tests of all that reads or changes tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from inspector_app.protocol.table import Flag, Role, RowTable, pack_names, subtree_ends


@dataclass(frozen=True)
class Node:
    """One row and those below it."""

    id: int
    name: str = ""
    role: Role = Role.MODULE
    flags: int = 0
    class_name: str = "Module"
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    device: str | None = None
    count: int = 0
    bytes: int = 0
    tie: int = -1
    below: list[Node] = field(default_factory=list)


def codes(values: list, dtype: type) -> tuple[np.ndarray, list]:
    """Codes of ``values`` (-1 for None) and the list of distinct ones."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    return np.asarray([-1 if v is None else distinct.index(v) for v in values], dtype), distinct


def table_of(root: Node | None) -> RowTable:
    """The table of a tree; an empty one of None."""
    nodes: list[Node] = []
    parents: list[int] = []
    waiting = [(root, -1)] if root else []
    while waiting:
        node, parent = waiting.pop()
        waiting += [(child, len(nodes)) for child in reversed(node.below)]
        nodes.append(node)
        parents.append(parent)
    parent = np.asarray(parents, np.int32)
    name_bytes, name_offsets = pack_names([node.name for node in nodes])
    class_index, classes = codes([node.class_name for node in nodes], np.int32)
    shape_index, shapes = codes([node.shape for node in nodes], np.int32)
    dtype_index, dtypes = codes([node.dtype for node in nodes], np.int16)
    device_index, devices = codes([node.device for node in nodes], np.int16)
    return RowTable(
        ids=np.asarray([node.id for node in nodes], np.int32),
        parent=parent,
        end=subtree_ends(parent),
        role=np.asarray([node.role for node in nodes], np.uint8),
        flags=np.asarray([node.flags for node in nodes], np.uint32),
        class_index=class_index,
        shape_index=shape_index,
        dtype_index=dtype_index,
        device_index=device_index,
        count=np.asarray([node.count for node in nodes], np.int64),
        bytes=np.asarray([node.bytes for node in nodes], np.int64),
        tie=np.asarray([node.tie for node in nodes], np.int32),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=classes,
        shapes=shapes,
        dtypes=dtypes,
        devices=devices,
    )


def rows(table: RowTable) -> list[tuple]:
    """What a reader sees of each row, whatever codes the table uses."""
    return [
        (
            int(table.ids[p]),
            int(table.parent[p]),
            int(table.end[p]),
            table.name(p),
            table.class_name(p),
            table.shape(p),
            table.dtype(p),
            table.device(p),
            *(int(getattr(table, c)[p]) for c in ("role", "flags", "count", "bytes", "tie")),
        )
        for p in range(len(table))
    ]


names = st.text(st.characters(codec=None), max_size=4)  # lone surrogates as well


@st.composite
def nodes(draw: st.DrawFn, ids: list[int], levels: int = 4) -> Node:
    """A node with an id taken from ``ids``, and some below it."""
    node = Node(id=ids.pop(), name=draw(names), class_name=draw(st.sampled_from("ABCD")))
    if draw(st.booleans()):
        tensor = st.sampled_from([Role.PARAMETER, Role.BUFFER, Role.TENSOR, Role.ATTRIBUTE])
        tie = draw(st.integers(-1, 3))
        # Rows that share memory have the same size, each its own flags.
        count = draw(st.integers(0, 9)) if tie < 0 else tie + 1
        flags = draw(st.integers(0, 2**14 - 1)) | (Flag.TENSOR if draw(st.booleans()) else 0)
        node = replace(
            node,
            role=draw(tensor),
            flags=flags,
            shape=draw(st.sampled_from([(count,), (1, count), ()])),
            dtype=draw(st.sampled_from(["float32", "int8"])),
            device=draw(st.sampled_from(["cpu", "meta"])),
            count=count,
            bytes=4 * count,
            tie=tie,
        )
    if levels:
        for _ in range(draw(st.integers(0, 4))):
            if ids:
                node.below.append(draw(nodes(ids, levels - 1)))
    return node


@st.composite
def trees(draw: st.DrawFn) -> Node:
    """A random tree whose ids stand in any order, the root's too."""
    return draw(nodes(draw(st.permutations(range(18)))))
