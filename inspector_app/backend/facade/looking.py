"""Looking at the open target without changing it."""

from __future__ import annotations

from typing import Any

import msgspec

from inspector_app.backend import summary
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.describing import describe_row
from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.statistics import measure
from inspector_app.backend.tensors import why_wrapped, without_subclass
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.table import Flag


class Looking(Core):
    """Requests that look."""

    def summary_json(self, depth: int | None = None) -> dict[str, Any]:
        """The tree and its totals as plain data for JSON."""
        tree, opened = self.tree, self._opened
        assert opened is not None
        return summary.summary_json(
            tree, self._totals(), target=opened.target, kind=self._kind, depth=depth
        )

    def summary_text(self, depth: int | None = None) -> str:
        """The tree and its totals for a terminal."""
        tree, opened = self.tree, self._opened
        assert opened is not None
        return summary.summary_text(
            tree,
            self._totals(),
            title=opened.title,
            kind=self._kind,
            depth=depth,
            notes=opened.facts if isinstance(opened, Checkpoint) else (),
        )

    def describe_row(self, row: int, job: Job = NO_JOB) -> m.Detail:
        """All facts of one row."""
        detail = describe_row(self.tree, row)
        if isinstance(self._opened, Checkpoint) and self.tree.table.position(row) == 0:
            detail = msgspec.structs.replace(detail, facts=detail.facts + self._opened.facts)
        return detail

    def measure(self, row: int, job: Job = NO_JOB) -> m.Statistics:
        """Statistics of all elements of one tensor."""
        position = self._position(row)
        table = self.tree.table
        if not table.has(position, Flag.TENSOR) or table.has(position, Flag.LAZY | Flag.META):
            raise RefusedError(f"{table.path(position)} has no values to measure.")
        if isinstance(self._opened, Checkpoint):
            try:
                return measure(self._opened.tensor(table.path(position)), job, row=row)
            finally:
                self._opened.release()  # pages of the file that were looked at
        tensor = self.tree.objects[position]
        if reason := why_wrapped(tensor):
            raise RefusedError(f"{table.path(position)} is {reason}: it has no values to measure.")
        return measure(without_subclass(tensor), job, row=row)
