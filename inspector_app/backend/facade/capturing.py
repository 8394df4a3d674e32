"""Whole tensors of the running model: kept, looked at, saved."""

from __future__ import annotations

from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.statistics import measure
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RequestError

_NEVER: frozenset[m.ProbeKind] = frozenset({"update", "scalar"})  # never had as whole tensors


class Capturing(Core):
    """Requests about captures."""

    def capture(
        self,
        row: int,
        kind: m.ProbeKind = "output",
        leaf: str = "",
        call: int = 0,
        micro: int = -1,
        phase: int = -1,
        step: int = 0,
        job: Job = NO_JOB,
    ) -> m.Done:
        """Keep the tensor of the next firing, or of a chosen step; from any thread."""
        if kind in _NEVER:
            raise RequestError(f"Of the {kind} no whole tensor is seen: it cannot be captured.")
        if kind not in self._probes.kinds(row):
            raise RequestError(f"The {kind} of row {row} is not watched: watch it first.")
        if step < 0 or 0 < step <= self._probes.step:
            now = f"{self._probes.step:,}"
            raise RequestError(f"Step {step:,} is not to come: choose one after step {now}.")
        self._probes.captures.ask(
            m.Capture(row=row, kind=kind, leaf=leaf, call=call, micro=micro, phase=phase, step=step)
        )
        return m.Done()

    def get_captured_values(
        self, number: int, start: int = 0, count: int = 4096, job: Job = NO_JOB
    ) -> m.CapturedValues:
        """Some of the values; may be called from any thread."""
        values, total = self._probes.captures.values(number, start, count)
        return m.CapturedValues(number=number, start=max(start, 0), total=total, values=values)

    def measure_captured(self, number: int, job: Job = NO_JOB) -> m.Statistics:
        """Statistics of all values."""
        captured, tensor = self._probes.captures.tensor(number)
        return measure(tensor, job, row=captured.row)

    def save_captured(self, number: int, path: str, job: Job = NO_JOB) -> m.Saved:
        """Write a captured tensor to a file."""
        captured, _ = self._probes.captures.tensor(number)
        name = self._probes.path(captured.row) + captured.leaf
        return m.Saved(path=path, bytes=self._probes.captures.save(number, path, name))

    def drop_captured(self, number: int, job: Job = NO_JOB) -> m.Done:
        """Let go of a captured tensor; may be called from any thread."""
        self._probes.captures.drop(number)
        return m.Done()
