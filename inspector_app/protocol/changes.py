"""How a table of rows becomes another: rows changed, came and went.

The backend computes a :class:`RowsChange`, the window applies it; both keep a whole table.
``apply(old, difference(old, new))`` equals ``new`` for any two tables.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import Int32, RowTable, pack_names, subtree_ends

_PLAIN = ("role", "flags", "count", "bytes", "tie")
_INTERNED = (
    ("class_index", "classes"),
    ("shape_index", "shapes"),
    ("dtype_index", "dtypes"),
    ("device_index", "devices"),
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
    chosen = [table.name(p) for p in positions.tolist()] if names else [""] * len(positions)
    name_bytes, name_offsets = pack_names(chosen)
    columns = {
        column: getattr(table, column)[positions]
        for column in ("ids", "parent", "end", *_PLAIN, *(codes for codes, _ in _INTERNED))
    }
    interned = {}
    for codes, values in _INTERNED:
        used, packed = np.unique(columns[codes], return_inverse=True)
        known = used >= 0
        interned[values] = [getattr(table, values)[code] for code in used[known]]
        numbers = np.where(known, np.cumsum(known) - 1, -1)
        columns[codes] = numbers[packed].astype(columns[codes].dtype)
    return RowTable(**columns, **interned, name_bytes=name_bytes, name_offsets=name_offsets)


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


def difference(old: RowTable, new: RowTable) -> RowsChange:
    """What makes ``new`` of ``old``; rows are the same where their ids are."""
    stays_old = np.isin(old.ids, new.ids)
    stays_new = np.isin(new.ids, old.ids)
    if not np.array_equal(old.ids[stays_old], new.ids[stays_new]):
        # Rows changed places: rare, so everything below the root is taken out and put back.
        stays_old = np.zeros(len(old), bool)
        stays_new = np.zeros(len(new), bool)
        if len(old) and len(new) and old.ids[0] == new.ids[0]:
            stays_old[0] = stays_new[0] = True
    removed = old.ids[~stays_old]
    came = np.flatnonzero(~stays_new).astype(np.int32)
    before = np.flatnonzero(stays_old).astype(np.int32)
    after = np.flatnonzero(stays_new).astype(np.int32)
    differs = np.zeros(len(after), bool)
    for column in _PLAIN:
        differs |= getattr(old, column)[before] != getattr(new, column)[after]
    for codes, values in _INTERNED:
        # Number the new values as the old table does; unknown ones differ from everything.
        known = {value: code for code, value in enumerate(getattr(old, values))}
        renumber = [known.get(value, -2) for value in getattr(new, values)]
        renumbered = np.asarray([*renumber, -1], np.int64)[getattr(new, codes)[after]]
        differs |= getattr(old, codes)[before] != renumbered
    parent_ids = np.where(new.parent[came] < 0, -1, new.ids[new.parent[came]])
    return RowsChange(
        removed=removed.astype(np.int32),
        inserted_at=came,
        inserted_below=parent_ids.astype(np.int32),
        inserted=fragment(new, came, names=True),
        changed=fragment(new, after[differs], names=False),
    )


def _merge_interned(
    table: RowTable, other: RowTable, codes: str, values: str
) -> tuple[list, NDArray]:
    """The list that serves both tables, and the codes of ``other`` in it."""
    merged = list(getattr(table, values))
    known = {value: code for code, value in enumerate(merged)}
    numbers = []
    for value in getattr(other, values):
        if value not in known:
            known[value] = len(merged)
            merged.append(value)
        numbers.append(known[value])
    renumbered = np.asarray([*numbers, -1], getattr(other, codes).dtype)[getattr(other, codes)]
    return merged, renumbered


def apply(table: RowTable, change: RowsChange) -> RowTable:
    """The table after ``change``; raises KeyError where the change speaks of unknown rows."""
    columns = {column: getattr(table, column).copy() for column in ("ids", "parent", *_PLAIN)}
    interned: dict[str, list] = {}
    at = table.positions(change.changed.ids) if len(change.changed) else np.empty(0, np.int32)
    for column in _PLAIN:
        columns[column][at] = getattr(change.changed, column)
    came_codes: dict[str, NDArray] = {}
    for codes, values in _INTERNED:
        columns[codes] = getattr(table, codes).copy()
        merged, renumbered = _merge_interned(table, change.changed, codes, values)
        columns[codes][at] = renumbered
        both = msgspec.structs.replace(table, **{values: merged})
        interned[values], came_codes[codes] = _merge_interned(both, change.inserted, codes, values)
    if not change.structural:
        return RowTable(
            **columns,
            **interned,
            end=table.end,
            name_bytes=table.name_bytes,
            name_offsets=table.name_offsets,
        )
    keep = np.ones(len(table), bool)
    keep[table.positions(change.removed)] = False
    total = int(keep.sum()) + len(change.inserted)
    came = np.zeros(total, bool)
    came[change.inserted_at] = True
    for column in ("ids", *_PLAIN, *(codes for codes, _ in _INTERNED)):
        new = np.empty(total, columns[column].dtype)
        new[~came] = columns[column][keep]
        new[came] = came_codes.get(column, getattr(change.inserted, column))
        columns[column] = new
    # Parents by id, then by their new positions.
    parent_ids = np.empty(total, np.int64)
    above = table.parent[keep]
    parent_ids[~came] = np.where(above < 0, -1, table.ids[above])
    parent_ids[came] = change.inserted_below
    position_of = {row_id: position for position, row_id in enumerate(columns["ids"].tolist())}
    position_of[-1] = -1
    parents = np.asarray([position_of[row_id] for row_id in parent_ids.tolist()], np.int32)
    columns["parent"] = parents
    kept = iter(np.flatnonzero(keep).tolist())
    inserted = iter(range(len(change.inserted)))
    names = [
        change.inserted.name(next(inserted)) if new else table.name(next(kept))
        for new in came.tolist()
    ]
    name_bytes, name_offsets = pack_names(names)
    return RowTable(
        **columns,
        **interned,
        end=subtree_ends(parents),
        name_bytes=name_bytes,
        name_offsets=name_offsets,
    )
