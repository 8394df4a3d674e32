"""Qt item model over the differences between a checkpoint and a model."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from inspector_app.protocol.messages import StateDifference
from widgets.icons import icon
from widgets.theme import mono_font
from widgets.tree_delegate import one_line

HEADERS = ("Difference", "Name", "Model", "File", "Why")


class Kind(NamedTuple):
    """How a kind of difference is told: a word, an icon with its tone, and what it means."""

    word: str
    icon: str
    tone: str
    meaning: str


KINDS = {
    "missing": Kind("Missing", "warning", "warning", "not in the file: it stays as it is"),
    "unexpected": Kind("Unexpected", "plus", "muted", "not in the model: it is not loaded"),
    "shape": Kind("Shape", "danger", "danger", "the shapes differ: it stays as it is"),
    "dtype": Kind("Data type", "info", "accent", "the data types differ"),
    "value": Kind("Values", "danger", "danger", "the model's data type cannot hold the values"),
}
_Index = QModelIndex | QPersistentModelIndex


class StateModel(QAbstractTableModel):
    """All differences, or those of one kind."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[StateDifference] = []
        self._shown: list[StateDifference] = []
        self.kind = ""  # of those shown; "" is all

    def set_differences(self, differences: list[StateDifference]) -> None:
        """Show those of another comparison."""
        self._all = differences
        self.set_kind(self.kind if self.kind in self.counts else "")

    def set_kind(self, kind: str) -> None:
        """Show one kind; "" shows all."""
        self.beginResetModel()
        self.kind = kind
        self._shown = [found for found in self._all if not kind or found.kind == kind]
        self.endResetModel()

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind that occurs, in the order of :data:`KINDS`."""
        found = Counter(str(difference.kind) for difference in self._all)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def difference(self, row: int) -> StateDifference:
        """The one in a row of the table."""
        return self._shown[row]

    def text(self, rows: list[int] | None = None) -> str:
        """Rows as lines with tabs between the cells; all that are shown with None."""
        wanted = range(len(self._shown)) if rows is None else rows
        return "\n".join("\t".join(_cells(self._shown[row])) for row in wanted)

    # -- as Qt asks ----------------------------------------------------------------------------

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's default
        """Differences shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's default
        """Of :data:`HEADERS`."""
        return 0 if parent.isValid() else len(HEADERS)

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Titles of the columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """One cell."""
        if not index.isValid():
            return None
        found = self._shown[index.row()]
        column = index.column()
        kind = KINDS[found.kind]
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(_cells(found)[column])
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{found.name}\n{found.sentence or kind.meaning}"
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return icon(kind.icon, kind.tone)
        if role == Qt.ItemDataRole.FontRole and column in (1, 2, 3):
            return mono_font(small=True)
        return None


def _cells(found: StateDifference) -> tuple[str, ...]:
    why = found.sentence or KINDS[found.kind].meaning
    return KINDS[found.kind].word, found.name, found.model, found.file, why
