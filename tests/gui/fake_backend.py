"""A backend that answers from plain data: no torch, no wire, no Qt."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from inspector_app.protocol import changes
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import (
    BINS,
    Alarm,
    AlarmRules,
    ApplyRequiresGrad,
    Attach,
    BeforeAfter,
    Capture,
    Captured,
    CapturedValues,
    DataFile,
    DescribeDataFile,
    DescribeInputs,
    DescribeRow,
    Detail,
    Done,
    DropCaptured,
    Edited,
    Export,
    Exported,
    ExportPlan,
    Fact,
    FileTensor,
    Freeze,
    GetCapturedValues,
    GetProbeStates,
    GetRecords,
    GetScript,
    HoldStatistics,
    Initialize,
    InputField,
    InputForm,
    JournalEntry,
    LoadState,
    Measure,
    MeasureCaptured,
    Open,
    Opened,
    Pause,
    PlanExport,
    PlanFreeze,
    PlanHoldStatistics,
    PlanInitialize,
    Planned,
    PlanState,
    PlanWatch,
    Previewed,
    PreviewInitialize,
    ProbeKind,
    ProbeState,
    ProbeStates,
    Proof,
    Ran,
    Records,
    Redo,
    Replay,
    Request,
    Resume,
    Run,
    SaveCaptured,
    Saved,
    Script,
    Selection,
    Series,
    SetAlarmRules,
    SetBins,
    SetBudget,
    SetExact,
    Source,
    StateDifference,
    StatePlan,
    Statistics,
    StepOnce,
    Tie,
    TrainingState,
    Trust,
    Undo,
    Unwatch,
    Verified,
    Verify,
    Watch,
    Watching,
)
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.loops import loop_in
from tests.gui.tables import small_table, totals_of


class FakeBackend:
    """One method for every request, named as those of the real ``Session``."""

    def __init__(self, table: RowTable | None = None) -> None:
        self.table = self._first = small_table() if table is None else table
        self.disabled: dict[str, str] = {}
        self.kind = "model"
        self.fingerprint = "0" * 8
        self.trust: Trust | None = None  # what an untrusted target would import
        self.notes: list[str] = []  # of an opening
        self.differences = state_differences()  # of every checkpoint that is laid on
        self.requires_grad = 0  # parameters whose noted requires_grad differs
        self.journal: list[JournalEntry] = []
        self.revision = 0
        self.series: list[Series] = []
        self.data_files: dict[str, list[FileTensor]] = {}  # by path
        self.steps = 0  # forwards that ran
        self.loop: TrainingState | None = None  # of the training that was joined
        self.watched: list[int] = []  # rows that a training watches already
        self.probe_states: list[ProbeState] = []
        self.captures: list[Captured] = []
        self.octaves = False
        self.exact: set[int] = set()
        self.kinds: tuple[ProbeKind, ...] = ()  # asked for last
        self.alarms: list[Alarm] = []
        self.rules = AlarmRules()
        self._states: list[RowTable] = []  # the table on the other side of every edit

    def answer(self, request: Request) -> Any:
        """The result of a request; raises InspectorError where it has none."""
        result = getattr(self, request.method)(request)
        if isinstance(result, Edited):
            self.journal = result.history
        if isinstance(result, Edited | Ran):
            self.revision += 1
        return result

    def open(self, request: Open) -> Opened:
        self.table, self.journal, self.series, self.steps = self._first, [], [], 0
        name = request.target.rpartition(":")[2] or request.target
        return Opened(
            kind=self.kind,
            target=request.target,
            title=name,
            path="",
            arguments=request.arguments,
            device=request.device,
            seed=request.seed,
            totals=totals_of(self.table),
            table=self.table,
            disabled=self.disabled,
            fingerprint=self.fingerprint,
            seconds=0.1,
            trusted=request.trusted,
            trust=None if request.trusted else self.trust,
            notes=self.notes,
        )

    def attach(self, request: Attach) -> Opened:
        """The model of a training loop, which stands in its step 7."""
        self.loop = self.loop or loop_in(7, budget=0.05)
        self.series = [Series(key=key, row=row, leaf="") for key, row in enumerate(self.watched)]
        self.series += [
            Series(key=len(self.watched) + key, row=row, leaf="", kind="gradient")
            for key, row in enumerate(self.watched)
        ]
        return Opened(
            kind="model",
            target="training:small",
            title="small",
            path="",
            arguments={},
            device="cpu",
            seed=0,
            totals=totals_of(self.table),
            table=self.table,
            disabled=self.disabled or {"run": "The training loop runs this model itself."},
            fingerprint="",
            seconds=0.0,
            live=True,
            training=True,
            history=self.journal,
            watched=self.watched,
        )

    def pause(self, request: Pause) -> Done:
        self.loop = msgspec.structs.replace(self.loop, paused=True, held=True)
        return Done()

    def resume(self, request: Resume) -> Done:
        self.loop = msgspec.structs.replace(self.loop, paused=False, held=False)
        return Done()

    def step_once(self, request: StepOnce) -> Done:
        step = self.loop.step + 1
        self.loop = msgspec.structs.replace(self.loop, step=step, paused=True, held=True)
        return Done()

    def set_budget(self, request: SetBudget) -> Done:
        self.loop = msgspec.structs.replace(self.loop, budget=request.share)
        return Done()

    def set_alarm_rules(self, request: SetAlarmRules) -> Done:
        self.rules = request.rules
        if request.clear:
            self.alarms = []
        return Done()

    def _position(self, row: int) -> int:
        try:
            return self.table.position(row)
        except KeyError:
            raise RequestError(f"There is no row {row}.") from None

    def describe_row(self, request: DescribeRow) -> Detail:
        at = self._position(request.row)
        module = self.table.role[at] == Role.MODULE
        source = Source(file="fake.py", line=3, text="class Fake:\n    pass\n")
        return Detail(
            row=request.row,
            path=self.table.path(at),
            title=self.table.path(at) or "fake",
            facts=[Fact(label="Class", value=self.table.class_name(at))],
            registration=[Fact(label="state_dict()", value="saved", tone="good")],
            source=source if module else None,
            has_values=self.table.has(at, Flag.TENSOR),
        )

    def measure(self, request: Measure) -> Statistics:
        count = int(self.table.count[self._position(request.row)])
        counts = np.zeros(BINS, np.int64)
        counts[20:44] = 1
        counts[32] += max(count - 24, 0)
        return Statistics(
            row=request.row,
            count=count,
            nan=0,
            positive_infinity=0,
            negative_infinity=0,
            zeros=0,
            minimum=-1.0,
            maximum=1.0,
            mean=0.01,
            deviation=0.25,
            norm=3.5,
            low=-1.0,
            high=1.0,
            counts=counts,
        )

    def _parameters(self, selection: Selection) -> np.ndarray:
        """Positions of the parameters at or below rows and exact paths."""
        rows = [self._position(row) for row in selection.rows]
        paths = self.table.paths
        for pattern in selection.patterns:
            if pattern not in paths:
                raise RequestError(f"No row matches “{pattern}”.")
            rows.append(paths.index(pattern))
        chosen = np.zeros(len(self.table), bool)
        for at in rows:
            chosen[at : self.table.end[at]] = True
        chosen &= (self.table.flags & Flag.CAN_TRAIN) != 0
        tied = self.table.tie[chosen]
        chosen |= np.isin(self.table.tie, tied[tied >= 0])
        return np.flatnonzero(chosen).astype(np.int32)

    def _plan(self, title: str, at: np.ndarray) -> Planned:
        return Planned(
            title=title,
            changes=self.table.ids[at],
            tensors=len(at),
            elements=int(self.table.count[at].sum()),
            refused=[],
            notes=[],
            undoable=True,
        )

    def plan_freeze(self, request: PlanFreeze) -> Planned:
        return self._plan("Freeze", self._parameters(request.selection))

    def plan_initialize(self, request: PlanInitialize) -> Planned:
        return self._plan(request.scheme.name, self._parameters(request.selection))

    def preview_initialize(self, request: PreviewInitialize) -> Previewed:
        """Values that the seed moves about."""
        at = self._parameters(request.selection)
        tried = []
        for position in at[: request.limit].tolist():
            row = int(self.table.ids[position])
            before = self.measure(Measure(row=row))
            after = msgspec.structs.replace(
                before, mean=float(request.seed), counts=np.roll(before.counts, 8)
            )
            path = self.table.path(position)
            tried.append(BeforeAfter(row=row, path=path, before=before, after=after))
        return Previewed(tensors=tried, more=len(at) - len(tried))

    def _keepers(self, selection: Selection) -> np.ndarray:
        """Positions of layers with running statistics at, below, or around what is selected."""
        rows = [self._position(row) for row in selection.rows]
        rows += [at for at, path in enumerate(self.table.paths) if path in (*selection.patterns,)]
        chosen = np.zeros(len(self.table), bool)
        for at in rows:
            chosen[at : self.table.end[at]] = True
            chosen[max(self.table.parent[at], 0)] |= self.table.role[at] != Role.MODULE
        kind = np.asarray([self.table.class_name(at) == "BatchNorm1d" for at in range(len(chosen))])
        return np.flatnonzero(chosen & kind).astype(np.int32)

    def plan_hold_statistics(self, request: PlanHoldStatistics) -> Planned:
        at = self._keepers(request.selection)
        return msgspec.structs.replace(self._plan("Hold", at), elements=0)

    def hold_statistics(self, request: HoldStatistics) -> Edited:
        at = self._keepers(request.selection)
        if not len(at):
            raise RefusedError("There are no statistics to hold in this selection.")
        flags = self.table.flags.copy()
        flags[at] ^= np.uint32(Flag.TRAINING)
        kind = "hold" if request.held else "release"
        title = "Hold the statistics of rows" if request.held else "Let the statistics of rows move"
        entries = self._entry(kind, title, len(at), request.selection)
        self._states = [*self._states[: len(entries) - 1], self.table]
        return self._edited(msgspec.structs.replace(self.table, flags=flags), entries)

    def _edited(self, table: RowTable, entries: list[JournalEntry]) -> Edited:
        change = changes.difference(self.table, table)
        self.table = table
        return Edited(change=change, totals=totals_of(table), history=entries)

    def _entry(self, kind: str, title: str, touched: int, selection: Selection, **more: Any) -> Any:
        done = [entry for entry in self.journal if entry.done]
        patterns = [*selection.patterns]
        patterns += [self.table.path(self._position(row)) for row in selection.rows]
        entry = JournalEntry(
            number=len(done) + 1, kind=kind, title=title, touched=touched, patterns=patterns, **more
        )
        return [*done, entry]

    def freeze(self, request: Freeze) -> Edited:
        at = self._parameters(request.selection)
        flags = self.table.flags.copy()
        if request.frozen:
            flags[at] &= np.uint32(~int(Flag.REQUIRES_GRAD) & 0xFFFFFFFF)
        else:
            flags[at] |= np.uint32(Flag.REQUIRES_GRAD)
        kind = "freeze" if request.frozen else "unfreeze"
        entries = self._entry(kind, f"{kind.capitalize()} rows", len(at), request.selection)
        self._states = [*self._states[: len(entries) - 1], self.table]
        return self._edited(msgspec.structs.replace(self.table, flags=flags), entries)

    def initialize(self, request: Initialize) -> Edited:
        at = self._parameters(request.selection)
        entries = self._entry(
            "initialize",
            f"{request.scheme.name} on rows",
            len(at),
            request.selection,
            scheme=request.scheme,
            seed=request.seed,
        )
        self._states = [*self._states[: len(entries) - 1], self.table]
        return Edited(
            change=changes.change_of_rows(self.table, at),
            totals=totals_of(self.table),
            history=entries,
        )

    def plan_state(self, request: PlanState) -> StatePlan:
        saved = int(((self.table.flags & Flag.SAVED) != 0).sum())
        missing = sum(found.kind != "unexpected" for found in self.differences)
        return StatePlan(
            path=request.path,
            matching=saved - missing,
            tensors=saved,
            bytes=4096,
            differences=self.differences,
            fits=saved - missing + sum(found.fits for found in self.differences),
            prefix="module." if request.prefix is None else request.prefix,
            asked=request.prefix,
            notes=[],
            undoable=True,
            requires_grad=self.requires_grad,
        )

    def load_state(self, request: LoadState) -> Edited:
        """All saved rows get values; with differences, theirs stay as they were."""
        if self.differences and not request.fit:
            raise RefusedError("The checkpoint does not fit: load what fits.")
        flags = self.table.flags.copy()
        for found in self.differences:
            if found.row >= 0:
                flags[self._position(found.row)] |= np.uint32(Flag.INITIAL)
        entries = self._entry(
            "load", f"Load {request.path}", 5, Selection(), path=request.path, fit=request.fit
        )
        self._states = [*self._states[: len(entries) - 1], self.table]
        self.table = msgspec.structs.replace(self.table, flags=flags)
        saved = np.flatnonzero(flags & Flag.SAVED).astype(np.int32)
        return Edited(
            change=changes.change_of_rows(self.table, saved),
            totals=totals_of(self.table),
            history=entries,
        )

    def apply_requires_grad(self, request: ApplyRequiresGrad) -> Edited:
        edited = self.freeze(Freeze(selection=Selection(patterns=["embed"])))
        last = msgspec.structs.replace(
            edited.history[-1],
            kind="requires_grad",
            title=f"requires_grad as noted in {request.path}",
            path=request.path,
        )
        return msgspec.structs.replace(edited, history=[*edited.history[:-1], last])

    def get_script(self, request: GetScript) -> Script:
        titles = "".join(f"# {entry.title}\n" for entry in self.journal if entry.done)
        return Script(text=f"import torch\n\n{titles}", notes=[])

    def undo(self, request: Undo) -> Edited:
        done = sum(entry.done for entry in self.journal)
        if not done:
            raise RequestError("There is nothing to undo.")
        before = self._states[done - 1]
        self._states[done - 1] = self.table
        return self._edited(before, self._marked(done - 1))

    def redo(self, request: Redo) -> Edited:
        done = sum(entry.done for entry in self.journal)
        if done == len(self.journal):
            raise RequestError("There is nothing to redo.")
        after = self._states[done]
        self._states[done] = self.table
        return self._edited(after, self._marked(done + 1))

    def _marked(self, done: int) -> list[JournalEntry]:
        replace = msgspec.structs.replace
        return [replace(entry, done=at < done) for at, entry in enumerate(self.journal)]

    def replay(self, request: Replay) -> Edited:
        before = self.table
        for entry in request.entries:
            selection = Selection(patterns=entry.patterns)
            if entry.kind == "initialize":
                edited = self.initialize(
                    Initialize(selection=selection, scheme=entry.scheme, seed=entry.seed)
                )
            elif entry.kind == "load":
                edited = self.load_state(LoadState(path=entry.path, fit=entry.fit))
            else:
                frozen = entry.kind == "freeze"
                edited = self.freeze(Freeze(selection=selection, frozen=frozen))
            self.journal = edited.history
        return Edited(
            change=changes.difference(before, self.table),
            totals=totals_of(self.table),
            history=self.journal,
        )

    def watch(self, request: Watch) -> Watching:
        self.kinds = request.kinds
        watched = {series.row for series in self.series}
        for row in request.rows:
            self._position(row)
            if row not in watched:
                self.series.append(Series(key=len(self.series), row=row, leaf=""))
        return self._watching()

    def unwatch(self, request: Unwatch) -> Watching:
        gone = {series.row for series in self.series} if request.rows is None else set(request.rows)
        self.series = [series for series in self.series if series.row not in gone]
        return self._watching()

    def _watching(self) -> Watching:
        rows = [series.row for series in self.series]
        exact = [row for row in rows if row in self.exact]
        return Watching(rows=rows, series=list(self.series), exact=exact)

    def set_exact(self, request: SetExact) -> Watching:
        self.exact = (self.exact - {*request.rows}) | {*request.rows * request.exact}
        return self._watching()

    def plan_watch(self, request: PlanWatch) -> Planned:
        role = Role.PARAMETER if request.which == "parameters" else Role.MODULE
        wanted = request.selection.patterns
        starts = [
            at
            for at, path in enumerate(self.table.paths)
            if path in wanted or f"class:{self.table.class_name(at)}" in wanted
        ]
        below = {row for start in starts for row in range(start, int(self.table.end[start]))}
        at = sorted(row for row in below if self.table.role[row] == role)
        if not at:
            raise RequestError("There is nothing to watch.")
        return self._plan("Watch", np.asarray(at, np.int32))

    def get_probe_states(self, request: GetProbeStates) -> ProbeStates:
        return ProbeStates(states=self.probe_states)

    def set_bins(self, request: SetBins) -> Done:
        if "bins" in self.disabled:
            raise RefusedError(self.disabled["bins"])
        self.octaves = request.octaves
        return Done()

    def capture(self, request: Capture) -> Done:
        """It waits until a test replaces it."""
        self.captures = [
            *self.captures,
            Captured(
                number=len(self.captures),
                row=request.row,
                leaf=request.leaf,
                kind=request.kind,
                call=request.call,
                step=request.step,
                state="waiting",
            ),
        ]
        return Done()

    def measure_captured(self, request: MeasureCaptured) -> Statistics:
        return self.measure(Measure(row=self.captures[request.number].row))

    def get_captured_values(self, request: GetCapturedValues) -> CapturedValues:
        total = int(np.prod(self.captures[request.number].shape))
        values = np.arange(min(total, request.count), dtype=np.float64)
        return CapturedValues(number=request.number, start=0, total=total, values=values)

    def save_captured(self, request: SaveCaptured) -> Saved:
        return Saved(path=request.path, bytes=4096)

    def drop_captured(self, request: DropCaptured) -> Done:
        self.captures = [one for one in self.captures if one.number != request.number]
        return Done()

    def describe_inputs(self, request: DescribeInputs) -> InputForm:
        return InputForm(
            provided=True,
            fields=[InputField(name="x", shape=(2, 8))],
            own_loss=True,
            optimizers=["SGD", "Adam"],
        )

    def describe_data_file(self, request: DescribeDataFile) -> DataFile:
        if request.path not in self.data_files:
            raise RequestError(f"{request.path} cannot be read.")
        return DataFile(path=request.path, tensors=self.data_files[request.path])

    def run(self, request: Run) -> Ran:
        self.steps += request.repeat
        return Ran(
            forwards=request.repeat,
            seconds=0.01,
            change=changes.change_of_rows(self.table, np.empty(0, np.int32)),
            totals=totals_of(self.table),
            first_loss=2.0 if request.training else None,
            last_loss=1.5 if request.training else None,
        )

    def get_records(self, request: GetRecords) -> Records:
        """One record of every series in each step that ran."""
        first = np.arange(request.since, self.steps * len(self.series), dtype=np.int64)
        records = make_records(self.series, first[: request.limit], next=request.since)
        return msgspec.structs.replace(
            records,
            training=self.loop,
            alarms=self.alarms[request.alarms_since :],
            alarms_version=len(self.alarms),
            alarm_rules=self.rules,
            captures=self.captures,
            octaves=np.full(len(records.octaves), self.octaves, np.bool_),
        )

    def plan_export(self, request: PlanExport) -> ExportPlan:
        saved = (self.table.flags & Flag.SAVED) != 0
        size = int(self.table.bytes[saved].sum())
        options = request.options
        return ExportPlan(
            tensors=int(saved.sum()),
            bytes=size,
            ties=[Tie(names=["embed.weight", "head.weight"], kept="written twice")],
            left_out=[],
            refused=[],
            files=max(1, -(-size // options.shard_bytes)) if options.shard_bytes else 1,
            renamed=int(saved.sum()) if options.renames else 0,
            converted=int(saved.sum()) if options.dtype else 0,
            notes=[f"float32 becomes {options.dtype}: digits are lost"] if options.dtype else [],
        )

    def export(self, request: Export) -> Exported:
        plan = self.plan_export(PlanExport(options=request.options))
        parts = [f"{request.path}.{part}" for part in range(plan.files)]
        return Exported(
            files=[request.path, *parts] if plan.files > 1 else [],
            proof=Proof(state="proven", sentence="A fresh model loads it strictly.")
            if request.options.prove
            else Proof(state="not tried", sentence=""),
            notes=plan.notes,
            path=request.path,
            tensors=plan.tensors,
            bytes=plan.bytes + 512,
            sha256="ab" * 32,
            payload_sha256="cd" * 32,
            ties=plan.ties,
            left_out=[],
            seconds=0.02,
        )

    def verify(self, request: Verify) -> Verified:
        return Verified(
            ok=True,
            path=request.path,
            tensors=7,
            bytes=4096,
            sha256="ab" * 32,
            recorded="matches",
            against=request.against,
            differences=[],
        )


def state_differences() -> list[StateDifference]:
    """One of each kind that ``small_table`` can have."""
    return [
        StateDifference(name="head.weight", kind="missing", row=13, model="float32 [12, 8]"),
        StateDifference(name="old.weight", kind="unexpected", file="float32 [4]"),
        StateDifference(
            name="body.0.weight",
            kind="shape",
            row=5,
            model="float32 [8, 8]",
            file="float32 [8, 3]",
        ),
        StateDifference(
            name="body.0.bias",
            kind="dtype",
            row=6,
            model="float32 [8]",
            file="float64 [8]",
            sentence="digits would be lost in 3 of 8 values",
            fits=True,
        ),
    ]


def make_records(
    series: list[Series], sequence: np.ndarray, first: int = 0, next: int = 0
) -> Records:
    """Records with these sequence numbers, the series taking turns; bell-shaped histograms.

    ``next`` counts where there is none.
    """
    n = len(sequence)
    turns = max(len(series), 1)
    keys = np.asarray([entry.key for entry in series] or [0], np.int32)
    bell = (1000 * np.exp(-(np.linspace(-3, 3, BINS) ** 2))).astype(np.int64)
    return Records(
        series=list(series),
        first=first,
        next=int(sequence[-1]) + 1 if n else next,
        sequence=sequence,
        step=sequence // turns,
        key=keys[sequence % turns],
        micro=np.zeros(n, np.int32),
        call=np.zeros(n, np.int32),
        phase=np.zeros(n, np.uint8),
        count=np.full(n, int(bell.sum()), np.int64),
        sampled=np.full(n, int(bell.sum()), np.int64),
        nan=np.zeros(n, np.int64),
        positive_infinity=np.zeros(n, np.int64),
        negative_infinity=np.zeros(n, np.int64),
        minimum=np.full(n, -3.0),
        maximum=np.full(n, 3.0),
        mean=np.zeros(n),
        zeros=np.zeros(n, np.int64),
        deviation=np.full(n, 0.7),
        norm=np.full(n, 12.0),
        low=np.full(n, -4.0),
        dead=np.full(n, np.nan),
        saturated=np.full(n, np.nan),
        exponent=np.full(n, -3, np.int32),
        octaves=np.zeros(n, np.bool_),
        counts=np.tile(bell, (n, 1)),
    )
