"""The rows selected in the tree, as the commands speak of them."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication

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

    def copy(self) -> None:
        """Put the paths on the clipboard, one a line."""
        QGuiApplication.clipboard().setText("\n".join(self.paths))
