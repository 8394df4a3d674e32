"""What every plan of an edit says: which rows are left out and why, and which names are tied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import Refusal
from inspector_app.protocol.table import Flag, Int32, Role, RowTable
from inspector_app.protocol.text import cut, printable

EXAMPLES = 5  # paths named in a refusal
_LONGEST_NAME = 200  # characters of a path
NAMES = 20  # paths, or groups of them, named in a note

_ABOUT_ROLES = {
    Role.BUFFER: "a buffer",
    Role.ATTRIBUTE: "a plain attribute, not a registered parameter",
    Role.TENSOR: "an entry of a checkpoint, not of a model",
    Role.GROUP: "a group of checkpoint entries, not of a model",
}


def rows_where(mask: NDArray[np.bool_]) -> Int32:
    """Positions where ``mask`` holds."""
    return np.flatnonzero(mask).astype(np.int32)


def union(table: RowTable, *parts: Int32) -> Int32:
    """Positions that are in one of ``parts``, sorted (numpy's own union is ten times slower)."""
    mask = np.zeros(len(table), bool)
    for part in parts:
        mask[part] = True
    return rows_where(mask)


def selected_directly(table: RowTable, positions: Int32) -> Int32:
    """Those positions whose parent is not among them: what the person pointed at."""
    selected = np.zeros(len(table) + 1, bool)  # the last one stands for the root's parent, -1
    selected[positions] = True
    return positions[~selected[table.parent[positions]]]


def not_parameters(table: RowTable, positions: Int32) -> dict[str, list[int]]:
    """Reasons why rows a person pointed at, that are neither modules nor parameters, are left out.

    Those below a selected module are passed over in silence: nobody asked for them.
    """
    reasons: dict[str, list[int]] = {}
    directly = selected_directly(table, positions)
    # A plain list or a module held in one is an attribute too, but has parameters below it.
    single = table.end[directly] == directly + 1
    tensors = (table.flags[directly] & Flag.TENSOR) != 0
    for role, word in _ABOUT_ROLES.items():
        rows = directly[(table.role[directly] == role) & (single | tensors)]
        if len(rows):
            reasons[f"{word}: only parameters are changed"] = rows.tolist()
    return reasons


def path_of(table: RowTable, position: int) -> str:
    """Path of a row as a sentence names it."""
    return cut(printable(table.path(position)), _LONGEST_NAME) or "the model"


def name_list(names: Iterable[str], total: int) -> str:
    """The first names, and how many more there are."""
    shown = [name for _, name in zip(range(NAMES), names, strict=False)]
    more = f" and {total - len(shown):,} more" if total > len(shown) else ""
    return ", ".join(shown) + more


def paths_list(table: RowTable, positions: Sequence[int] | Int32) -> str:
    """Paths of the first rows, and how many more there are."""
    return name_list((path_of(table, int(position)) for position in positions), len(positions))


def refusals(table: RowTable, reasons: Mapping[str, Sequence[int]]) -> list[Refusal]:
    """Positions left out, by reason, as the plan tells them."""
    return [
        Refusal(
            rows=table.ids[np.asarray(rows, np.int32)].tolist(),
            reason=reason,
            examples=[path_of(table, row) for row in rows[:EXAMPLES]],
        )
        for reason, rows in reasons.items()
        if len(rows)
    ]


def tie_groups(table: RowTable, positions: Int32) -> dict[int, list[int]]:
    """All rows of each tie that occurs among ``positions``, by tie."""
    ties = table.tie[positions]
    ties = np.unique(ties[ties >= 0])
    rows = rows_where(np.isin(table.tie, ties))
    rows = rows[np.argsort(table.tie[rows], kind="stable")]
    parts = np.split(rows, np.searchsorted(table.tie[rows], ties)[1:])
    return {tie: part.tolist() for tie, part in zip(ties.tolist(), parts, strict=False)}


def tie_notes(table: RowTable, positions: Int32) -> list[str]:
    """One note for each tensor among ``positions`` that the tree knows under several names."""
    groups = tie_groups(table, positions)
    notes = []
    for first, *others in list(groups.values())[:NAMES]:
        notes.append(f"tied: {path_of(table, first)} is also known as {paths_list(table, others)}")
    if len(groups) > NAMES:
        notes.append(f"and {len(groups) - NAMES:,} more tied tensors")
    return notes


def overlap_note(table: RowTable, others: Int32) -> list[str]:
    """The note about rows that share memory with what changes without being tied to it."""
    if not len(others):
        return []
    return [f"shares some of its memory, and so changes as well: {paths_list(table, others)}"]


def distinct_elements(table: RowTable, positions: Int32) -> int:
    """Elements of the tensors in these rows, each tied one once."""
    tied = positions[table.tie[positions] >= 0]
    _, first = np.unique(table.tie[tied], return_index=True)
    alone = positions[table.tie[positions] < 0]
    return int(table.count[alone].sum() + table.count[tied[first]].sum())


def refused_or_empty(
    table: RowTable, positions: Int32, reasons: Mapping[str, Sequence[int]], taken: Int32
) -> list[Refusal]:
    """The refusals; where nothing was taken and nothing refused, the selection is named itself."""
    refused = refusals(table, reasons)
    if not refused and not len(taken):
        directly = selected_directly(table, positions)
        refused = refusals(table, {"holds no parameters": directly.tolist()})
    return refused


def too_large_note(size: int) -> str:
    """The note about an edit of ``size`` bytes that cannot be undone."""
    return f"cannot be undone: the old values take {size:,} bytes, more than is set aside for undo"


def nothing_left(what: str, refused: Sequence[Refusal]) -> str:
    """A sentence for an edit that would change nothing: what, and the reasons."""
    reasons = [f"{name_list(one.examples, len(one.rows))} ({one.reason})" for one in refused]
    return f"{what}: {'; '.join(reasons)}." if reasons else f"{what} in this selection."
