"""The façade: one open target and all that can be done with it.

The server, the command line, the tests and a notebook call the same methods.  Each takes a ``job``
for progress and cancel, and each is one request of :mod:`inspector_app.protocol.messages` by its
name.  Which thread carries it out is not known here, with one exception:
:meth:`Session.get_records` may be called from any thread at any time.
"""

from __future__ import annotations

import gc
import secrets
import time
from typing import Any, Literal

import msgspec
import numpy as np
from torch import nn

from inspector_app.backend import exporting, freezing, initialization, norms, summary, verifying
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.describing import describe_row
from inspector_app.backend.failures import model_error
from inspector_app.backend.fingerprint import fingerprint
from inspector_app.backend.inputs import example_inputs, input_form, make_inputs
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.journal import Edit, Journal
from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.backend.probes import ProbeSet
from inspector_app.backend.running import private_random, run
from inspector_app.backend.selecting import resolve
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.backend.states import StateDict, StateSource
from inspector_app.backend.statistics import measure
from inspector_app.backend.tree import Tree, build_tree, totals
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import RowsChange, change_of_rows, difference
from inspector_app.protocol.errors import Cancelled, ModelError, RefusedError, RequestError
from inspector_app.protocol.presets import spoken
from inspector_app.protocol.schemes import scheme_text
from inspector_app.protocol.table import Flag, Int32, Role

_BARE = "A bare checkpoint holds tensors but no modules: {}. Open the model's factory instead."
_CHECKPOINT_CANNOT = {
    "freeze": _BARE.format("there is no training to freeze it for"),
    "initialize": _BARE.format("nothing says how a tensor is used"),
    "watch": _BARE.format("nothing runs, so there is nothing to watch"),
    "run": _BARE.format("there is nothing to run"),
}
_META = "This model is on the meta device, where tensors have shapes but no values: {}."
_META_CANNOT = {
    "initialize": _META.format("there is nothing to write to"),
    "run": _META.format("a forward would compute nothing"),
    "watch": _META.format("there are no activations to watch"),
    "export": _META.format("there is nothing to export"),
}

# A model of this size stays for as long as its session, so the collector need not walk it again
# and again (0.6 s each time for 100,000 modules).
_MANY_ROWS = 10_000


def _state_dict(model: nn.Module) -> StateDict:
    """The model's ``state_dict()``: the person's code, so whatever it raises is told."""
    try:
        state = StateDict(model.state_dict())
    except RecursionError:
        failure = ModelError(
            "The model has no state_dict: its modules are nested too deep, or one holds itself."
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = model_error(error, "The model's state_dict()", model)
    else:
        other = next((key for key in state.names() if not issubclass(type(key), str)), None)
        if other is None:
            return state
        failure = ModelError(
            f"The model's state_dict() has a key of class {type(other).__name__}: "
            "keys must be text to be written or compared."
        )
    raise failure


class Session:
    """One open target; opening another one lets go of it, hooks and snapshots included."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.revision = 0
        self._opened: OpenModel | Checkpoint | None = None
        self._disabled: dict[str, str] = {}
        self._tree: Tree
        self._probes = ProbeSet()
        self._journal = Journal()
        self._snapshots = SnapshotStore()

    def handle(self, request: m.Request, job: Job = NO_JOB) -> m.Result:
        """Carry out one request."""
        arguments = {name: getattr(request, name) for name in request.__struct_fields__}
        result: m.Result = getattr(self, request.method)(**arguments, job=job)
        return result

    # -- opening -------------------------------------------------------------------------------

    def open(
        self,
        target: str,
        arguments: dict[str, Any] | None = None,
        device: Literal["cpu", "meta"] = "cpu",
        seed: int = 0,
        job: Job = NO_JOB,
    ) -> m.Opened:
        """Open a target; the one before stays open where this one fails."""
        start = time.perf_counter()
        job.progress(0, 0, f"Opening {target}")
        opened = open_target(target, arguments=arguments or {}, device=device, seed=seed)
        job.check()
        tree = build_tree(opened.model) if isinstance(opened, OpenModel) else opened.tree
        self.close()
        self._opened, self._tree = opened, tree
        self.revision += 1
        if isinstance(opened, Checkpoint):
            self._disabled = _CHECKPOINT_CANNOT
        else:
            self._disabled = _META_CANNOT if device == "meta" else {}
            if len(tree.table) > _MANY_ROWS:
                gc.freeze()
        return m.Opened(
            kind=self._kind,
            target=target,
            title=opened.title,
            path=opened.path,
            arguments=arguments or {},
            device=device,
            seed=seed,
            totals=self._totals(),
            table=tree.table,
            disabled=self._disabled,
            fingerprint=opened.fingerprint()
            if isinstance(opened, Checkpoint)
            else fingerprint(tree),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        """Let go of the target: no hook, no temporary file stays behind.  May be called twice."""
        self._probes.clear()
        self._journal.clear()
        self._snapshots.close()
        if isinstance(self._opened, Checkpoint):
            self._opened.close()
        self._opened = None
        gc.unfreeze()
        self._probes = ProbeSet()
        self._journal = Journal()
        self._snapshots = SnapshotStore()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def tree(self) -> Tree:
        """Rows and objects of the open target; raises RequestError where nothing is open."""
        if self._opened is None:
            raise RequestError("Nothing is open: open a target first.")
        return self._tree

    def _model_for(self, operation: str) -> OpenModel:
        """The open model; raises RefusedError with the reason where it cannot do ``operation``."""
        _ = self.tree
        if operation in self._disabled:
            raise RefusedError(self._disabled[operation])
        assert isinstance(self._opened, OpenModel)
        return self._opened

    def _totals(self) -> m.Totals:
        if isinstance(self._opened, Checkpoint):
            return self._opened.totals()
        return totals(self._tree)

    @property
    def _kind(self) -> Literal["model", "checkpoint"]:
        return "checkpoint" if isinstance(self._opened, Checkpoint) else "model"

    # -- looking -------------------------------------------------------------------------------

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
            notes=opened.notes if isinstance(opened, Checkpoint) else (),
        )

    def describe_row(self, row: int, job: Job = NO_JOB) -> m.Detail:
        """All facts of one row."""
        detail = describe_row(self.tree, row)
        if isinstance(self._opened, Checkpoint) and self.tree.table.position(row) == 0:
            detail = msgspec.structs.replace(detail, facts=detail.facts + self._opened.notes)
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
        return measure(self.tree.objects[position], job, row=row)

    def _position(self, row: int) -> int:
        try:
            return self.tree.table.position(row)
        except KeyError:
            raise RequestError(f"Row {row} is not in the tree any more.") from None

    # -- edits ---------------------------------------------------------------------------------

    def plan_freeze(
        self, selection: m.Selection, frozen: bool = True, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`freeze` would change; nothing is."""
        self._model_for("freeze")
        title = self._freeze_title(selection, frozen)
        return freezing.plan_freeze(self._tree, self._selected(selection), frozen, title)

    def freeze(self, selection: m.Selection, frozen: bool = True, job: Job = NO_JOB) -> m.Edited:
        """Set ``requires_grad`` of all parameters selected to ``not frozen``."""
        self._model_for("freeze")
        edit = freezing.freeze(self._tree, self._selected(selection), frozen)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="freeze" if frozen else "unfreeze",
            title=self._freeze_title(selection, frozen),
            touched=edit.touched,
            patterns=self._patterns(selection),
        )
        return self._carried_out(edit, entry)

    def plan_hold_statistics(
        self, selection: m.Selection, held: bool = True, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`hold_statistics` would change; nothing is."""
        self._model_for("freeze")
        title = self._hold_title(selection, held)
        return norms.plan_hold(self._tree, self._selected(selection), held, title)

    def hold_statistics(
        self, selection: m.Selection, held: bool = True, job: Job = NO_JOB
    ) -> m.Edited:
        """Set the layers selected that keep running statistics to eval mode, or back to train."""
        self._model_for("freeze")
        edit = norms.hold(self._tree, self._selected(selection), held)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="hold" if held else "release",
            title=self._hold_title(selection, held),
            touched=edit.touched,
            patterns=self._patterns(selection),
        )
        return self._carried_out(edit, entry)

    def plan_initialize(
        self, selection: m.Selection, scheme: m.Scheme, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`initialize` would change; nothing is."""
        self._model_for("initialize")
        title = f"{scheme_text(scheme)} on {self._spoken(selection)}"
        positions = self._selected(selection)
        return initialization.plan_initialize(self._tree, positions, scheme, title, self._snapshots)

    def initialize(
        self, selection: m.Selection, scheme: m.Scheme, seed: int = 0, job: Job = NO_JOB
    ) -> m.Edited:
        """Write new values into the parameters selected, wholly or not at all."""
        self._model_for("initialize")
        positions = self._selected(selection)
        edit = initialization.initialize(self._tree, positions, scheme, seed, self._snapshots, job)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="initialize",
            title=f"{scheme_text(scheme)} on {self._spoken(selection)}",
            touched=edit.touched,
            patterns=self._patterns(selection),
            scheme=scheme,
            seed=seed,
        )
        return self._carried_out(edit, entry)

    def undo(self, job: Job = NO_JOB) -> m.Edited:
        """Take back the newest edit."""
        _ = self.tree
        return self._edited(self._journal.undo())

    def redo(self, job: Job = NO_JOB) -> m.Edited:
        """Carry out again what was undone last."""
        _ = self.tree
        return self._edited(self._journal.redo())

    def replay(self, entries: list[m.JournalEntry], job: Job = NO_JOB) -> m.Edited:
        """Carry out the edits of a session that was lost, in order; undone ones are passed over."""
        before = self.tree.table
        refused: list[m.Refusal] = []
        notes: list[str] = []
        wanted = [entry for entry in entries if entry.done]
        for index, entry in enumerate(wanted):
            job.check()
            job.progress(index, len(wanted), "Replaying edits")
            selection = m.Selection(patterns=entry.patterns)
            before_it = self._journal.history
            if entry.kind == "initialize":
                if entry.scheme is None:
                    raise RequestError(f"“{entry.title}” names no scheme and cannot be replayed.")
                edited = self.initialize(selection, entry.scheme, seed=entry.seed, job=job)
            elif entry.kind in ("hold", "release"):
                edited = self.hold_statistics(selection, entry.kind == "hold", job=job)
            else:
                edited = self.freeze(selection, entry.kind == "freeze", job=job)
            again = len(edited.history) > len(before_it)
            touched = edited.history[-1].touched if again else 0
            if touched != entry.touched:
                kind = "modules" if entry.kind in ("hold", "release") else "tensors"
                notes.append(
                    f"“{entry.title}” changed {touched:,} {kind} now, {entry.touched:,} before"
                )
            refused += edited.refused
        return m.Edited(
            change=difference(before, self._tree.table),
            totals=self._totals(),
            history=self._journal.history,
            refused=refused,
            notes=notes,
        )

    def _carried_out(
        self,
        edit: freezing.FreezeEdit | initialization.InitializeEdit | norms.HoldEdit,
        entry: m.JournalEntry,
    ) -> m.Edited:
        if edit.touched:  # what was so already is not an edit
            self._journal.append(edit, entry)
        return self._edited(edit, refused=edit.refused, notes=edit.notes)

    def _edited(
        self,
        edit: Edit,
        refused: list[m.Refusal] | None = None,
        notes: list[str] | None = None,
    ) -> m.Edited:
        """The answer to an edit whose work is done: flags read again, revision counted."""
        self.revision += 1
        if getattr(edit, "attributes", None):
            change = self._rebuilt()  # a module's own code set attributes: rows may have come
        else:
            known = edit.rows[np.isin(edit.rows, self._tree.table.ids)]
            positions = self._tree.table.positions(known)
            self._tree, change = freezing.refreshed(self._tree, positions)
            if change.empty:  # new values show in no column, yet these are the rows that changed
                change = change_of_rows(self._tree.table, positions)
        return m.Edited(
            change=change,
            totals=self._totals(),
            history=self._journal.history,
            refused=refused or [],
            notes=notes or [],
        )

    def _selected(self, selection: m.Selection) -> Int32:
        return resolve(self.tree, selection)

    def _patterns(self, selection: m.Selection) -> list[str]:
        """The selection in words that outlive the rows' ids."""
        table = self._tree.table
        return [table.path(self._position(row)) for row in selection.rows] + selection.patterns

    def _spoken(self, selection: m.Selection) -> str:
        """The selection as a title says it."""
        names = [spoken(pattern) for pattern in self._patterns(selection)]
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"

    def _freeze_title(self, selection: m.Selection, frozen: bool) -> str:
        return f"{'Freeze' if frozen else 'Unfreeze'} {self._spoken(selection)}"

    def _hold_title(self, selection: m.Selection, held: bool) -> str:
        what = f"the statistics of {self._spoken(selection)}"
        return f"Hold {what}" if held else f"Let {what} move"

    # -- running and watching --------------------------------------------------------------------

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
        return input_form(opened.model, opened.namespace)

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
                example_inputs(opened.namespace)
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

    def _rebuilt(self) -> RowsChange:
        """Walk the model again: a forward may materialise lazy layers or keep new tensors."""
        assert isinstance(self._opened, OpenModel)
        before = self._tree.table
        self._tree = build_tree(self._opened.model, self._tree)
        change = difference(before, self._tree.table)
        if not change.empty:
            self.revision += 1
        return change

    def get_records(self, since: int = 0, limit: int = 4096, job: Job = NO_JOB) -> m.Records:
        """Records of the ring from ``since`` on; may be called from any thread."""
        return self._probes.records(since, limit)

    # -- export ----------------------------------------------------------------------------------

    def plan_export(
        self, only: m.Selection | None = None, skip: list[str] | None = None, job: Job = NO_JOB
    ) -> m.ExportPlan:
        """What :meth:`export` would write."""
        return exporting.plan_export(self._state("export"), only=self._keys(only), skip=skip or [])

    def export(
        self,
        path: str,
        only: m.Selection | None = None,
        skip: list[str] | None = None,
        job: Job = NO_JOB,
    ) -> m.Exported:
        """Write a verified safetensors file."""
        state = self._state("export")
        return exporting.export(
            state, path, only=self._keys(only), skip=skip or [], facts=self._facts(), job=job
        )

    def verify(self, path: str, against: str = "", job: Job = NO_JOB) -> m.Verified:
        """Check a file; ``against`` "." compares it with the open target bit by bit."""
        if not against:
            return verifying.verify(path, against=None, job=job)
        if against != ".":
            raise RequestError('A file can be compared with the open target only: ask for ".".')
        name = self._opened.target if self._opened else ""
        return verifying.verify(path, against=self._state("verify"), against_name=name, job=job)

    def _keys(self, only: m.Selection | None) -> list[str] | None:
        return None if only is None else self._patterns(only)

    def _state(self, operation: str) -> StateSource:
        """The state dict of the open target."""
        _ = self.tree
        if operation in self._disabled:
            raise RefusedError(self._disabled[operation])
        if isinstance(self._opened, Checkpoint):
            return self._opened
        assert self._opened is not None
        return _state_dict(self._opened.model)

    def _facts(self) -> exporting.ExportFacts:
        assert self._opened is not None
        if isinstance(self._opened, Checkpoint):
            return exporting.ExportFacts(target=self._opened.target, carried=self._opened.metadata)
        table = self._tree.table
        parameters = np.flatnonzero(table.role == Role.PARAMETER)
        trains = (table.flags[parameters] & Flag.REQUIRES_GRAD) != 0
        paths = table.paths
        return exporting.ExportFacts(
            target=self._opened.target,
            arguments=self._opened.arguments,
            device=self._opened.device,
            seed=self._opened.seed,
            class_name=table.class_name(0),
            edits=[entry for entry in self._journal.history if entry.done],
            requires_grad={
                paths[position]: bool(train)
                for position, train in zip(parameters.tolist(), trains.tolist(), strict=True)
            },
        )
