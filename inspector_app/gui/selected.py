"""The rows selected in the tree, as the commands speak of them."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication

from inspector_app.gui.copying import markdown, tab_separated
from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.protocol.messages import Selection
from widgets.numbers import count_text
from widgets.tree_view import LazyTreeView


class Selected:
    """Reads the view whenever it is asked; keeps nothing."""

    def __init__(self, view: LazyTreeView, model: RowTreeModel) -> None:
        self._view = view
        self._model = model

    @property
    def rows(self) -> list[int]:
        """Ids."""
        return self._view.selected_rows()

    @property
    def positions(self) -> list[int]:
        """Positions in the table."""
        return [self._model.table.position(row) for row in self.rows]

    @property
    def paths(self) -> list[str]:
        """Dotted paths; the root's is empty."""
        return [self._model.table.path(position) for position in self.positions]

    @property
    def selection(self) -> Selection:
        """The rows as a request carries them."""
        return Selection(rows=self.rows)

    def words(self) -> str:
        """The rows as a person would name them."""
        paths = self.paths
        if len(paths) == 1:
            return paths[0] or f"{self._model.title} (everything)"
        return f"{count_text(len(paths))} rows"

    def pattern(self) -> str:
        """A pattern to begin with: the path of the one row selected."""
        paths = self.paths
        return paths[0] if len(paths) == 1 else ""

    # -- the clipboard -----------------------------------------------------------------------------

    def copy_paths(self) -> None:
        """Put the paths on the clipboard, one a line."""
        _copy("\n".join(self.paths))

    def copy_names(self) -> None:
        """Put the names on the clipboard, one a line."""
        cells = self._model.cells
        _copy("\n".join(cells.name(position) for position in self._in_order()))

    def copy_rows(self) -> None:
        """Put the rows on the clipboard as a table: what stands in the columns that are shown."""
        _copy(tab_separated(self._model.cells, self._in_order(), self._columns()))

    def copy_markdown(self) -> None:
        """Put them there as a table in Markdown."""
        _copy(markdown(self._model.cells, self._in_order(), self._columns()))

    def copy_cell(self) -> None:
        """Put there what stands in the cell that was clicked last."""
        index = self._view.currentIndex()
        if index.isValid():
            position = self._model.table.position(self._view.current_row())
            _copy(self._model.cells.exact(position, index.column()))

    def _columns(self) -> list[Column]:
        return [Column(column) for column in self._view.tree_header.visible_sections]

    def _in_order(self) -> list[int]:
        """Positions from the top to the bottom of the tree, in whatever order they were chosen."""
        return self._model.in_order(self.positions)


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
