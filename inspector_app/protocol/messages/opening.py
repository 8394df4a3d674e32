"""Opening a target, and laying the values of a checkpoint onto it."""

from __future__ import annotations

from typing import Any, Literal

from inspector_app.protocol.messages.base import Plain, Request, Result, Totals
from inspector_app.protocol.messages.editing import JournalEntry
from inspector_app.protocol.table import RowTable


class Import(Plain, frozen=True, kw_only=True):
    """A name that a pickle wants to import, so that its code would run."""

    name: str  # "torch.nn.modules.linear.Linear"
    known: bool  # torch or the standard library, and harmless there


class Trust(Plain, frozen=True, kw_only=True):
    """What a person is asked to trust before a whole pickled model is loaded."""

    imports: list[Import]
    source: dict[str, str] = {}  # class -> source text that the file carries along, if any


class Open(Request, frozen=True, kw_only=True):
    """Open a target -> Opened.

    ``trusted`` unpickles a file as Python does, running what it names: only on a person's word.
    """

    target: str
    arguments: dict[str, Any] = {}
    device: Literal["cpu", "meta"] = "cpu"
    seed: int = 0
    trusted: bool = False


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
    ]  # operation -> reason: "freeze", "initialize", "watch", "run", "export", "load", "pause",
    # and "update": why it is not known when an optimizer moves parameters
    fingerprint: str  # of structure and values; equal for equal models
    seconds: float
    live: bool = False  # the model of another process, which goes on without the window
    training: bool = False  # it is the one of a training loop
    history: list[JournalEntry] = []  # edits that were made before, of a live model
    watched: list[int] = []  # rows whose probes are there already, of a live model
    trusted: bool = False
    trust: Trust | None = None  # where trusting the file would make a model of it
    notes: list[str] = []  # sentences for the person: what was not run, what was not loaded


class StateDifference(Plain, frozen=True, kw_only=True):
    """One key in which a checkpoint does not fit a model."""

    name: str  # key of the model's state_dict(); of the checkpoint where it is "unexpected"
    kind: Literal["missing", "unexpected", "shape", "dtype", "value"]
    row: int = -1  # of the model's tree, where there is one
    model: str = ""  # "float32 [8, 3]"
    file: str = ""
    sentence: str = ""  # "converting would overflow: the file's largest value is 1e39"
    fits: bool = False  # "load what fits" would load it all the same (a dtype that loses digits)


class StatePlan(Result, frozen=True, kw_only=True):
    """How a checkpoint lies on the open model: nothing has been loaded."""

    path: str
    matching: int  # keys that would be loaded as they are, or without loss
    tensors: int  # keys of the model's state_dict()
    bytes: int
    differences: list[StateDifference]
    fits: int  # keys that "load what fits" would load
    prefix: str  # taken off the file's keys so that they match ("module."), put before them where
    # it begins with a plus ("+bert."), "" for none
    asked: str | None = None  # the prefix that was asked for, None where it was found
    notes: list[str]
    undoable: bool
    requires_grad: int  # parameters of this model whose noted requires_grad differs from now

    @property
    def complete(self) -> bool:
        """Whether it can be loaded wholly."""
        return not self.differences


class PlanState(Request, frozen=True, kw_only=True):
    """Compare a checkpoint with the open model -> StatePlan.

    ``prefix`` is taken off the file's keys, or put before them where it begins with a plus
    ("+bert."); None finds the one under which most keys match.
    """

    path: str
    prefix: str | None = None


class LoadState(Request, frozen=True, kw_only=True):
    """Write a checkpoint's values into the open model, wholly or not at all -> Edited.

    With ``fit`` what fits is loaded; the rows still at their initial value get ``Flag.INITIAL``.
    """

    path: str
    prefix: str | None = None
    fit: bool = False


class ApplyRequiresGrad(Request, frozen=True, kw_only=True):
    """Set ``requires_grad`` as noted in a file that this program exported -> Edited."""

    path: str
    prefix: str | None = None
