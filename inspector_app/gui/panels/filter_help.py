"""What can be written into the filter, with examples that can be taken."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import QFrame, QLabel, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from inspector_app.gui.filtering.guide import guide
from inspector_app.gui.panels.tone_label import ToneLabel
from widgets.theme import GRID, current_theme, mono_font

_WIDTH, _HEIGHT = 76, 72  # steps of the grid
_EXAMPLE = int(Qt.ItemDataRole.UserRole)


class FilterHelp(QFrame):
    """A page that closes by itself; ``taken(text)`` when an example was chosen."""

    taken = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("filterHelp")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        title = QLabel("What the filter understands")
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        hint = ToneLabel(
            "Click an example to try it. Ctrl+Space in the filter lists the keys.", "muted"
        )
        self.list = QTreeWidget()
        self.list.setObjectName("filterHelpList")
        self.list.setAccessibleName("Examples of filters")
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setIndentation(GRID)
        self.list.setUniformRowHeights(True)
        self.list.setStyleSheet(f"QTreeWidget::item {{ padding: {GRID // 4}px 0 }}")
        self._fill()
        self.list.itemClicked.connect(self._take)
        self.list.itemActivated.connect(self._take)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, GRID)
        column.setSpacing(GRID)
        column.addWidget(title)
        column.addWidget(self.list, 1)
        column.addWidget(hint)

    def _fill(self) -> None:
        first = None
        for title, examples in guide():
            section = QTreeWidgetItem(self.list, [title])
            section.setForeground(0, QBrush(current_theme().muted))
            section.setFlags(Qt.ItemFlag.ItemIsEnabled)
            section.setExpanded(True)
            for example in examples:
                item = QTreeWidgetItem(section, [example.text, example.meaning])
                item.setFont(0, mono_font())
                item.setData(0, _EXAMPLE, example.text)
                item.setToolTip(1, example.meaning)
                first = first or item
        self.list.resizeColumnToContents(0)
        if first is not None:
            self.list.setCurrentItem(first)

    def show_below(self, widget: QWidget) -> None:
        """Show it at a widget's lower edge, within the screen."""
        room = widget.screen().availableGeometry()
        self.resize(min(_WIDTH * GRID, room.width()), min(_HEIGHT * GRID, room.height()))
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        place.setX(max(room.left(), min(place.x(), room.right() - self.width())))
        place.setY(max(room.top(), min(place.y(), room.bottom() - self.height())))
        self.move(place)
        self.show()
        self.list.setFocus(Qt.FocusReason.PopupFocusReason)

    def _take(self, item: QTreeWidgetItem) -> None:
        example = item.data(0, _EXAMPLE)
        if example:
            self.taken.emit(str(example))
            self.close()
