"""Edits: what they would do, what they did, and the journal of them."""

from __future__ import annotations

from typing import Literal

from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.messages.base import Plain, Refusal, Request, Result, Selection, Totals
from inspector_app.protocol.messages.looking import Statistics
from inspector_app.protocol.table import Int32


class Scheme(Plain, frozen=True, kw_only=True):
    """An init scheme by the name torch.nn.init gives it, or ``reset_parameters``.

    ``arguments`` are the keyword arguments of that function ("mean", "std", "gain", "a", ...).
    """

    name: str
    arguments: dict[str, float | str] = {}


class JournalEntry(Plain, frozen=True, kw_only=True):
    """One edit: enough to show it in a list and to carry it out again."""

    number: int
    kind: Literal[
        "freeze", "unfreeze", "initialize", "hold", "release", "load", "requires_grad", "train"
    ]
    title: str  # "Freeze encoder.layer1"
    touched: int  # distinct tensors changed; of "hold" and "release", modules
    patterns: list[str]  # paths or globs, as Selection takes them, for the replay
    scheme: Scheme | None = None
    seed: int = 0
    path: str = ""  # of "load" and "requires_grad": the file
    prefix: str | None = None  # of the same, as it was asked for; None finds it again
    fit: bool = False  # of "load": only what fits
    digest: str = ""  # of the same: fingerprint of the file, to tell whether it changed
    undoable: bool = True
    done: bool = True  # False once undone: it can be redone


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
    """An edit carried out, undone or redone: the journal as it is now and the rows that changed.

    Also of a live model that was looked at again: what its own program has changed.
    """

    change: RowsChange
    totals: Totals
    history: list[JournalEntry]
    refused: list[Refusal] = []
    notes: list[str] = []


class BeforeAfter(Plain, frozen=True, kw_only=True):
    """Values of one tensor as they are and as an edit would make them."""

    row: int
    path: str
    before: Statistics
    after: Statistics  # with the same edges of the histogram as ``before``'s where both are finite


class Previewed(Result, frozen=True, kw_only=True):
    """New values tried on copies: nothing has been changed."""

    tensors: list[BeforeAfter]
    more: int  # tensors that would change but are not among them


class Script(Result, frozen=True, kw_only=True):
    """The edits that stand, as a script in plain torch."""

    text: str
    notes: list[str]  # what the script cannot do


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


class PreviewInitialize(Request, frozen=True, kw_only=True):
    """Try a scheme on copies of the first ``limit`` tensors it would change -> Previewed."""

    selection: Selection
    scheme: Scheme
    seed: int = 0
    limit: int = 8


class GetScript(Request, frozen=True, kw_only=True):
    """The edits that stand, as a script in plain torch that does the same -> Script."""
