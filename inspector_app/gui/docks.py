"""The docks below the tree: live panel and history, shown only while something is open."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QObject, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from inspector_app.gui.commands import CommandRegistry

_HEIGHT = 0.32  # of the window, at first
_WIDTHS = (0.8, 0.2)  # of the window, from left to right


class Docks(QObject):
    """Each dock has a checkable command, which tells whether it is there however it was closed."""

    def __init__(
        self,
        window: QMainWindow,
        registry: CommandRegistry,
        panels: dict[str, tuple[str, QWidget]],
        state: QByteArray | None = None,
    ) -> None:
        """``panels``: command id -> (title, panel), from left to right.

        ``state``: what :attr:`state` was when the window was closed the last time.
        """
        super().__init__(window)
        self._window = window
        self._registry = registry
        self._active = False
        self._placed = False
        self._roomy = False  # a person has placed the docks, or there was room made once
        self._state = state or QByteArray()
        self._docks: dict[str, QDockWidget] = {}
        self._wanted = dict.fromkeys(panels, True)
        for command_id, (title, panel) in panels.items():
            dock = QDockWidget(title, window)
            dock.setObjectName(f"{panel.objectName()}Dock")
            dock.setWidget(panel)
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            dock.toggleViewAction().toggled.connect(self._toggled)
            registry.action(command_id).triggered.connect(
                lambda shown, dock=dock: dock.setVisible(shown)
            )
            self._docks[command_id] = dock

    def set_active(self, active: bool) -> None:
        """Show the docks a person wants, or none of them."""
        self._state = self.state
        self._active = False
        if active and not self._placed:
            self._place()
        for command_id, dock in self._docks.items():
            dock.setVisible(active and self._wanted[command_id])
            self._registry.set_enabled(command_id, active, "Nothing is open.")
            self._registry.set_checked(command_id, self._wanted[command_id])
        self._active = active

    def dock(self, command_id: str) -> QDockWidget:
        """The dock of a command."""
        return self._docks[command_id]

    def make_room(self, command_id: str, share: float) -> None:
        """Make a dock this share of the window high, once, where no person has placed the docks."""
        if not self._roomy:
            self._roomy = True
            height = round(share * self._window.height())
            self._window.resizeDocks([self.dock(command_id)], [height], Qt.Orientation.Vertical)

    @property
    def state(self) -> QByteArray:
        """Where the docks are and which are wanted, also while none can be seen."""
        return self._window.saveState() if self._active else self._state

    def _place(self) -> None:
        """Give the docks their first sizes, now that the window has its own."""
        self._placed = True
        docks = list(self._docks.values())
        for dock in docks:
            dock.show()
        window = self._window
        if not self._state.isEmpty() and window.restoreState(self._state):
            self._wanted = {name: not dock.isHidden() for name, dock in self._docks.items()}
            self._roomy = True
            return
        widths = [round(share * window.width()) for share in _WIDTHS]
        window.resizeDocks(docks[:1], [round(_HEIGHT * window.height())], Qt.Orientation.Vertical)
        window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)

    def _toggled(self) -> None:
        if self._active:
            for command_id, dock in self._docks.items():
                self._wanted[command_id] = not dock.isHidden()
                self._registry.set_checked(command_id, self._wanted[command_id])
