"""What goes around a request and its answer on the wire."""

from __future__ import annotations

import msgspec

from inspector_app.protocol.messages.alarms import SetAlarmRules
from inspector_app.protocol.messages.base import (
    CancelJob,
    Done,
)
from inspector_app.protocol.messages.capturing import (
    Capture,
    CapturedValues,
    DropCaptured,
    GetCapturedValues,
    MeasureCaptured,
    SaveCaptured,
    Saved,
)
from inspector_app.protocol.messages.editing import (
    Edited,
    Freeze,
    GetScript,
    HoldStatistics,
    Initialize,
    PlanFreeze,
    PlanHoldStatistics,
    PlanInitialize,
    Planned,
    Previewed,
    PreviewInitialize,
    Redo,
    Replay,
    Script,
    Undo,
)
from inspector_app.protocol.messages.exporting import (
    Export,
    Exported,
    ExportPlan,
    PlanExport,
    Verified,
    Verify,
)
from inspector_app.protocol.messages.looking import (
    DescribeRow,
    Detail,
    Measure,
    Statistics,
)
from inspector_app.protocol.messages.opening import (
    ApplyRequiresGrad,
    LoadState,
    Open,
    Opened,
    PlanState,
    StatePlan,
)
from inspector_app.protocol.messages.probes import GetProbeStates, ProbeStates
from inspector_app.protocol.messages.running import (
    DataFile,
    DescribeDataFile,
    DescribeInputs,
    InputForm,
    Ran,
    Run,
)
from inspector_app.protocol.messages.training import (
    Attach,
    LookAgain,
    Pause,
    Resume,
    SetBudget,
    StepOnce,
)
from inspector_app.protocol.messages.watching import (
    GetRecords,
    PlanWatch,
    Records,
    SetBins,
    SetExact,
    Unwatch,
    Watch,
    Watching,
)

PROTOCOL_VERSION = 3

AnyRequest = (
    Open
    | PlanState
    | LoadState
    | ApplyRequiresGrad
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
    | PreviewInitialize
    | GetScript
    | Watch
    | Unwatch
    | PlanWatch
    | DescribeInputs
    | DescribeDataFile
    | Run
    | GetRecords
    | PlanExport
    | Export
    | Verify
    | Attach
    | LookAgain
    | Pause
    | Resume
    | StepOnce
    | SetBudget
    | SetBins
    | SetExact
    | SetAlarmRules
    | GetProbeStates
    | Capture
    | GetCapturedValues
    | MeasureCaptured
    | SaveCaptured
    | DropCaptured
    | CancelJob
)
AnyResult = (
    Done
    | Opened
    | StatePlan
    | Detail
    | Statistics
    | Planned
    | Edited
    | Previewed
    | Script
    | Watching
    | InputForm
    | DataFile
    | Ran
    | Records
    | ProbeStates
    | CapturedValues
    | Saved
    | ExportPlan
    | Exported
    | Verified
)


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

# Answered by the thread that listens, whatever the one that owns the model is doing.
AT_ONCE = (
    GetRecords,
    GetProbeStates,
    SetAlarmRules,
    SetExact,
    Capture,
    GetCapturedValues,
    DropCaptured,
    Attach,
    Pause,
    Resume,
    StepOnce,
    SetBudget,
)
