"""A heading that shows and hides what belongs to it; where there is little room, that scrolls."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from widgets.icons import icon
from widgets.theme import GRID

_LEAST = 12 * GRID  # pixels of the content that are always to be seen


class Disclosure(QWidget):
    """Closed at first; ``toggled(opened, height)`` tells how much room the content wants."""

    toggled = Signal(bool, int)

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.content = _Page(content)
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setIconSize(QSize(2 * GRID, 2 * GRID))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setProperty("plain", True)
        self.button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.button.toggled.connect(self.open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addWidget(self.button, alignment=Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.content)
        self.content.hide()
        self._show_arrow(False)

    @property
    def opened(self) -> bool:
        """Whether the content is to be seen."""
        return self.button.isChecked()

    def set_title(self, title: str) -> None:
        """Another heading."""
        self.button.setText(title)

    def open(self, opened: bool = True) -> None:
        """Show or hide the content."""
        if opened == self.content.isVisibleTo(self):
            return
        self.button.setChecked(opened)
        self._show_arrow(opened)
        self.content.setVisible(opened)
        self.toggled.emit(opened, self.content.sizeHint().height() + GRID)

    def _show_arrow(self, opened: bool) -> None:
        self.button.setIcon(icon("chevron-down" if opened else "chevron-right", "muted"))


class _Page(QScrollArea):
    """As high as what it holds where there is room, and scrolled where there is not."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._content = content
        self.setWidget(content)

    def sizeHint(self) -> QSize:
        """What the content wants."""
        return self._content.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """As wide as the content, and a few lines of it."""
        return QSize(self._content.minimumSizeHint().width(), _LEAST)

    def event(self, event: QEvent) -> bool:
        """What it holds wants another height."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().event(event)
