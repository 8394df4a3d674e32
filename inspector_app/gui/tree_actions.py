"""What others do with the tree of rows, without knowing how it is drawn."""

from __future__ import annotations

from collections.abc import Callable

from inspector_app.gui.models.state_model import KINDS
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.protocol.messages import Selection
from inspector_app.protocol.presets import INITIAL
from inspector_app.protocol.table import Flag


class TreeActions:
    """Reads the tree whenever it is asked; keeps nothing."""

    def __init__(
        self,
        panel: TreePanel,
        model: RowTreeModel,
        initialize: Callable[[Selection, str], object],
    ) -> None:
        """``initialize`` opens the dialog for a selection, whose words are the second argument."""
        self._panel = panel
        self._model = model
        self._initialize = initialize

    def select(self, row: int) -> None:
        """Make a row the current one, by its id."""
        self._panel.view.select_row(row)

    def mark(self, kinds: dict[int, str]) -> None:
        """Mark rows with the kind in which a checkpoint differs; {} takes all marks away."""
        self._model.set_notes({row: KINDS[kind].word.lower() for row, kind in kinds.items()})

    def count_initial(self) -> int:
        """Rows that no checkpoint has written yet."""
        return int(((self._model.table.flags & Flag.INITIAL) != 0).sum())

    def show_initial(self) -> None:
        """Filter for them."""
        self._panel.filter.setText("initial:yes")

    def initialize_initial(self) -> None:
        """Open the dialog that initialises them."""
        self._initialize(Selection(patterns=[INITIAL]), "rows still at their initial value")
