"""File > Open recent."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QWidget

from inspector_app.gui.recent import RecentTargets
from widgets.icons import icon
from widgets.tree_delegate import one_line

_KEYS = 9  # entries that have a digit as access key


class RecentMenu(QMenu):
    """Filled whenever it opens, since files come and go; ``chosen(RecentTarget)``."""

    chosen = Signal(object)

    def __init__(self, recent: RecentTargets, parent: QWidget) -> None:
        super().__init__("Open &recent", parent)
        self.setObjectName("recentMenu")
        self.setIcon(icon("history"))
        self.setToolTipsVisible(True)
        self._recent = recent
        self.aboutToShow.connect(self.fill)
        recent.changed.connect(self._note)
        self._note()

    def _note(self) -> None:
        self.setEnabled(bool(self._recent.targets))

    def fill(self) -> None:
        """List what can be opened again, and what cannot with the reason."""
        self.clear()
        for number, target in enumerate(self._recent.targets):
            name = one_line(target.name).replace("&", "&&")
            key = f"&{number + 1}  " if number < _KEYS else ""
            more = f"   ({one_line(target.details)})" if target.details else ""
            action = self.addAction(f"{key}{name}{more}".replace("\t", " "))
            action.setObjectName(f"recent_{number}")
            missing = target.missing
            action.setEnabled(not missing)
            action.setToolTip(missing or target.path or target.target)
            if missing:
                action.setText(f"{action.text()}: not there any more")
            action.triggered.connect(lambda _=False, target=target: self.chosen.emit(target))
        self.addSeparator()
        clear = self.addAction(icon("cancel"), "&Clear this list")
        clear.setObjectName("recent_clear")
        clear.triggered.connect(self._recent.clear)
