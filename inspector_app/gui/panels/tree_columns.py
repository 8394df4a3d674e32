"""Which columns the tree shows, where and how wide; a text remembers it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Signal

from inspector_app.gui.models.columns import COLUMNS, Column
from widgets.theme import GRID
from widgets.tree_view import LazyTreeView

_AUTO = "auto"
_WIDEST = 4_000  # pixels that are believed


class TreeColumns(QObject):
    """Keeps the name as wide as the others leave it, until a person chooses a width.

    ``changed``: another column is shown or hidden.
    """

    changed = Signal()

    def __init__(self, view: LazyTreeView) -> None:
        """The view must have its model."""
        super().__init__(view)
        self._view = view
        self._header = view.tree_header
        self._fitted = 0  # width of the names as it was fitted; -1 once a person chose one
        self.reset()
        self._header.sectionResized.connect(self._resized)
        view.viewport().installEventFilter(self)

    def reset(self) -> None:
        """As it is at first."""
        for place, column in enumerate(Column):
            self._header.moveSection(self._header.visualIndex(column), place)
            info = COLUMNS[column]
            self._set(column, info.shown, info.width * GRID)
        self._fitted = 0
        self._fit()
        self.changed.emit()

    def _set(self, column: Column, shown: bool, width: int) -> None:
        if column != Column.NAME:  # else there would be nothing to hold on to
            self._header.setSectionHidden(column, not shown)
        if width:
            self._header.resizeSection(column, width)

    @property
    def shown(self) -> list[Column]:
        """Columns that are shown, from left to right."""
        return [Column(column) for column in self._header.visible_sections]

    def show(self, column: Column, shown: bool) -> None:
        """Show or hide a column; the names always stay."""
        self._set(column, shown, 0)
        self._fit()
        self.changed.emit()

    # -- remembering -------------------------------------------------------------------------------

    def text(self) -> str:
        """All columns from left to right as ``name:auto class:144 -trainable:96``."""
        words = []
        for place in range(self._header.count()):
            column = Column(self._header.logicalIndex(place))
            hidden = self._header.isSectionHidden(column)
            if hidden:
                self._header.setSectionHidden(column, False)  # a hidden one has no width
            width = str(self._header.sectionSize(column))
            self._header.setSectionHidden(column, hidden)
            if column == Column.NAME and self._fitted >= 0:
                width = _AUTO
            words.append(f"{'-' if hidden else ''}{column.key}:{width}")
        return " ".join(words)

    def restore(self, text: str) -> None:
        """As a text says; columns it does not know of stay as they are at first."""
        known = {column.key: column for column in Column}
        place = 1
        for word in text.split():
            key, _, width = word.removeprefix("-").partition(":")
            column = known.pop(key, None)
            if column is None:
                continue
            pixels = int(width) if width.isascii() and width.isdigit() else 0
            if column == Column.NAME:
                self._fitted = -1 if 0 < pixels < _WIDEST else 0
            else:
                self._header.moveSection(self._header.visualIndex(column), place)
                place += 1
            self._set(column, not word.startswith("-"), pixels if pixels < _WIDEST else 0)
        self._fit()
        self.changed.emit()

    # -- the width of names ------------------------------------------------------------------------

    def _resized(self, column: int, _: int, size: int) -> None:
        """A person made a column wider or narrower: from then on names keep their width."""
        if column == Column.NAME and self._fitted >= 0 and size != self._fitted:
            self._fitted = -1

    def _fit(self) -> None:
        """Names take what the other columns leave."""
        if self._fitted < 0:
            return
        others = sum(self._header.sectionSize(column) for column in self.shown[1:])
        least = COLUMNS[Column.NAME].width * GRID
        # Room for the scroll bar, whether it is there or not: it comes and goes with the filter.
        bar = self._view.verticalScrollBar().sizeHint().width()
        self._fitted = max(least, self._view.width() - bar - others)
        self._header.resizeSection(Column.NAME, self._fitted)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The tree has another width."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return super().eventFilter(watched, event)
