"""Finding rows by a piece of their path, in any case."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np

from inspector_app.gui.models.layout import Mask, topmost
from inspector_app.protocol.table import RowTable


class RowSearch:
    """Searches the rows of one table; texts are made at the first search and kept."""

    def __init__(self, table: RowTable) -> None:
        self._table = table

    def find(self, wanted: str) -> Mask:
        """Rows whose path holds ``wanted`` (lower-case), without those that merely stand below.

        All below a row that was found has it in its path too.
        """
        table = self._table
        if not wanted:
            return np.zeros(len(table), bool)
        # Names meet at a dot or a bracket: what has neither stands within one name.
        across = "." in wanted or "[" in wanted
        texts = self._paths if across else self._names
        found = np.fromiter((wanted in text for text in texts), bool, len(table))
        return topmost(table, found) if across else found

    @cached_property
    def _names(self) -> list[str]:
        blob = self._table.name_bytes.tobytes()
        ends = pairwise(self._table.name_offsets.tolist())
        if blob.isascii():
            text = blob.lower().decode()
            return [text[start:stop] for start, stop in ends]
        return [blob[start:stop].decode("utf-8", "surrogatepass").lower() for start, stop in ends]

    @cached_property
    def _paths(self) -> list[str]:
        return [path.lower() for path in self._table.paths]
