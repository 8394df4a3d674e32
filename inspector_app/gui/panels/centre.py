"""The middle of the window: what is open or a notice above, one of three pages below."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QGridLayout, QStackedWidget, QVBoxLayout, QWidget

from inspector_app.gui.panels.status_panel import TargetLine
from inspector_app.gui.panels.welcome_page import WelcomePage
from widgets.empty_state import EmptyState
from widgets.notice_bar import NoticeBar
from widgets.tree_delegate import one_line


class Centre(QWidget):
    """Pages: ``welcome`` while nothing is open, ``waiting`` for the first target, ``work``."""

    def __init__(
        self,
        notices: NoticeBar,
        samples: list[str],
        work: QWidget,
        parent: QWidget | None = None,
    ) -> None:
        """``work`` shows the open target."""
        super().__init__(parent)
        self.target_line = TargetLine()
        self.welcome = WelcomePage(samples)
        self.waiting = EmptyState("model", "")
        self.waiting.setObjectName("waiting")
        self.work = work
        self.pages = _Pages()
        for page in (self.welcome, self.waiting, work):
            self.pages.addWidget(page)
        above = QGridLayout()
        above.addWidget(self.target_line, 0, 0)
        above.addWidget(notices, 0, 0)  # over the other: nothing moves when it comes
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(above)
        column.addWidget(self.pages, 1)

    def wait_for(self, target: str) -> None:
        """Say what is being opened."""
        self.waiting.set_sentence(f"Opening {one_line(target)}…")
        self.pages.setCurrentWidget(self.waiting)


class _Pages(QStackedWidget):
    """Asks for no more room than the page in sight.

    The welcome is higher than the work.  If its height were kept, a low window would not hold all
    that it has to, and Qt would let the docks end below the status bar.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.currentChanged.connect(self.updateGeometry)

    def minimumSizeHint(self) -> QSize:
        """What the page in sight needs."""
        page = self.currentWidget()
        return super().minimumSizeHint() if page is None else page.minimumSizeHint()
