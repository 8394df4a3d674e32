"""What the words of a filter may ask about the rows of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inspector_app.gui.filtering.path_search import PathSearch
from inspector_app.gui.models.names import Names
from inspector_app.gui.models.row_values import Mask, RowValues
from inspector_app.protocol.table import RowTable


@dataclass(frozen=True)
class Facts:
    """A table, its columns as arrays, and the search through its paths."""

    values: RowValues
    names: Names
    paths: PathSearch

    @classmethod
    def of(cls, values: RowValues, before: Facts | None = None) -> Facts:
        """Facts of a table; what ``before`` knows of the names is kept where they are the same."""
        table = values.table
        if before is not None and before.names.fits(table):
            return cls(values, before.names, before.paths)
        names = Names(table)
        return cls(values, names, PathSearch(table, names))

    @property
    def table(self) -> RowTable:
        """All rows."""
        return self.values.table

    def none(self) -> Mask:
        """No row."""
        return np.zeros(len(self.table), bool)


class Found(NamedTuple):
    """What one word finds, both (n,).

    ``direct``: rows it speaks of; ``inside``: rows for which it holds, mostly those at or below.
    """

    direct: Mask
    inside: Mask
