"""Dotted paths where there is no room for all of them."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics


def abbreviated(path: str) -> list[str]:
    """A path, then shorter and shorter ones: names from the left lose all but their first letter.

    Numbers tell brothers apart, so they stay, and so does the last name with what follows it.
    """
    parts = path.split(".")
    found = [path]
    for place, part in enumerate(parts[:-1]):
        if len(part) > 1 and not part.isdigit():
            parts[place] = part[0]
            found.append(".".join(parts))
    return found


def fitted(path: str, width: int, metrics: QFontMetrics) -> str:
    """The longest form of a path that fits ``width`` pixels.

    Where none does, the last name loses its middle, then its beginning, and the number before it
    stays; a path without a number loses its own middle.
    """
    forms, cuts = _forms(path)
    for form in forms:
        if metrics.horizontalAdvance(form) <= width:
            return form
    for head, last, mode in cuts:
        rest = metrics.elidedText(last, mode, width - metrics.horizontalAdvance(head))
        if len(rest) > 1:
            return head + rest
    return metrics.elidedText(abbreviated(path)[-1], Qt.TextElideMode.ElideMiddle, width)


@lru_cache(maxsize=4096)
def _forms(path: str) -> tuple[list[str], list[tuple[str, str, Qt.TextElideMode]]]:
    """Shorter and shorter forms, then what stays whole, what is cut after it, and where."""
    forms = abbreviated(path)
    parts = forms[-1].split(".")
    *before, last = parts
    if last.partition(" ")[0].isdigit():
        return forms + [f"…{'.'.join(parts[place:])}" for place in range(1, len(parts))], []
    number = max((place for place, part in enumerate(before) if part.isdigit()), default=-1)
    if number < 0:
        return forms, []
    forms += [f"…{'.'.join(parts[place:])}" for place in range(1, number + 1)]
    head = ".".join(before[number:]) + "."
    middle, left = Qt.TextElideMode.ElideMiddle, Qt.TextElideMode.ElideLeft
    cuts = [(f"…{head}", last, middle), (head, last, middle), (before[number], f".{last}", left)]
    return forms, cuts if number else cuts[1:]
