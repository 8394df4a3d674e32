"""The journal of edits as a list; those undone stand in italics, to be redone."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from inspector_app.protocol.messages import JournalEntry

Index = QModelIndex | QPersistentModelIndex


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
            return entry.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return _told(entry)
        if role == Qt.ItemDataRole.FontRole and not entry.done:
            font = QFont()
            font.setItalic(True)
            return font
        if role == HistoryRole.ENTRY:
            return entry
        if role == HistoryRole.DONE:
            return entry.done
        return None


def _told(entry: JournalEntry) -> str:
    """All of an entry in words."""
    lines = [entry.title, f"{entry.touched:,} tensor{'s' * (entry.touched != 1)} changed"]
    if entry.scheme is not None:
        arguments = ", ".join(f"{name}={value}" for name, value in entry.scheme.arguments.items())
        lines.append(f"{entry.scheme.name}({arguments}), seed {entry.seed}")
    if not entry.done:
        lines.append("Undone: it can be redone.")
    elif not entry.undoable:
        lines.append("It cannot be undone.")
    return "\n".join(lines)
