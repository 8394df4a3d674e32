"""Commands for columns and sorting, in step with the tree's header."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint, Qt

from inspector_app.gui.commands import CommandRegistry
from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.gui.settings import Settings
from inspector_app.gui.tree_commands import (
    HEADER_MENU,
    MODEL_ORDER,
    RESET_COLUMNS,
    SHOWING,
    SORTING,
)


class TreeColumnsMenu(QObject):
    """Registers the commands, shows the header's menu, and remembers the columns."""

    def __init__(
        self,
        registry: CommandRegistry,
        panel: TreePanel,
        model: RowTreeModel,
        settings: Settings,
    ) -> None:
        super().__init__(panel)
        self._registry = registry
        self._panel = panel
        self._model = model
        self._settings = settings
        self._header = panel.view.tree_header
        for column, command in SHOWING.items():
            registry.register(
                command, lambda shown, column=column: panel.columns.show(column, shown)
            )
        registry.register(RESET_COLUMNS, panel.columns.reset)
        registry.register(MODEL_ORDER, lambda _: self._sort(None))
        for column, command in SORTING.items():
            registry.register(command, lambda _, column=column: self._sort(column))
        panel.columns.changed.connect(self._sync)
        self._header.sortIndicatorChanged.connect(lambda *_: self._sync())
        self._header.menu_requested.connect(self._show_menu)
        if settings.columns:
            panel.columns.restore(settings.columns)
        self._sync()

    def remember(self) -> None:
        """Note the columns for the next start."""
        self._settings.columns = self._panel.columns.text()

    def _sync(self) -> None:
        """Check marks as the header has it."""
        shown = self._panel.columns.shown
        for column, command in SHOWING.items():
            self._registry.set_checked(command.id, column in shown)
        sorting = self._model.sorting
        self._registry.set_checked(MODEL_ORDER.id, sorting is None)
        for column, command in SORTING.items():
            self._registry.set_checked(command.id, sorting is not None and sorting.column == column)

    def _sort(self, column: Column | None) -> None:
        """By a column; where it is sorted by that one already, the other way round."""
        sorting = self._model.sorting
        descending = sorting is not None and sorting.column == column and not sorting.descending
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self._panel.view.sortByColumn(-1 if column is None else column, order)
        self._sync()  # the menu's own check mark moved, whatever came of it

    def _show_menu(self, place: QPoint, column: int) -> None:
        menu = self._registry.menu("", HEADER_MENU, self._panel)
        menu.setObjectName("headerMenu")
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)
