"""Preview of an edit: how much would change, which rows, and what is refused and why."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import Planned
from inspector_app.protocol.table import RowTable
from widgets.numbers import count_text
from widgets.theme import GRID, current_theme, mono_font
from widgets.tree_delegate import one_line

_SHOWN = 200  # rows listed of each kind; the rest is counted


def plural(count: int, one: str, many: str = "") -> str:
    """A number of things in words, as in "1 tensor" or "12,345 tensors"."""
    return f"{count_text(count)} {one if count == 1 else many or one + 's'}"


class PlanPreview(QWidget):
    """A line that sums up and a list with two branches, "Would change" and "Refused".

    Keeps its size whatever it shows.  ``row_chosen(id)`` when a person points at one that changes.
    """

    row_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("planPreview")
        self.summary = ToneLabel(tone="muted")
        self.summary.setObjectName("planSummary")
        self.summary.reserve_lines(5 * GRID)
        self.summary.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.list = QTreeWidget()
        self.list.setObjectName("planList")
        self.list.setAccessibleName("What would change and what is refused")
        self.list.setHeaderHidden(True)
        self.list.setUniformRowHeights(True)
        self.list.setMinimumHeight(16 * GRID)
        self.list.currentItemChanged.connect(self._chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addWidget(self.summary)
        column.addWidget(self.list, 1)

    def say(self, sentence: str, tone: str = "muted") -> None:
        """Show one sentence in place of a plan."""
        self.list.clear()
        self.summary.say(sentence, tone)

    def show_plan(self, planned: Planned, table: RowTable) -> None:
        """Show ``planned``; paths come from ``table``, rows that are gone are left out."""
        self.list.clear()
        rows = _known(table, planned.changes.tolist())
        if rows:
            title = f"Would change: {plural(len(planned.changes), 'row')}"
            self._branch(title, _paths(table, rows), rows).setExpanded(True)
        refused = sum(len(refusal.rows) for refusal in planned.refused)
        for refusal in planned.refused:
            branch = self._branch(
                f"Refused: {plural(len(refusal.rows), 'row')} - {refusal.reason}",
                _paths(table, _known(table, refusal.rows)) or refusal.examples,
            )
            branch.setForeground(0, QBrush(current_theme().warning))
            branch.setToolTip(0, refusal.reason)
            branch.setExpanded(True)
        for note in planned.notes:
            item = QTreeWidgetItem(self.list, [note])
            item.setToolTip(0, note)
        sentence = (
            f"{plural(planned.tensors, 'tensor')} with {plural(planned.elements, 'element')} "
            "would change."
            if planned.tensors
            else "Nothing would change."
        )
        if refused:
            sentence += f" {plural(refused, 'row')} refused."
        if planned.tensors and not planned.undoable:
            sentence += " This edit is too large to be undone."
        self.summary.say(sentence, "plain" if planned.tensors else "warning")

    def show_rows(self, sentence: str, title: str, row_ids: list[int], table: RowTable) -> None:
        """Show rows that something else than a change would happen to, below a title."""
        self.list.clear()
        known = _known(table, row_ids)
        self._branch(title, _paths(table, known), known).setExpanded(True)
        self.summary.say(sentence, "plain")

    def _chosen(self, item: QTreeWidgetItem | None) -> None:
        row = item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None
        if row is not None:
            self.row_chosen.emit(row)

    def _branch(
        self, title: str, paths: list[str], rows: list[int] | None = None
    ) -> QTreeWidgetItem:
        branch = QTreeWidgetItem(self.list, [title])
        for index, path in enumerate(paths[:_SHOWN]):
            item = QTreeWidgetItem(branch, [one_line(path)])
            if rows is not None:
                item.setData(0, Qt.ItemDataRole.UserRole, rows[index])
            item.setFont(0, mono_font(small=True))
            item.setToolTip(0, path)
        if len(paths) > _SHOWN:
            QTreeWidgetItem(branch, [f"and {count_text(len(paths) - _SHOWN)} more"])
        return branch


def _known(table: RowTable, row_ids: list[int]) -> list[int]:
    """Those rows that are still there."""
    ids = np.asarray(row_ids, np.int32)
    known: list[int] = ids[np.isin(ids, table.ids)].tolist()
    return known


def _paths(table: RowTable, row_ids: list[int]) -> list[str]:
    positions = table.positions(np.asarray(row_ids, np.int32))
    return [table.path(position) for position in positions.tolist()]
