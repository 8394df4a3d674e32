"""Running the open model and watching what its modules put out."""

from __future__ import annotations

import time
from typing import Literal

from torch import nn

from inspector_app.backend.facade.core import Core
from inspector_app.backend.inputs import example_inputs, input_form, make_inputs
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.running import private_random, run
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import Cancelled, RequestError


class Watching(Core):
    """Requests that attach probes and run forwards."""

    def watch(self, rows: list[int], job: Job = NO_JOB) -> m.Watching:
        """Attach a temporary hook to each of these modules: to all of them or to none."""
        self._model_for("watch")
        added: list[int] = []
        try:
            for row in rows:
                position = self._position(row)
                module, path = self._tree.objects[position], self._tree.table.path(position)
                if not isinstance(module, nn.Module):
                    raise RequestError(f"{path} is not a module: only modules can be watched.")
                if row not in self._probes.rows:
                    added.append(row)
                self._probes.watch(row, module, path)
        except BaseException:
            for row in added:
                self._probes.unwatch(row)
            raise
        return self._watching()

    def unwatch(self, rows: list[int] | None = None, job: Job = NO_JOB) -> m.Watching:
        """Remove the hooks of these modules, or all hooks."""
        for row in list(self._probes.rows) if rows is None else rows:
            self._probes.unwatch(row)
        return self._watching()

    def _watching(self) -> m.Watching:
        return m.Watching(rows=self._probes.rows, series=self._probes.series)

    def describe_inputs(self, job: Job = NO_JOB) -> m.InputForm:
        """How inputs for a forward can be had."""
        opened = self._model_for("run")
        return input_form(opened.model, opened.provider)

    def run(
        self,
        fields: list[m.InputField] | None = None,
        repeat: int = 1,
        mode: Literal["eval", "train"] = "eval",
        seed: int = 0,
        pause: float = 0.0,
        job: Job = NO_JOB,
    ) -> m.Ran:
        """Run forwards; ``repeat`` 0 runs until the job is cancelled, which then is no error."""
        opened = self._model_for("run")
        with private_random(seed):
            inputs = (
                example_inputs(opened.provider)
                if fields is None
                else make_inputs(opened.model, fields, seed)
            )
        first = self._probes.step
        start = time.perf_counter()
        try:
            _, seconds = run(
                opened.model,
                inputs,
                repeat=repeat,
                mode=mode,
                seed=seed,
                pause=pause,
                probes=self._probes,
                job=job,
            )
        except Cancelled:
            if repeat:
                raise
            seconds = time.perf_counter() - start
        return m.Ran(
            forwards=self._probes.step - first,
            seconds=seconds,
            change=self._rebuilt(),
            totals=self._totals(),
        )

    def get_records(self, since: int = 0, limit: int = 4096, job: Job = NO_JOB) -> m.Records:
        """Records of the ring from ``since`` on; may be called from any thread."""
        return self._probes.records(since, limit)
