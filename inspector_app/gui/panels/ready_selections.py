"""Ready selections and classes to choose from, with how much each would change."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.patterns import classes_in
from inspector_app.gui.panels.question import Question
from inspector_app.protocol.errors import ConnectionLost, InspectorError
from inspector_app.protocol.messages import Planned, Request
from inspector_app.protocol.presets import CLASS, INITIAL, PRESETS
from inspector_app.protocol.table import Flag, RowTable
from widgets.numbers import count_text, short_count
from widgets.theme import GRID, mono_font, ui_font

_PATTERN = int(Qt.ItemDataRole.UserRole)
_MOST = 40  # classes offered

_ROW = QSize(0, 3 * GRID)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ReadySelections(QTreeWidget):
    """``chosen(patterns)`` when a person selects some of them.

    How much each would change is asked one after the other, and shown as it comes.  With
    ``only_fitting`` those that mean nothing are left out.
    """

    chosen = Signal(list)

    def __init__(
        self,
        session: Asks,
        table: RowTable,
        classes: list[str] | None = None,
        parent: QWidget | None = None,
        *,
        only_fitting: bool = False,
    ) -> None:
        """``classes`` are those to choose from, by default all with parameters in them."""
        super().__init__(parent)
        self.setObjectName("readySelections")
        self.setAccessibleName("Ready selections and classes")
        self._question = Question(session)
        self._waiting: list[QTreeWidgetItem] = []
        self._plan: Callable[[str], Request] | None = None
        self._quiet = False
        self._only_fitting = only_fitting
        self.entries: dict[str, QTreeWidgetItem] = {}  # what can be chosen, by pattern
        self.setColumnCount(3)
        self.setHeaderLabels(["Selection", "Tensors", "Elements"])
        self.headerItem().setTextAlignment(1, _RIGHT)
        self.headerItem().setTextAlignment(2, _RIGHT)
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setIndentation(GRID)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.header()
        header.setSectionsClickable(False)
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 8 * GRID), (2, 9 * GRID)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width)
        ready = self._branch("Ready selections")
        initial = bool(((table.flags & Flag.INITIAL) != 0).any())
        for info in PRESETS.values():
            if info.pattern != INITIAL or initial:
                self._entry(ready, info.title.capitalize(), info.pattern, info.summary)
        classes = classes_in(table) if classes is None else classes
        if classes:
            branch = self._branch("Classes")
            for name in classes[:_MOST]:
                item = self._entry(
                    branch,
                    name,
                    CLASS + name,
                    f"Every module of class {name}, or of one derived from it.",
                )
                item.setFont(0, mono_font())
        self.expandAll()
        if only_fitting:  # what nobody has seen does not vanish under the pointer
            for pattern in self.entries.keys() & PRESETS.keys():
                self._show(self.entries[pattern], False)
        self.itemSelectionChanged.connect(self._selected)

    def _branch(self, title: str) -> QTreeWidgetItem:
        branch = QTreeWidgetItem(self, [title])
        branch.setFlags(Qt.ItemFlag.ItemIsEnabled)
        branch.setFirstColumnSpanned(True)
        branch.setSizeHint(0, _ROW)
        font = ui_font(small=True)
        font.setWeight(QFont.Weight.DemiBold)
        branch.setFont(0, font)
        return branch

    def _entry(
        self, branch: QTreeWidgetItem, title: str, pattern: str, explanation: str
    ) -> QTreeWidgetItem:
        item = QTreeWidgetItem(branch, [title, "", ""])
        item.setData(0, _PATTERN, pattern)
        self.entries[pattern] = item
        item.setToolTip(0, explanation)
        item.setSizeHint(0, _ROW)
        for column in (1, 2):
            item.setTextAlignment(column, _RIGHT)
            item.setFont(column, mono_font(small=True))
        return item

    def count_rows(self) -> None:
        """What is counted are rows, not tensors and their elements."""
        self.headerItem().setText(1, "Rows")
        self.setColumnHidden(2, True)

    def show_chosen(self, patterns: list[str]) -> None:
        """Select those that are among ``patterns``, and tell nobody."""
        self._quiet = True
        for pattern, item in self.entries.items():
            item.setSelected(pattern in patterns)
        self._quiet = False

    def count(self, plan: Callable[[str], Request]) -> None:
        """Ask anew how much each would change; ``plan`` makes the request of a pattern."""
        self._plan = plan
        self._waiting = list(self.entries.values())
        self._question.drop()
        self._next()

    def drop(self) -> None:
        """Ask no more."""
        self._waiting = []
        self._question.drop()

    def _next(self) -> None:
        if not self._waiting or self._plan is None:
            return
        item = self._waiting.pop(0)
        self._question.ask(
            self._plan(item.data(0, _PATTERN)),
            lambda planned: self._counted(item, planned),
            lambda error: self._failed(item, error),
        )

    def _counted(self, item: QTreeWidgetItem, planned: Planned) -> None:
        item.setText(1, count_text(planned.tensors))
        item.setText(2, short_count(planned.elements))
        item.setToolTip(2, count_text(planned.elements))
        item.setDisabled(False)
        self._show(item, True)
        self._next()

    def _failed(self, item: QTreeWidgetItem, error: InspectorError) -> None:
        if isinstance(error, ConnectionLost):
            return
        item.setText(1, "none")
        item.setText(2, "")
        item.setDisabled(True)
        item.setToolTip(1, error.sentence)
        self._show(item, not self._only_fitting)
        self._next()

    def _show(self, item: QTreeWidgetItem, shown: bool) -> None:
        """A branch is shown with what stands in it."""
        item.setHidden(not shown)
        branch = item.parent()
        assert branch is not None
        beside = (other for other in self.entries.values() if other.parent() is branch)
        branch.setHidden(all(other.isHidden() for other in beside))

    def _selected(self) -> None:
        if not self._quiet:
            self.chosen.emit([item.data(0, _PATTERN) for item in self.selectedItems()])
