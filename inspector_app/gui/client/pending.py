"""What the session remembers of requests whose answer has not come, and of the next worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inspector_app.gui.client.link import Link
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import (
    DescribeRow,
    GetScript,
    JournalEntry,
    Measure,
    Open,
    PlanExport,
    PlanFreeze,
    PlanHoldStatistics,
    PlanInitialize,
    PlanState,
    PlanWatch,
    PreviewInitialize,
    Request,
)

OnResult = Callable[[Any], None]
OnError = Callable[[InspectorError], None]

# Questions whose answer speaks of the model as it was: asked again where it changed meanwhile.
QUESTIONS = (
    DescribeRow,
    Measure,
    PlanFreeze,
    PlanHoldStatistics,
    PlanInitialize,
    PreviewInitialize,
    PlanState,
    PlanExport,
    PlanWatch,
    GetScript,
)


class Remote(NamedTuple):
    """Where a session is that runs by itself, and its token in hexadecimal digits."""

    address: str
    token: str


@dataclass
class Pending:
    """A request whose answer has not come."""

    request: Request
    link: Link
    on_result: OnResult
    on_error: OnError | None
    label: str


@dataclass
class Next:
    """A worker that is opening a target, or a session being joined, to take over once it has."""

    link: Link
    source: Open | Remote
    replay: list[JournalEntry] = field(default_factory=list)
    fingerprint: str = ""  # expected, "" where the target is opened for the first time
