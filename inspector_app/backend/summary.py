"""The whole tree for a terminal and for other programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from inspector_app.backend.formats.values import PlainValue
from inspector_app.backend.marks import Marks
from inspector_app.backend.quantization import packs
from inspector_app.backend.sharing import overlapping_rows
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Fact, Totals
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Int32, Role, RowTable
from inspector_app.protocol.text import cut, printable

_BADGES = {
    Role.MODULE: "M",
    Role.PARAMETER: "P",
    Role.BUFFER: "B",
    Role.ATTRIBUTE: "A",
    Role.TENSOR: "T",
    Role.GROUP: " ",
}
_REGISTERED = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED
_TRUTHS = (  # keys of tensors, and the flags that they speak of
    ("requires_grad", int(Flag.REQUIRES_GRAD)),
    ("persistent", int(Flag.PERSISTENT)),
)
_REGISTRATION = (
    ("optimizer", int(Flag.IN_PARAMETERS)),
    ("moved", int(Flag.MOVED)),
    ("saved", int(Flag.SAVED)),
)
_TENSOR = int(Flag.TENSOR)
_OVERLAPS, _SAVED = int(Flag.OVERLAPS), int(Flag.SAVED)
_NAME_WIDTH = 64  # longer names are cut in the middle
_VALUE_WIDTH = 24
_RAILS = 40  # levels that are drawn; deeper ones are named


# -- for other programs ----------------------------------------------------------------------------


def _shown(table: RowTable, depth: int | None) -> list[int]:
    """Positions of rows at most ``depth`` levels below the root."""
    if depth is None:
        return list(range(len(table)))
    shown: list[int] = np.flatnonzero(table.depth <= depth).tolist()
    return shown


def _ties(table: RowTable) -> dict[int, list[int]]:
    """Positions of the rows of each tie, by its number."""
    ties: dict[int, list[int]] = {}
    for position in np.flatnonzero(table.tie >= 0).tolist():
        ties.setdefault(int(table.tie[position]), []).append(position)
    return ties


def _json_value(value: Any) -> Any:
    """A number or None as JSON can hold it: what is not finite, and complex, as text."""
    plain = type(value)
    if value is None or plain in (bool, int):
        return value
    if plain is float:
        return value if math.isfinite(value) else repr(value)
    return complex.__repr__(value) if plain is complex else plain.__name__


def _row(
    tree: Tree, position: int, paths: list[str], ties: dict[int, list[int]], marks: Marks
) -> dict[str, Any]:
    """One row as plain data."""
    table = tree.table
    role = Role(int(table.role[position]))
    row: dict[str, Any] = {
        "path": paths[position],
        "name": table.name(position),
        "role": role.word,
        "class": table.class_name(position),
        "marks": marks.of(position),
    }
    flags = int(table.flags[position])
    if not flags & _TENSOR:
        value = tree.objects[position]
        if type(value) is PlainValue:
            row["value"] = value.text if value.value is None else _json_value(value.value)
        elif marks.is_module(position):
            row["training"] = marks.in_train_mode(position)
        elif role == Role.ATTRIBUTE and _is_plain(value):
            row["value"] = _json_value(value)
        return row
    shape = table.shape(position)
    row["shape"] = None if shape is None else list(shape)
    row["dtype"] = table.dtype(position)
    row["device"] = table.device(position)
    row |= {key: bool(flags & flag) for key, flag in _TRUTHS}
    if role != Role.BUFFER:
        row["persistent"] = bool(flags & _SAVED)
    row["bytes"] = int(table.bytes[position])
    others = ties.get(int(table.tie[position]), [])
    row["tied"] = [paths[other] for other in others if other != position]
    row["overlaps"] = []
    if flags & _OVERLAPS:
        shares = overlapping_rows(tree, np.asarray([position], np.int32))
        row["overlaps"] = [paths[other] for other in shares.tolist()]
    if role != Role.TENSOR:
        row["registration"] = {key: bool(flags & flag) for key, flag in _REGISTRATION}
    return row


def _is_plain(value: object) -> bool:
    """Whether it is a number or None."""
    return issubclass(type(value), (int, float, complex, type(None)))


def summary_json(
    tree: Tree, totals: Totals, *, target: str, kind: str, depth: int | None = None
) -> dict[str, Any]:
    """The tree as one object for JSON.

    Keys ``target``, ``kind`` ("model" or "checkpoint"), ``totals`` and ``rows``; ``depth`` leaves
    out rows further below the root.  A checkpoint's rows are its tensors.
    """
    table = tree.table
    paths, ties, marks = table.paths, _ties(table), Marks(tree, SubtreeSums(table))
    return {
        "target": target,
        "kind": kind,
        "totals": {
            "modules": totals.modules,
            "parameters": totals.parameters,
            "trainable": totals.trainable,
            "buffers": totals.buffers,
            "bytes": totals.bytes,
        },
        "rows": [
            _row(tree, position, paths, ties, marks)
            for position in _shown(table, depth)
            if table.role[position] != Role.GROUP
        ],
    }


# -- for a terminal --------------------------------------------------------------------------------


def bytes_text(count: int) -> str:
    """Bytes with an SI prefix: "4.2 MB"."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}"


def _branches(table: RowTable, shown: list[int]) -> Iterator[tuple[int, str]]:
    """Rows with the lines that lead to them from their parents."""
    last = np.zeros(len(table), np.bool_)
    latest: dict[int, int] = {}
    parents = table.parent.tolist()
    for position in shown:
        latest[parents[position]] = position
    last[list(latest.values())] = True
    depths = table.depth.tolist()
    rails: list[str] = []  # of the levels above the row
    for position in shown:
        depth = depths[position]
        if depth == 0:
            yield position, ""
            continue
        del rails[depth - 1 :]
        lead = "".join(rails) if depth <= _RAILS else f"… level {depth:,} "
        yield position, lead + ("└─ " if last[position] else "├─ ")
        rails.append("   " if last[position] else "│  ")


def _cells(
    tree: Tree, position: int, branch: str, sums: SubtreeSums, marks: Marks, title: str
) -> list[str]:
    """The columns of one row: tree, class, shape, dtype, count, bytes, marks."""
    table = tree.table
    role = Role(int(table.role[position]))
    name = cut(printable(table.name(position)), _NAME_WIDTH) if position else title
    badge = _BADGES[role].lower() if _hollow(table, position) else _BADGES[role]
    cells = [f"{branch}{badge} {name}", printable(table.class_name(position))]
    if table.has(position, Flag.TENSOR):
        shape = table.shape(position)
        sizes = "?" if shape is None else " × ".join(map(str, shape)) or "scalar"
        count = "" if shape is None else f"{int(table.count[position]):,}"
        device = table.device(position)
        dtype = table.dtype(position) or ""
        cells += [sizes, dtype if device == "cpu" else f"{dtype} {device}"]
        cells += [count, bytes_text(int(table.bytes[position]))]
    elif type(tree.objects[position]) is PlainValue:
        text = printable(tree.objects[position].text)
        cells += [cut(text, _VALUE_WIDTH), "", "", ""]
    elif role == Role.ATTRIBUTE and _is_plain(tree.objects[position]):
        cells += [cut(str(_json_value(tree.objects[position])), _VALUE_WIDTH), "", "", ""]
    else:
        held = sums.bytes(position)
        parameters = sums.parameters(position)
        cells += ["", "", f"{parameters:,}" if parameters else "", bytes_text(held) if held else ""]
    words = [cut(printable(word), _NAME_WIDTH) for word in marks.told(position)]
    return [*cells, ", ".join(words)]


def _hollow(table: RowTable, position: int) -> bool:
    """Whether a buffer's badge says that it is not saved."""
    buffer = table.role[position] == Role.BUFFER
    return bool(buffer) and not table.has(position, Flag.PERSISTENT)


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    """Lines with the columns under each other; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_the_right = {4, 5}
    for row in rows:
        cells = [
            cell.rjust(width) if index in to_the_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ]
        yield "  ".join(cells).rstrip()


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _total_lines(tree: Tree, totals: Totals, kind: str) -> list[str]:
    table = tree.table
    frozen = totals.parameters - totals.trainable
    if kind == "checkpoint":
        every = int((table.role == Role.TENSOR).sum())
        inside = int(((table.role == Role.TENSOR) & ((table.flags & Flag.SAVED) != 0)).sum())
        elements = _counted(totals.parameters + totals.buffers, "element")
        lines = [f"{_counted(inside, 'tensor')} · {elements} · {bytes_text(totals.bytes)}"]
        if every > inside:
            lines[0] += " in the state dict"
            more = _counted(every - inside, "more tensor")
            stand = "stands beside it and is" if every - inside == 1 else "stand beside it and are"
            lines.append(f"{more} {stand} not counted here.")
        return lines
    lines = [
        f"{_counted(totals.modules, 'module')} · {_counted(totals.parameters, 'parameter')} "
        f"({totals.trainable:,} trainable, {frozen:,} frozen) · "
        f"{_counted(totals.buffers, 'buffer element')} · {bytes_text(totals.bytes)}"
    ]
    unseen = int(_unseen(table).size)
    if unseen:
        are = "is" if unseen == 1 else "are"
        tensors = f"{_counted(unseen, 'tensor')} {are}"
        lines.append(f"{tensors} not registered: neither trained nor moved nor saved.")
    packing = _packing(tree)
    if packing:
        hold = "holds" if packing == 1 else "hold"
        modules = f"{_counted(packing, 'module')} {hold}"
        lines.append(f"{modules} packed quantized weights: no parameters, and not counted here.")
    return lines


def _packing(tree: Tree) -> int:
    """Number of modules that pack weights out of sight, without those inside of one."""
    table = tree.table
    modules = (table.flags & (Flag.QUANTIZED | Flag.TENSOR | Flag.REPEATED)) == int(Flag.QUANTIZED)
    count, end = 0, 0
    for row in np.flatnonzero(modules).tolist():
        if row >= end and packs(tree.objects[row]):
            count, end = count + 1, int(table.end[row])
    return count


def _unseen(table: RowTable) -> Int32:
    """Positions of tensors that are held by plain attributes only."""
    # What is computed from others follows them: there is nothing to register.
    asked = np.uint32(Flag.TENSOR | Flag.PARAMETRIZED | _REGISTERED)
    plain = (table.flags & asked) == np.uint32(Flag.TENSOR)
    distinct = (table.tie < 0) | (table.tie == table.ids)
    return np.flatnonzero(plain & distinct & (table.role != Role.TENSOR)).astype(np.int32)


def summary_text(
    tree: Tree,
    totals: Totals,
    *,
    title: str,
    kind: str,
    depth: int | None = None,
    notes: Sequence[Fact] = (),
) -> str:
    """The tree as aligned lines and its totals, with a newline at the end.

    ``notes`` are lines at the end.  Badges: M module, P parameter, B buffer (b: not saved),
    A plain attribute, T tensor.
    """
    table = tree.table
    sums = SubtreeSums(table)
    marks = Marks(tree, sums)
    shown = _shown(table, depth)
    rows = [
        _cells(tree, position, branch, sums, marks, printable(title))
        for position, branch in _branches(table, shown)
    ]
    lines = [*_aligned(rows), ""]
    hidden = len(table) - len(shown)
    if hidden:
        lie = "lies" if hidden == 1 else "lie"
        levels = _counted(depth or 0, "level")
        lines.append(f"{_counted(hidden, 'row')} {lie} deeper than {levels}.")
    lines += _total_lines(tree, totals, kind)
    lines += [f"{note.label}: {printable(note.value)}" for note in notes]
    return "\n".join(lines) + "\n"
