"""The keys of all commands, as the registry knows them."""

from __future__ import annotations

from itertools import groupby

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.commands import Shortcut
from widgets.theme import GRID, current_theme, mono_font


class ShortcutsDialog(QDialog):
    """Modeless."""

    def __init__(self, shortcuts: list[Shortcut], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("shortcutsDialog")
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(92 * GRID, 70 * GRID)
        self.list = QTreeWidget()
        self.list.setAccessibleName("Keyboard shortcuts")
        self.list.setHeaderLabels(["Command", "Keys", "What it does"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        for section, lines in groupby(shortcuts, key=lambda line: line.section):
            branch = QTreeWidgetItem(self.list, [section])
            branch.setForeground(0, QBrush(current_theme().muted))
            for line in lines:
                item = QTreeWidgetItem(branch, [line.text, line.keys, line.help])
                item.setFont(1, mono_font(small=True))
                item.setToolTip(2, line.help)
            branch.setExpanded(True)
            branch.setFlags(Qt.ItemFlag.ItemIsEnabled)
        for column in (0, 1):
            self.list.resizeColumnToContents(column)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column_layout.addWidget(self.list)
        column_layout.addWidget(buttons)
