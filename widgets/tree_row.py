"""What an item model tells the tree about a row, beside the texts of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from PySide6.QtCore import Qt

from widgets.badges import Badge


@dataclass(frozen=True, slots=True)
class RowLook:
    """How a row is drawn.

    ``freeze``: Checked frozen, PartiallyChecked in part, Unchecked trainable; None where there is
    nothing to freeze.  ``frozen``: the text is muted because nothing in it is trained.  ``dim``:
    the row is there only since one below it was found.  ``italic``: there is no data behind it yet.
    ``spans``: (start, length) of the pieces of the name that a filter found.  ``marks``: names of
    icons at the end of the name; ``note`` a word there, in the tone ``note_tone``.  ``live``: a
    probe watches it; ``troubled``: it measures nothing.  ``levels``: bars beside that, each as a
    share of its length; NaN for one that is out of all bounds.
    """

    badges: tuple[Badge, ...] = ()
    freeze: Qt.CheckState | None = None
    frozen: bool = False
    dim: bool = False
    italic: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    marks: tuple[str, ...] = ()
    note: str = ""
    note_tone: str = "muted"
    live: bool = False
    troubled: bool = False
    levels: tuple[float, ...] = ()


class TreeRole(IntEnum):
    """Roles beside Qt's own; both are read from column 0."""

    ROW_ID = Qt.ItemDataRole.UserRole + 1
    """The row's own id, an int of 0 or more."""
    LOOK = Qt.ItemDataRole.UserRole + 2
    """A :class:`RowLook`."""


PLAIN: Final = RowLook()
