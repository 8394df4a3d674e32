"""The docks below the tree: live panel and history, shown only while something is open."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from inspector_app.gui.commands import CommandRegistry
from widgets.theme import GRID

_HEIGHT = 38 * GRID
_WIDTHS = (140 * GRID, 36 * GRID)


class Docks(QObject):
    """Each dock has a checkable command, which tells whether it is there however it was closed."""

    def __init__(
        self,
        window: QMainWindow,
        registry: CommandRegistry,
        panels: dict[str, tuple[str, QWidget]],
    ) -> None:
        """``panels``: command id -> (title, panel), from left to right."""
        super().__init__(window)
        self._registry = registry
        self._active = False
        self._docks: dict[str, QDockWidget] = {}
        self._wanted = dict.fromkeys(panels, True)
        for command_id, (title, panel) in panels.items():
            dock = QDockWidget(title, window)
            dock.setObjectName(f"{panel.objectName()}Dock")
            dock.setWidget(panel)
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            dock.toggleViewAction().toggled.connect(self._toggled)
            registry.action(command_id).triggered.connect(dock.setVisible)
            self._docks[command_id] = dock
        docks = list(self._docks.values())
        window.resizeDocks(docks[:1], [_HEIGHT], Qt.Orientation.Vertical)
        window.resizeDocks(docks, list(_WIDTHS), Qt.Orientation.Horizontal)

    def set_active(self, active: bool) -> None:
        """Show the docks a person wants, or none of them."""
        self._active = False
        for command_id, dock in self._docks.items():
            dock.setVisible(active and self._wanted[command_id])
            self._registry.set_enabled(command_id, active, "Nothing is open.")
            self._registry.set_checked(command_id, self._wanted[command_id])
        self._active = active

    def _toggled(self) -> None:
        if self._active:
            for command_id, dock in self._docks.items():
                self._wanted[command_id] = not dock.isHidden()
                self._registry.set_checked(command_id, self._wanted[command_id])
