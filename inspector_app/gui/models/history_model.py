"""The journal of edits as a list; those undone stand in italics, to be redone."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from inspector_app.protocol.messages import JournalEntry
from inspector_app.protocol.schemes import scheme_text
from widgets.icons import icon
from widgets.tree_painter import one_line

Index = QModelIndex | QPersistentModelIndex


_ICONS = {
    "freeze": "freeze",
    "unfreeze": "unfreeze",
    "initialize": "initialize",
    "hold": "lock",
    "release": "unlock",
    "load": "import",
    "requires_grad": "freeze",
    "train": "run-repeat",
}
_KINDS = {
    "freeze": "requires_grad set to False",
    "unfreeze": "requires_grad set to True",
    "initialize": "new values",
    "hold": "set to eval mode",
    "release": "set to train mode",
    "load": "values of a checkpoint",
    "requires_grad": "requires_grad as a checkpoint notes it",
    "train": "values that training came to; it is not replayed",
}


class HistoryRole(IntEnum):
    """What the history list serves beside Qt's own roles."""

    ENTRY = int(Qt.ItemDataRole.UserRole) + 1
    DONE = ENTRY + 1


class HistoryModel(QAbstractListModel):
    """Entries of the backend's journal, oldest first; the backend alone undoes and redoes."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: list[JournalEntry] = []

    @property
    def entries(self) -> list[JournalEntry]:
        """The journal as last received."""
        return self._entries

    @property
    def undo_title(self) -> str:
        """Title of the edit that undo would take back; "" where there is none."""
        done = [entry for entry in self._entries if entry.done]
        return done[-1].title if done and done[-1].undoable else ""

    @property
    def redo_title(self) -> str:
        """Title of the edit that redo would carry out again; "" where there is none."""
        return next((entry.title for entry in self._entries if not entry.done), "")

    def set_history(self, entries: list[JournalEntry]) -> None:
        """Show the journal of an answer; rows that stayed keep their indexes."""
        same = 0
        for old, new in zip(self._entries, entries, strict=False):
            if old.number != new.number:
                break
            same += 1
        if same < len(self._entries):
            self.beginRemoveRows(QModelIndex(), same, len(self._entries) - 1)
            self._entries = self._entries[:same]
            self.endRemoveRows()
        if same < len(entries):
            self.beginInsertRows(QModelIndex(), same, len(entries) - 1)
            self._entries = list(entries)
            self.endInsertRows()
        else:
            self._entries = list(entries)
        if same:
            self.dataChanged.emit(self.index(0), self.index(same - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Entries; they have nothing below them."""
        return 0 if parent.isValid() else len(self._entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What one entry shows."""
        if not index.isValid() or index.row() >= len(self._entries):
            return None
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(entry.title)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _told(entry)
        if role == Qt.ItemDataRole.DecorationRole:
            return icon(_ICONS[entry.kind], "text" if entry.done else "muted")
        if role == Qt.ItemDataRole.FontRole and not entry.done:
            font = QFont()
            font.setItalic(True)
            return font
        if role == HistoryRole.ENTRY:
            return entry
        if role == HistoryRole.DONE:
            return entry.done
        return None


def touched_text(entry: JournalEntry) -> str:
    """How much an edit changed, as in "12 tensors" or "1 layer"."""
    kind = "layer" if entry.kind in ("hold", "release") else "tensor"
    return f"{entry.touched:,} {kind}{'s' * (entry.touched != 1)}"


def _told(entry: JournalEntry) -> str:
    """All of an entry in words."""
    lines = [entry.title, f"{touched_text(entry)}: {_KINDS[entry.kind]}"]
    if entry.scheme is not None:
        lines.append(f"{scheme_text(entry.scheme)}, seed {entry.seed}")
    if entry.path:
        lines.append(entry.path + (", as far as it fits" if entry.fit else ""))
    if not entry.done:
        lines.append("Undone: it can be redone.")
    elif not entry.undoable:
        lines.append("It cannot be undone.")
    return "\n".join(lines)
