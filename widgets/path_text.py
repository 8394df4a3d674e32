"""Dotted paths where there is no room for all of them."""

from __future__ import annotations

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
    """The longest form of a path that fits ``width`` pixels; the shortest loses its middle."""
    forms = abbreviated(path)
    for form in forms:
        if metrics.horizontalAdvance(form) <= width:
            return form
    return metrics.elidedText(forms[-1], Qt.TextElideMode.ElideMiddle, width)
