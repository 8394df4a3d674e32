"""Facts about the memory of a tensor: its size, the storage it lies in, and who shares it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from inspector_app.backend.facts.words import bytes_fact, call, listed
from inspector_app.backend.sharing import Tie, kind_of_tie, overlapping_rows
from inspector_app.backend.summary import bytes_text
from inspector_app.backend.tensors import layout_of
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Fact
from inspector_app.protocol.table import Flag, RowTable


def size_facts(table: RowTable, position: int, tensor: Tensor) -> Iterator[Fact]:
    """Elements, logical and stored bytes, and the storage of a tensor that is not lazy."""
    count, stored = int(table.count[position]), int(table.bytes[position])
    logical = count * (call("element_size", tensor) or 0)
    if not count and stored:
        yield bytes_fact("Stored", stored)  # by a wrapper that does not tell its shape
        return
    yield Fact(label="Elements", value=f"{count:,}")
    if logical != stored:
        yield bytes_fact("Logical size", logical)
        yield bytes_fact("Stored", stored)
    elif Flag.META in Flag(int(table.flags[position])):
        yield bytes_fact("Size, once it has data", stored)
    else:
        yield bytes_fact("Size", stored)
    yield from _storage_facts(tensor, stored)
    if layout_of(tensor) == "strided":
        strides = call("stride", tensor)
        if strides is not None:
            dense = "contiguous" if call("is_contiguous", tensor) else "not contiguous"
            yield Fact(label="Strides", value=f"{tuple(strides)}, {dense}")


def _storage_facts(tensor: Tensor, stored: int) -> Iterator[Fact]:
    """The storage that a tensor is a part of."""
    storage = call("untyped_storage", tensor)
    total = 0 if storage is None else storage.nbytes()
    if total > stored > 0:
        offset = (call("storage_offset", tensor) or 0) * (call("element_size", tensor) or 0)
        place = f", of which this is a part from byte {offset:,} on"
        yield bytes_fact("Storage", total, place)


def tie_facts(table: RowTable, position: int, objects: list[Any]) -> Iterator[Fact]:
    """Rows of the very same bytes, and in what way they are the same."""
    own = objects[position]
    kinds: dict[Tie | None, list[str]] = {}
    for other in table.tied_to(position).tolist():
        tensor = objects[other]
        live = issubclass(type(own), Tensor)  # else an entry of a checkpoint
        kind = kind_of_tie(own, tensor) if live else None
        kinds.setdefault(kind, []).append(table.path(other))
    for kind, paths in kinds.items():
        way = f": {kind.value}" if kind is not None else ""
        yield Fact(label="Tied to", value=listed(paths) + way, exact="\n".join(paths))


def overlap_facts(tree: Tree, position: int) -> Iterator[Fact]:
    """Rows that share a part of the bytes."""
    table = tree.table
    if not table.has(position, Flag.OVERLAPS):
        return
    rows = overlapping_rows(tree, np.asarray([position], np.int32)).tolist()
    named = [(table.path(row), _shared(tree, position, row)) for row in rows]
    if named:
        value = listed([f"{path} ({bytes_text(count)})" for path, count in named])
        exact = "\n".join(f"{path}: {count:,} bytes at most" for path, count in named)
        yield Fact(label="Overlaps", value=value, exact=exact, tone="warning")


def _shared(tree: Tree, first: int, second: int) -> int:
    """Bytes of the range in which the ranges of two rows meet."""
    low = max(tree.start[first], tree.start[second])
    ends = [int(tree.start[row] + tree.table.bytes[row]) for row in (first, second)]
    return max(0, min(ends) - int(low))
