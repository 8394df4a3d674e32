"""What all messages are made of, and what several speak of."""

from __future__ import annotations

import msgspec


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a message."""


class Result(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all answers."""


class Request(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all requests; ``method`` is the method of Session that it means."""

    @property
    def method(self) -> str:
        """``PlanFreeze`` means ``Session.plan_freeze``."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name)[1:]


class Done(Result, frozen=True, kw_only=True):
    """Carried out; nothing more to say."""


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


class Difference(Plain, frozen=True, kw_only=True):
    """One key in which two sets of tensors differ ("missing", "values differ in 3 of 80")."""

    name: str
    what: str


class Totals(Plain, frozen=True, kw_only=True):
    """Of the whole target, as an optimizer and ``state_dict`` see it."""

    modules: int  # distinct objects of model.modules()
    parameters: int  # elements, each tied tensor once
    trainable: int
    buffers: int
    bytes: int  # stored by registered tensors, each byte once


class CancelJob(Request, frozen=True, kw_only=True):
    """Ask a running or waiting request to stop -> Done, at once; its own answer follows."""

    request: int
