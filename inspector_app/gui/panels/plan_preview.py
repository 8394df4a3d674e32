"""Preview of an edit: how much would change, which rows, and what is refused and why."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
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

    Keeps its size whatever it shows.
    """

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
        paths = _paths(table, planned.changes.tolist())
        if paths:
            self._branch(f"Would change: {plural(len(planned.changes), 'row')}", paths).setExpanded(
                True
            )
        refused = sum(len(refusal.rows) for refusal in planned.refused)
        for refusal in planned.refused:
            branch = self._branch(
                f"Refused: {plural(len(refusal.rows), 'row')} - {refusal.reason}",
                _paths(table, refusal.rows) or refusal.examples,
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

    def _branch(self, title: str, paths: list[str]) -> QTreeWidgetItem:
        branch = QTreeWidgetItem(self.list, [title])
        for path in paths[:_SHOWN]:
            item = QTreeWidgetItem(branch, [one_line(path)])
            item.setFont(0, mono_font(small=True))
            item.setToolTip(0, path)
        if len(paths) > _SHOWN:
            QTreeWidgetItem(branch, [f"and {count_text(len(paths) - _SHOWN)} more"])
        return branch


def _paths(table: RowTable, row_ids: list[int]) -> list[str]:
    """Paths of the rows that are still there."""
    known = np.asarray(row_ids, np.int32)
    positions = table.positions(known[np.isin(known, table.ids)])
    return [table.path(position) for position in positions.tolist()]
