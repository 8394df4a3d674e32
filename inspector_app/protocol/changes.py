"""How a table of rows becomes another: rows changed, came and went.

The backend computes a :class:`RowsChange`, the window applies it; both keep a whole table.
``apply(old, difference(old, new))`` equals ``new`` for any two tables.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import (
    COLUMNS,
    INTERNED,
    PLAIN,
    Int32,
    RowTable,
    subtree_ends,
    take_names,
)


class RowsChange(msgspec.Struct, frozen=True):
    """Difference of two tables.

    ``removed``: ids that went, with all below them.  ``inserted``: rows that came, in preorder,
    standing at ``inserted_at`` (positions in the new table) below ``inserted_below`` (ids; -1 for
    the root).  ``changed``: rows that stayed and differ, names left empty.  The ``parent`` and
    ``end`` columns of both fragments mean nothing.
    """

    removed: Int32
    inserted_at: Int32
    inserted_below: Int32
    inserted: RowTable
    changed: RowTable

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (len(self.removed) or len(self.inserted) or len(self.changed))

    @property
    def structural(self) -> bool:
        """Whether rows came or went."""
        return bool(len(self.removed) or len(self.inserted))


def fragment(table: RowTable, positions: Int32, *, names: bool) -> RowTable:
    """The rows at ``positions``, with or without their names."""
    parts: dict[str, Any] = {column: getattr(table, column)[positions] for column in COLUMNS}
    for codes, values in INTERNED:
        used, packed = np.unique(parts[codes], return_inverse=True)
        known = used >= 0
        parts[values] = [getattr(table, values)[code] for code in used[known].tolist()]
        numbers = np.where(known, np.cumsum(known) - 1, -1)
        parts[codes] = numbers[packed].astype(parts[codes].dtype)
    if names:
        name_bytes, offsets = take_names(table.name_bytes, table.name_offsets, positions)
    else:
        name_bytes, offsets = np.empty(0, np.uint8), np.zeros(len(positions) + 1, np.int32)
    return RowTable(**parts, name_bytes=name_bytes, name_offsets=offsets)


def change_of_rows(table: RowTable, positions: Int32) -> RowsChange:
    """The change that tells of new values in rows that all stayed."""
    nothing = np.empty(0, np.int32)
    return RowsChange(
        removed=nothing,
        inserted_at=nothing,
        inserted_below=nothing,
        inserted=fragment(table, nothing, names=True),
        changed=fragment(table, positions, names=False),
    )


def _same_places(
    old: RowTable, new: RowTable, stays_old: NDArray[np.bool_], stays_new: NDArray[np.bool_]
) -> bool:
    """Whether the rows of both tables stand in one order, below the same rows, by the same name."""
    ids = old.ids[stays_old]
    if not np.array_equal(ids, new.ids[stays_new]):
        return False
    parents_old, parents_new = old.parent[stays_old], new.parent[stays_new]
    above_old = np.where(parents_old < 0, -1, old.ids[parents_old])
    above_new = np.where(parents_new < 0, -1, new.ids[parents_new])
    lengths_old, lengths_new = np.diff(old.name_offsets), np.diff(new.name_offsets)
    return (
        np.array_equal(above_old, above_new)
        and np.array_equal(lengths_old[stays_old], lengths_new[stays_new])
        and np.array_equal(
            old.name_bytes[np.repeat(stays_old, lengths_old)],
            new.name_bytes[np.repeat(stays_new, lengths_new)],
        )
    )


def difference(old: RowTable, new: RowTable) -> RowsChange:
    """What makes ``new`` of ``old``; rows are the same where their ids are."""
    stays_old = np.isin(old.ids, new.ids)
    stays_new = np.isin(new.ids, old.ids)
    if not _same_places(old, new, stays_old, stays_new):
        # Rows changed places: rare, so everything below the root is taken out and put back.
        stays_old, stays_new = np.zeros(len(old), bool), np.zeros(len(new), bool)
        if len(old) and len(new) and (old.ids[0], old.name(0)) == (new.ids[0], new.name(0)):
            stays_old[0] = stays_new[0] = True
    came = np.flatnonzero(~stays_new).astype(np.int32)
    before = np.flatnonzero(stays_old).astype(np.int32)
    after = np.flatnonzero(stays_new).astype(np.int32)
    differs = np.zeros(len(after), bool)
    for column in PLAIN:
        differs |= getattr(old, column)[before] != getattr(new, column)[after]
    for codes, values in INTERNED:
        # Number the new values as the old table does; unknown ones differ from everything.
        known = {value: code for code, value in enumerate(getattr(old, values))}
        renumber = [known.get(value, -2) for value in getattr(new, values)]
        renumbered = np.asarray([*renumber, -1], np.int64)[getattr(new, codes)[after]]
        differs |= getattr(old, codes)[before] != renumbered
    parent_ids = np.where(new.parent[came] < 0, -1, new.ids[new.parent[came]])
    return RowsChange(
        removed=old.ids[~stays_old],
        inserted_at=came,
        inserted_below=parent_ids.astype(np.int32),
        inserted=fragment(new, came, names=True),
        changed=fragment(new, after[differs], names=False),
    )


def _merge(into: list[Any], values: list[Any], codes: NDArray[Any]) -> NDArray[Any]:
    """``codes`` into ``values``, renumbered for the list ``into``, which grows by what it lacks."""
    known = {value: code for code, value in enumerate(into)}
    numbers = []
    for value in values:
        if value not in known:
            known[value] = len(into)
            into.append(value)
        numbers.append(known[value])
    renumbered: NDArray[Any] = np.asarray([*numbers, -1], codes.dtype)[codes]
    return renumbered


def apply(table: RowTable, change: RowsChange) -> RowTable:
    """The table after ``change``; raises KeyError where the change speaks of unknown rows."""
    changed, inserted = change.changed, change.inserted
    parts: dict[str, Any] = {column: getattr(table, column) for column in COLUMNS}
    came: dict[str, NDArray[Any]] = {column: getattr(inserted, column) for column in COLUMNS}
    at = table.positions(changed.ids)
    for column in PLAIN:
        parts[column] = parts[column].copy()
        parts[column][at] = getattr(changed, column)
    for codes, values in INTERNED:
        parts[values] = list(getattr(table, values))
        parts[codes] = parts[codes].copy()
        parts[codes][at] = _merge(parts[values], getattr(changed, values), getattr(changed, codes))
        came[codes] = _merge(parts[values], getattr(inserted, values), came[codes])
    if not change.structural:
        return RowTable(**parts, name_bytes=table.name_bytes, name_offsets=table.name_offsets)
    keep = np.ones(len(table), bool)
    keep[table.positions(change.removed)] = False
    is_new = np.zeros(int(keep.sum()) + len(inserted), bool)
    is_new[change.inserted_at] = True

    def woven(kept: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        both = np.empty(len(is_new), kept.dtype)
        both[~is_new] = kept[keep]
        both[is_new] = new
        return both

    for column in ("ids", *PLAIN, *(codes for codes, _ in INTERNED)):
        parts[column] = woven(parts[column], came[column])
    # Parents by id, then by their new positions.
    above = np.where(table.parent < 0, -1, table.ids[table.parent])
    position_of = {row_id: position for position, row_id in enumerate(parts["ids"].tolist())}
    position_of[-1] = -1
    parent_ids = woven(above, change.inserted_below).tolist()
    parts["parent"] = np.asarray([position_of[row_id] for row_id in parent_ids], np.int32)
    parts["end"] = subtree_ends(parts["parent"])
    # Names: those of both tables behind one another, then in the new order.
    all_bytes = np.concatenate([table.name_bytes, inserted.name_bytes])
    all_offsets = np.concatenate(
        [table.name_offsets, inserted.name_offsets[1:] + table.name_offsets[-1]]
    )
    order = woven(np.arange(len(table)), len(table) + np.arange(len(inserted)))
    name_bytes, name_offsets = take_names(all_bytes, all_offsets, order)
    return RowTable(**parts, name_bytes=name_bytes, name_offsets=name_offsets)
