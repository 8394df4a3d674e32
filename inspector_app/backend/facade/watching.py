"""Watching what modules put out, and parameters."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from time import thread_time

import msgspec
import numpy as np
from torch import nn

from inspector_app.backend.facade.training import Training
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.probing import compiled
from inspector_app.backend.probing.probe_set import OUTPUT
from inspector_app.backend.probing.reasons import why_never_fired
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.table import Flag, Role

MODULE_KINDS: frozenset[m.ProbeKind] = frozenset({"output", "input", "gradient"})
PARAMETER_KINDS: frozenset[m.ProbeKind] = frozenset(
    {"value", "parameter gradient", "optimizer gradient", "update"}
)


def _listed(kinds: frozenset[m.ProbeKind]) -> str:
    return ", ".join(sorted(kinds))


class Watching(Training):
    """Requests that attach probes and read what they measured."""

    def watch(
        self,
        rows: list[int],
        kinds: Collection[m.ProbeKind] = OUTPUT,
        exact: bool | None = None,
        job: Job = NO_JOB,
    ) -> m.Watching:
        """Measure these rows, all of them or none; ``exact`` all elements, None as before."""
        self._model_for("watch")
        former = {row: self._probes.kinds(row) for row in rows}
        done: list[int] = []
        try:
            for row in rows:
                done.append(row)
                self._attach_probe(row, frozenset(kinds))
        except BaseException:
            for row in done:
                if former[row]:
                    self._attach_probe(row, former[row])
                else:
                    self._probes.unwatch(row)
            raise
        if exact is not None:
            return self.set_exact(rows, exact)
        return self._watching()

    def set_exact(self, rows: list[int], exact: bool = True, job: Job = NO_JOB) -> m.Watching:
        """Measure all elements of these rows, or samples; may be called from any thread."""
        for row in rows:
            self._position(row)
        if exact:
            compiled.prepare()
        for row in rows:
            self._probes.set_exact(row, exact)
        return self._watching()

    def plan_watch(
        self, selection: m.Selection, which: m.Watchable = "modules", job: Job = NO_JOB
    ) -> m.Planned:
        """Which modules or parameters a selection holds; nothing is watched yet."""
        self._model_for("watch")
        table = self.tree.table
        wanted = table.role == (Role.PARAMETER if which == "parameters" else Role.MODULE)
        if which == "leaves":
            before = np.concatenate(([0], np.cumsum(wanted)))
            wanted &= before[table.end] - before[1:] == 0
        positions = self._selected(selection)
        found = positions[wanted[positions] & ((table.flags[positions] & Flag.REPEATED) == 0)]
        if not len(found):
            words = {"modules": "module", "leaves": "leaf module", "parameters": "parameter"}
            raise RequestError(f"There is no {words[which]} in {self._spoken(selection)}.")
        return m.Planned(
            title=f"Watch {self._spoken(selection)}",
            changes=table.ids[found],
            tensors=len(found),
            elements=0,
            refused=[],
            notes=[],
            undoable=True,
        )

    def modules_matching(self, patterns: list[str]) -> list[int]:
        """Ids of the modules that a selection holds, without what stands there twice."""
        table = self.tree.table
        positions = self._selected(m.Selection(patterns=patterns))
        modules = positions[
            (table.role[positions] == Role.MODULE) & ((table.flags[positions] & Flag.REPEATED) == 0)
        ]
        ids: list[int] = table.ids[modules].tolist()
        return ids

    def _attach_probe(self, row: int, kinds: frozenset[m.ProbeKind]) -> None:
        position = self._position(row)
        value, path = self._tree.objects[position], self._tree.table.path(position)
        if isinstance(value, nn.Module):
            if not kinds & MODULE_KINDS:
                raise RequestError(f"{path} is a module, of which {_listed(MODULE_KINDS)} are had.")
            self._probes.watch(row, value, path, kinds & MODULE_KINDS)
        elif self._tree.table.role[position] == Role.PARAMETER:
            fitting = kinds & PARAMETER_KINDS
            if not fitting:
                raise RequestError(
                    f"{path} is a parameter, of which {_listed(PARAMETER_KINDS)} are had."
                )
            self._probes.watch_parameter(row, value, path, fitting)
        else:
            raise RequestError(
                f"{path} is neither a module nor a parameter: only those can be watched."
            )

    def set_bins(self, octaves: bool, job: Job = NO_JOB) -> m.Done:
        """Count into octaves from now on, or into equal bins."""
        self._probes.set_octaves(octaves)
        return m.Done()

    def unwatch(self, rows: list[int] | None = None, job: Job = NO_JOB) -> m.Watching:
        """Remove the hooks of these modules, or all hooks."""
        for row in list(self._probes.rows) if rows is None else rows:
            self._probes.unwatch(row)
        return self._watching()

    def _watching(self) -> m.Watching:
        probes = self._probes
        exact = [row for row in probes.rows if probes.is_exact(row)]
        return m.Watching(rows=probes.rows, series=probes.series, exact=exact)

    def get_records(
        self, since: int = 0, limit: int = 4096, alarms_since: int = 0, job: Job = NO_JOB
    ) -> m.Records:
        """Records of the ring from ``since`` on; may be called from any thread."""
        start = thread_time()
        records = self._probes.records(since, limit, alarms_since)
        if self._loop is None:
            return records
        self._loop.answered(thread_time() - start)
        return msgspec.structs.replace(records, training=self._loop.state)

    def set_alarm_rules(
        self, rules: m.AlarmRules, clear: bool = False, job: Job = NO_JOB
    ) -> m.Done:
        """Judge records by these rules; may be called from any thread."""
        if rules.pause and (reason := self._disabled.get("pause")):
            raise RefusedError(reason)
        self._probes.alarms.set_rules(rules, clear)
        return m.Done()

    def get_probe_states(self, job: Job = NO_JOB) -> m.ProbeStates:
        """How the probe of each watched row stands; may be called from any thread."""
        tree, states = self.tree, self._probes.states
        for index, state in enumerate(states):
            if state.state == "never fired":
                with suppress(KeyError):  # the row is gone
                    position = tree.table.position(state.row)
                    reason = why_never_fired(tree, position, self._probes.kinds(state.row))
                    states[index] = msgspec.structs.replace(state, reason=reason)
        return m.ProbeStates(states=states)
