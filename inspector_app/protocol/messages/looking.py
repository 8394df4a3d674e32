"""Facts and statistics of single rows."""

from __future__ import annotations

from typing import Literal

from inspector_app.protocol.messages.base import Plain, Request, Result
from inspector_app.protocol.table import Int64

BINS = 64  # of every histogram


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


class DescribeRow(Request, frozen=True, kw_only=True):
    """-> Detail."""

    row: int


class Measure(Request, frozen=True, kw_only=True):
    """-> Statistics of a tensor's values."""

    row: int
