"""Writing the open target's state dict to a file, and checking files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import structs

from inspector_app.backend import exporting, verifying
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.exporting.aliased import Aliased
from inspector_app.backend.exporting.planning import Plan
from inspector_app.backend.exporting.proving import prove
from inspector_app.backend.exporting.rebuilding import fresh_model
from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.opening.model import OpenModel
from inspector_app.backend.presets import preset_rows
from inspector_app.backend.selecting import with_subtrees
from inspector_app.backend.state_slots import Slot, state_of, traced
from inspector_app.backend.states import StateDict, StateSource
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.presets import CLASS, PRESET
from inspector_app.protocol.table import Flag, Role

_ALL = m.ExportOptions()


class Exporting(Core):
    """Requests that write and check files."""

    def plan_export(self, options: m.ExportOptions = _ALL, job: Job = NO_JOB) -> m.ExportPlan:
        """What :meth:`export` would write."""
        source, facts, slots = self._to_export(options.only)
        options = self._spelled_out(options, slots)
        only = self._keys(options.only, slots)
        return exporting.plan_export(source, options, only=only, facts=facts, job=job)

    def export(self, path: str, options: m.ExportOptions = _ALL, job: Job = NO_JOB) -> m.Exported:
        """Write verified files, and try them on a fresh model."""
        source, facts, slots = self._to_export(options.only)
        options = self._spelled_out(options, slots)
        only = self._keys(options.only, slots)

        def proof(plan: Plan, files: list[str]) -> m.Proof:
            opened = self._opened
            if not isinstance(opened, OpenModel):
                reason = "a bare checkpoint has no factory that builds one"
                return m.Proof(state="not tried", sentence=f"Not tried on a fresh model: {reason}")
            return prove(
                opened.model, lambda device: fresh_model(opened, device), files, plan, options
            )

        return exporting.export(
            source,
            path,
            options,
            only=only,
            facts=facts,
            prove=proof if options.prove else None,
            job=job,
        )

    def verify(self, path: str, against: str = "", job: Job = NO_JOB) -> m.Verified:
        """Check a file; ``against`` "." compares it with the open target bit by bit."""
        if not against:
            return verifying.verify(path, against=None, job=job)
        if against != ".":
            raise RequestError('A file can be compared with the open target only: ask for ".".')
        name = self._opened.target if self._opened else ""
        return verifying.verify(path, against=self._source("verify"), against_name=name, job=job)

    # -- what is exported ------------------------------------------------------------------------

    def _source(self, operation: str) -> StateSource:
        """The state dict of the open target."""
        _ = self.tree
        if operation in self._disabled:
            raise RefusedError(self._disabled[operation])
        if isinstance(self._opened, Checkpoint):
            return Aliased(self._opened)
        assert self._opened is not None
        return StateDict(state_of(self._opened.model))

    def _to_export(
        self, only: m.Selection | None
    ) -> tuple[StateSource, exporting.ExportFacts, list[Slot]]:
        """The state dict of the open target, what is said of it, and its rows by key."""
        source = self._source("export")
        opened = self._opened
        assert opened is not None
        if isinstance(opened, Checkpoint):
            assert isinstance(source, Aliased)
            if only is not None:
                source.take_beside(self._patterns(only))
            facts = exporting.ExportFacts(
                target=opened.target,
                requires_grad=opened.requires_grad,
                carried=source.metadata,
                told=source.told,
            )
            return source, facts, []
        assert isinstance(source, StateDict)
        slots = traced(source.values, self._tree)
        table = self._tree.table
        return (
            source,
            exporting.ExportFacts(
                target=opened.target,
                arguments=opened.arguments,
                device=opened.device,
                seed=opened.seed,
                class_name=table.class_name(0),
                edits=[entry for entry in self._journal.history if entry.done],
                requires_grad={
                    slot.key: bool(table.flags[slot.row] & Flag.REQUIRES_GRAD)
                    for slot in slots
                    if slot.row >= 0 and table.role[slot.row] == Role.PARAMETER
                },
            ),
            slots,
        )

    def _spelled_out(self, options: m.ExportOptions, slots: list[Slot]) -> m.ExportOptions:
        """The options with ready selections among what is skipped replaced by their keys."""
        return structs.replace(options, skip=self._without_presets(options.skip, slots))

    def _keys(self, only: m.Selection | None, slots: list[Slot]) -> list[str] | None:
        if only is None:
            return None
        return self._without_presets(self._patterns(only), slots)

    def _without_presets(self, patterns: Iterable[str], slots: list[Slot]) -> list[str]:
        """Patterns over keys: what a ready selection means is named key by key."""
        found: list[str] = []
        for pattern in patterns:
            rows = preset_rows(self._tree, pattern) if slots and _is_ready(pattern) else None
            if rows is None:
                found.append(pattern)
                continue
            inside = set(with_subtrees(self._tree.table, np.asarray(rows)).tolist())
            keys = [slot.key for slot in slots if slot.row in inside]
            if not keys:
                raise RequestError(f"'{pattern}' means no key of the state dict.")
            found += keys
        return found


def _is_ready(pattern: str) -> bool:
    return pattern.startswith((PRESET, CLASS))
