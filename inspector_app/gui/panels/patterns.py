"""Patterns over paths as a person types them, and the classes that can be asked for by name."""

from __future__ import annotations

import numpy as np

from inspector_app.protocol.table import Flag, Role, RowTable

# Of torch: they only hold other modules.
_HOLDERS = frozenset({"Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"})


def patterns_in(text: str) -> list[str]:
    """Patterns as typed: apart by spaces or commas outside of brackets and quotes."""
    patterns: list[str] = []
    current = ""
    depth = 0
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth = max(0, depth - 1)
        elif character in ", \t" and not depth:
            patterns.append(current)
            current = ""
            continue
        current += character
    patterns.append(current)
    return [pattern for pattern in patterns if pattern]


def classes_in(table: RowTable, *, any_module: bool = False) -> list[str]:
    """Classes that a selection by class is of use for, those of the most modules first.

    They are neither the model's own class nor mere containers, and have parameters in them unless
    ``any_module`` is wanted.
    """
    plain = (table.flags & (Flag.TENSOR | Flag.REFERENCE | Flag.CONTAINER)) == 0
    able = (table.role == Role.PARAMETER) & ((table.flags & Flag.CAN_TRAIN) != 0)
    before = np.concatenate(([0], np.cumsum(able)))
    holds = before[table.end] > before[: len(table)]
    known = table.role == Role.MODULE if any_module else holds
    modules = plain & known & ((table.flags & Flag.REPEATED) == 0)
    modules[:1] = False
    counts = np.bincount(table.class_index[modules], minlength=len(table.classes))
    found = [
        (-count, name)
        for name, count in zip(table.classes, counts.tolist(), strict=True)
        if count and name not in _HOLDERS and patterns_in(name) == [name]
    ]
    return [name for _, name in sorted(found)]
