"""What a tree shows at one moment: a table, what the filter finds in it, and the order of rows.

A state never changes; another is made of it, and keeps what is still true.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.filtering.query import Matches, Query
from inspector_app.gui.models.cells import Cells
from inspector_app.gui.models.layout import Layout, with_ancestors
from inspector_app.gui.models.row_values import Mask
from inspector_app.gui.models.sorting import Sorting, model_order, sorted_order
from inspector_app.protocol.table import Int32, RowTable
from widgets.tree_row import RowLook

NO_QUERY = Query("", ())


class TreeState:
    """All that follows from the cells, the query and the sorting."""

    def __init__(
        self,
        cells: Cells,
        query: Query = NO_QUERY,
        sorting: Sorting | None = None,
        before: TreeState | None = None,
    ) -> None:
        """``before``: the state that it replaces.  Raises QueryError of the query."""
        self.cells = cells
        self.query = query
        self.sorting = sorting
        self._before = before.facts if before is not None and before._has_facts else None
        same = before is not None and before.cells is cells
        self.matches: Matches | None
        self.shown: Mask
        if before is not None and same and before.query is query:
            self.matches, self.shown = before.matches, before.shown
        else:
            self.matches, self.shown = self._found()
        self.order = self._ordered(before if same else None)
        self.layout = Layout(cells.table, self.shown, self.order)
        self._looks: dict[int, RowLook] = {}

    @property
    def table(self) -> RowTable:
        """All rows, shown or not."""
        return self.cells.table

    @property
    def _has_facts(self) -> bool:
        return "facts" in self.__dict__ or self._before is not None

    @cached_property
    def facts(self) -> Facts:
        """What is asked of names and values; some 25 ms for a hundred thousand rows, once."""
        facts = Facts.of(self.cells.values, self._before)
        self._before = None
        return facts

    def _found(self) -> tuple[Matches | None, Mask]:
        """What the query finds, and the rows to show: those, and all above them."""
        table = self.table
        if not self.query:
            return None, np.ones(len(table), bool)
        matches = self.query.find(self.facts)
        shown = with_ancestors(table, matches.kept)
        shown[:1] = True
        return matches, shown

    def _ordered(self, before: TreeState | None) -> Int32:
        """Positions of all rows by parent, brothers as they are shown."""
        if before is not None and before.sorting == self.sorting:
            return before.order
        if self.sorting is None:
            return model_order(self.table)
        return sorted_order(self.cells.values, self.facts.names, self.sorting)

    # -- what was found ----------------------------------------------------------------------------

    def is_hit(self, position: int) -> bool:
        """Whether the query asks for a row itself."""
        return self.matches is not None and bool(self.matches.hits[position])

    @property
    def hits(self) -> Mask:
        """Rows that the query asks for."""
        return np.zeros(len(self.table), bool) if self.matches is None else self.matches.hits

    @cached_property
    def hits_in_order(self) -> Int32:
        """Positions of what was found, from the top to the bottom of the tree."""
        at = np.flatnonzero(self.hits).astype(np.int32)
        return at if self.sorting is None else at[np.argsort(self.layout.display[at])]

    def next_hit(self, position: int, step: int) -> int:
        """Position of the next hit below (``step`` 1) or above (-1) a row, round the end.

        From -1 it is the first or the last.  -1 where nothing was found.
        """
        found = self.hits_in_order
        if not len(found):
            return -1
        if position < 0 or not self.shown[position]:
            return int(found[0 if step > 0 else -1])
        places = self.layout.display[found]
        here = self.layout.display[position]
        if step > 0:
            at = int(np.searchsorted(places, here, "right")) % len(found)
        else:
            at = int(np.searchsorted(places, here, "left")) - 1
        return int(found[at])

    # -- looks -------------------------------------------------------------------------------------

    def look(self, position: int) -> RowLook:
        """How a row is drawn; whether it is watched is not known here."""
        look = self._looks.get(position)
        if look is None:
            look = self._looks[position] = self._make_look(position)
        return look

    def _make_look(self, position: int) -> RowLook:
        look = self.cells.look(position)
        if self.matches is None:
            return look
        if not self.matches.kept[position]:
            return replace(look, dim=True)
        if not position or not self.is_hit(position):
            return look
        path = self.table.path(position)
        start = len(path) - len(self.cells.name(position))
        spans = self.query.spans(path, start)
        return replace(look, spans=spans) if spans else look
