"""Every message that crosses the wire, as a typed struct.

A :class:`Request` names one method of ``backend.Session`` by its tag and carries that method's
arguments as fields; the answer is the struct the method returns, or a :class:`Failure`.  The
envelopes at the end carry ids around them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.table import Int32, Int64, RowTable

PROTOCOL_VERSION = 1
BINS = 64  # of every histogram

Floats = NDArray[np.float64]


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a message."""


# -- what several messages speak of ---------------------------------------------------------------


class Selection(Plain, frozen=True, kw_only=True):
    """Rows and all below them, rows that match a glob over dotted paths, or both together.

    A pattern that is the exact path of a row means that row (so ``layers[0]`` works); any other is
    a glob (fnmatch, case-sensitive, ``*`` crosses dots).  A module that matches means its subtree.
    Where no path matches, it may be a ready selection (see :mod:`inspector_app.protocol.presets`).
    The root's path is the empty string.
    """

    rows: list[int] = []
    patterns: list[str] = []


class Refusal(Plain, frozen=True, kw_only=True):
    """Rows that an operation leaves out, and why ("1-dimensional: has no fans")."""

    rows: list[int]
    reason: str
    examples: list[str]  # the first few paths


class Scheme(Plain, frozen=True, kw_only=True):
    """An init scheme by the name torch.nn.init gives it, or ``reset_parameters``.

    ``arguments`` are the keyword arguments of that function ("mean", "std", "gain", "a", ...).
    """

    name: str
    arguments: dict[str, float | str] = {}


class JournalEntry(Plain, frozen=True, kw_only=True):
    """One edit: enough to show it in a list and to carry it out again."""

    number: int
    kind: Literal["freeze", "unfreeze", "initialize", "hold", "release"]
    title: str  # "Freeze encoder.layer1"
    touched: int  # distinct tensors changed; of "hold" and "release", modules
    patterns: list[str]  # paths or globs, as Selection takes them, for the replay
    scheme: Scheme | None = None
    seed: int = 0
    undoable: bool = True
    done: bool = True  # False once undone: it can be redone


class Series(Plain, frozen=True, kw_only=True):
    """What one probe measures: a tensor in the output of one module."""

    key: int
    row: int
    leaf: str  # path inside the output: "" for a bare tensor, "[0]", ".logits", ...


class InputField(Plain, frozen=True, kw_only=True):
    """How to make one argument of ``forward``."""

    name: str
    shape: tuple[int, ...] = (1,)
    dtype: str = "float32"
    distribution: Literal["normal", "uniform", "zeros", "ones", "integers"] = "normal"
    high: int = 2  # exclusive bound of "integers"
    required: bool = True
    used: bool = True


class Fact(Plain, frozen=True, kw_only=True):
    """One line of the detail panel."""

    label: str
    value: str
    exact: str = ""  # tooltip
    tone: Literal["plain", "good", "warning", "quiet"] = "plain"


class Source(Plain, frozen=True, kw_only=True):
    """Where the class of a module is written."""

    file: str
    line: int
    text: str


class LeftOut(Plain, frozen=True, kw_only=True):
    """A key that an export does not write, and why."""

    name: str
    reason: str


class Tie(Plain, frozen=True, kw_only=True):
    """Keys that are one tensor, and how the file keeps them."""

    names: list[str]
    kept: str


class Difference(Plain, frozen=True, kw_only=True):
    """One key in which two sets of tensors differ ("missing", "values differ in 3 of 80")."""

    name: str
    what: str


# -- results --------------------------------------------------------------------------------------


class Result(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all answers."""


class Done(Result, frozen=True, kw_only=True):
    """Carried out; nothing more to say."""


class Totals(Plain, frozen=True, kw_only=True):
    """Of the whole target, as an optimizer and ``state_dict`` see it."""

    modules: int  # distinct objects of model.modules()
    parameters: int  # elements, each tied tensor once
    trainable: int
    buffers: int
    bytes: int  # stored by registered tensors, each byte once


class Opened(Result, frozen=True, kw_only=True):
    """An open target."""

    kind: Literal["model", "checkpoint"]
    target: str  # as it was asked for
    title: str  # "resnet", "model.safetensors"
    path: str  # of the file behind it, "" where there is none
    arguments: dict[str, Any]
    device: str
    seed: int
    totals: Totals
    table: RowTable
    disabled: dict[
        str, str
    ]  # operation -> reason: "freeze", "initialize", "watch", "run", "export"
    fingerprint: str  # of structure and values; equal for equal models
    seconds: float


class Detail(Result, frozen=True, kw_only=True):
    """All facts of one row."""

    row: int
    path: str
    title: str
    facts: list[Fact]
    registration: list[Fact]  # the three facts, in words
    source: Source | None
    has_values: bool  # statistics can be asked for


class Statistics(Result, frozen=True, kw_only=True):
    """Of all elements of one tensor; moments over the finite ones, in float64."""

    row: int
    count: int
    nan: int
    positive_infinity: int
    negative_infinity: int
    zeros: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None  # population standard deviation
    norm: float | None  # Euclidean
    low: float  # left edge of the first bin
    high: float  # right edge of the last bin
    counts: Int64  # (BINS,), finite elements


class Planned(Result, frozen=True, kw_only=True):
    """What an edit would do: nothing has been changed."""

    title: str
    changes: Int32  # ids of rows whose tensor would change, tied ones with all their rows
    tensors: int  # distinct tensors among them; modules, where it is their mode that changes
    elements: int
    refused: list[Refusal]
    notes: list[str]  # "tied: also known as head.weight"
    undoable: bool


class Edited(Result, frozen=True, kw_only=True):
    """An edit carried out, undone or redone: the journal as it is now and the rows that changed."""

    change: RowsChange
    totals: Totals
    history: list[JournalEntry]
    refused: list[Refusal] = []
    notes: list[str] = []


class Watching(Result, frozen=True, kw_only=True):
    """Modules (rows) that are watched now, and the series known so far."""

    rows: list[int]
    series: list[Series]


class InputForm(Result, frozen=True, kw_only=True):
    """How example inputs can be had; ``provided`` says that the model file makes its own."""

    provided: bool
    fields: list[InputField]
    reason: str = ""  # why no form can be made


class Ran(Result, frozen=True, kw_only=True):
    """A finished run; ``change`` tells of rows that the forwards changed."""

    forwards: int
    seconds: float
    change: RowsChange
    totals: Totals


class Records(Result, frozen=True, kw_only=True):
    """Records of the ring from one sequence number on, oldest first; ``n`` may be 0.

    Records below ``first`` are gone; what is missing between is a gap.
    """

    series: list[Series]
    first: int  # oldest sequence number the ring still holds
    next: int  # ask from here the next time
    sequence: Int64  # (n,)
    step: Int64  # (n,) number of the outermost forward
    key: Int32  # (n,) of the series
    call: Int32  # (n,) how often the module had fired in that forward
    count: Int64  # (n,) elements
    sampled: Int64  # (n,) elements the histogram was made of
    nan: Int64  # (n,)
    positive_infinity: Int64
    negative_infinity: Int64
    minimum: Floats  # (n,) exact, over finite elements; NaN where there is none
    maximum: Floats
    mean: Floats  # (n,) of the sample
    deviation: Floats
    counts: Int64  # (n, BINS) between minimum and maximum
    failures: list[str] = []  # sentences of probes that were disarmed by an error


class ExportPlan(Result, frozen=True, kw_only=True):
    """What an export would write."""

    tensors: int
    bytes: int
    ties: list[Tie]
    left_out: list[LeftOut]
    refused: list[LeftOut]  # cannot be held by the format: must be named in ``skip``


class Exported(Result, frozen=True, kw_only=True):
    """The report of a verified export."""

    path: str
    tensors: int
    bytes: int  # of the file
    sha256: str  # of the file
    payload_sha256: str  # as recorded in the file
    ties: list[Tie]
    left_out: list[LeftOut]
    seconds: float


class Verified(Result, frozen=True, kw_only=True):
    """Whether a file is what was written, and equals a model where one was given."""

    ok: bool
    path: str
    tensors: int
    bytes: int
    sha256: str
    recorded: Literal["matches", "differs", "absent"]  # the payload's hash in the metadata
    against: str  # target compared with, "" for none
    differences: list[Difference]


# -- requests -------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all requests; ``method`` is the method of Session that it means."""

    @property
    def method(self) -> str:
        """``PlanFreeze`` means ``Session.plan_freeze``."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name)[1:]


class Open(Request, frozen=True, kw_only=True):
    """Open a target -> Opened."""

    target: str
    arguments: dict[str, Any] = {}
    device: Literal["cpu", "meta"] = "cpu"
    seed: int = 0


class DescribeRow(Request, frozen=True, kw_only=True):
    """-> Detail."""

    row: int


class Measure(Request, frozen=True, kw_only=True):
    """-> Statistics of a tensor's values."""

    row: int


class PlanFreeze(Request, frozen=True, kw_only=True):
    """-> Planned."""

    selection: Selection
    frozen: bool = True


class Freeze(Request, frozen=True, kw_only=True):
    """Set requires_grad of all parameters selected to ``not frozen`` -> Edited."""

    selection: Selection
    frozen: bool = True


class PlanHoldStatistics(Request, frozen=True, kw_only=True):
    """-> Planned."""

    selection: Selection
    held: bool = True


class HoldStatistics(Request, frozen=True, kw_only=True):
    """Set layers with running statistics to eval mode, or with ``held`` False to train -> Edited.

    A layer belongs to the selection with any of its parameters, too.
    """

    selection: Selection
    held: bool = True


class PlanInitialize(Request, frozen=True, kw_only=True):
    """-> Planned."""

    selection: Selection
    scheme: Scheme


class Initialize(Request, frozen=True, kw_only=True):
    """Write new values into the parameters selected -> Edited."""

    selection: Selection
    scheme: Scheme
    seed: int = 0


class Undo(Request, frozen=True, kw_only=True):
    """Take back the newest edit -> Edited."""


class Redo(Request, frozen=True, kw_only=True):
    """Carry out again what was undone last -> Edited."""


class Replay(Request, frozen=True, kw_only=True):
    """Carry out the edits of a session that was lost -> Edited."""

    entries: list[JournalEntry]


class Watch(Request, frozen=True, kw_only=True):
    """Attach a temporary hook to every module selected (rows themselves, not below) -> Watching."""

    rows: list[int]


class Unwatch(Request, frozen=True, kw_only=True):
    """Remove the hooks of these modules; all with None -> Watching."""

    rows: list[int] | None = None


class DescribeInputs(Request, frozen=True, kw_only=True):
    """-> InputForm."""


class Run(Request, frozen=True, kw_only=True):
    """Run forwards -> Ran.

    ``fields`` None takes the file's example_inputs(); ``repeat`` 0: until
    cancelled.  In "eval" mode each module's training flag is restored afterwards; in "train" mode
    buffers are as well, so that watching never changes the model.
    """

    fields: list[InputField] | None = None
    repeat: int = 1
    mode: Literal["eval", "train"] = "eval"
    seed: int = 0
    pause: float = 0.0  # seconds between two forwards


class GetRecords(Request, frozen=True, kw_only=True):
    """Records from ``since`` on -> Records.  Answered at once, even while a job runs."""

    since: int = 0
    limit: int = 4096


class PlanExport(Request, frozen=True, kw_only=True):
    """-> ExportPlan."""

    only: Selection | None = None
    skip: list[str] = []


class Export(Request, frozen=True, kw_only=True):
    """Write a verified safetensors file -> Exported."""

    path: str
    only: Selection | None = None
    skip: list[str] = []


class Verify(Request, frozen=True, kw_only=True):
    """Check a file; ``against`` "" compares with nothing, "." with the open target -> Verified."""

    path: str
    against: str = ""


class CancelJob(Request, frozen=True, kw_only=True):
    """Ask a running or waiting request to stop -> Done, at once; its own answer follows."""

    request: int


AnyRequest = (
    Open
    | DescribeRow
    | Measure
    | PlanFreeze
    | Freeze
    | PlanHoldStatistics
    | HoldStatistics
    | PlanInitialize
    | Initialize
    | Undo
    | Redo
    | Replay
    | Watch
    | Unwatch
    | DescribeInputs
    | Run
    | GetRecords
    | PlanExport
    | Export
    | Verify
    | CancelJob
)
AnyResult = (
    Done
    | Opened
    | Detail
    | Statistics
    | Planned
    | Edited
    | Watching
    | InputForm
    | Ran
    | Records
    | ExportPlan
    | Exported
    | Verified
)

# -- envelopes ------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True, tag=True):
    """The backend's first word; tells nothing but random bytes."""

    nonce: bytes


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The peer's answer: ``proof`` is HMAC-SHA256(token, b"client" + nonce of the challenge)."""

    version: int
    nonce: bytes
    proof: bytes


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The backend's proof, HMAC-SHA256(token, b"server" + nonce of the hello), and its session."""

    version: int
    proof: bytes
    session: str
    process: int  # id of the backend's process
    error: str = ""  # a sentence, where the versions do not fit


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A request on its way; ``id`` is the peer's own number for it."""

    session: str
    id: int
    request: AnyRequest


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The result of request ``id`` at ``revision`` of the model."""

    session: str
    id: int
    revision: int
    result: AnyResult


class Failure(msgspec.Struct, frozen=True, tag=True):
    """Request ``id`` was not carried out; ``kind`` is one of protocol.errors."""

    session: str
    id: int
    revision: int
    kind: str
    sentence: str
    detail: str = ""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """Of request ``id``; ``total`` 0 where the end is not known.  At most 20 a second."""

    session: str
    id: int
    done: int
    total: int
    label: str


class Log(msgspec.Struct, frozen=True, tag=True):
    """A sentence of the backend for the person."""

    session: str
    text: str


FromClient = Hello | Ask
FromServer = Challenge | Welcome | Answer | Failure | Progress | Log
