"""The edit that new values are: what it touched, its inverse and its repetition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from inspector_app.backend.recipes import Recipe
from inspector_app.backend.snapshots import Snapshot
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Refusal
from inspector_app.protocol.table import Int32

MISSING: Any = object()  # stands for an attribute that is not there


@dataclass(frozen=True)
class AttributeChange:
    """A plain attribute that a module's own code set."""

    owner: dict[str, Any]  # the module's instance dictionary
    name: str
    old: Any
    new: Any

    def put(self, value: Any) -> None:
        """Make the attribute ``value``."""
        if value is MISSING:
            self.owner.pop(self.name, None)
        else:
            self.owner[self.name] = value


class Change(Protocol):
    """Something beside values that an edit exchanged, and how it was and is."""

    @property
    def old(self) -> Any:
        """How it was."""

    @property
    def new(self) -> Any:
        """How the edit made it."""

    def put(self, value: Any) -> None:
        """Make it ``value``: the old or the new one."""


@contextmanager
def staged_in(snapshot: Snapshot) -> Iterator[None]:
    """Values are put into ``snapshot`` and exchanged inside; where that fails, it is let go of.

    Raises RefusedError where they could not be kept, and whatever else is raised inside.
    """
    try:
        yield
    except OSError as error:
        snapshot.drop()
        raise RefusedError(
            f"The old values could not be kept, so nothing was changed: {error}"
        ) from error
    except BaseException:
        snapshot.drop()
        raise


class InitializeEdit:
    """New values that were written.

    The snapshot holds the old values while the edit stands and the new ones while it is undone;
    None where they could not be kept.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        snapshot: Snapshot | None,
        rows: Int32,
        touched: int,
        refused: list[Refusal],
        notes: list[str],
        attributes: Sequence[Change] = (),
        recipe: Recipe | None = None,
    ) -> None:
        self.touched = touched  # distinct tensors
        self.rows = rows  # ids of all rows whose values changed
        self.refused = refused
        self.notes = notes
        self.attributes = list(attributes)  # where there are any, rows may have come or gone
        self.recipe = recipe
        self._tensors = list(tensors)
        self._snapshot = snapshot

    @property
    def undoable(self) -> bool:
        """Whether the values that undo and redo need are still kept."""
        return self._snapshot is not None and self._snapshot.kept

    def undo(self) -> None:
        """Bring the old values back, bit by bit, or change nothing and raise RefusedError."""
        self._exchange()
        for change in reversed(self.attributes):
            change.put(change.old)

    def redo(self) -> None:
        """Bring the new values back, bit by bit, or change nothing and raise RefusedError."""
        self._exchange()
        for change in self.attributes:
            change.put(change.new)

    def forget(self) -> None:
        """Let go of the values and the tensors."""
        if self._snapshot is not None:
            self._snapshot.drop()
        self._tensors, self.attributes, self.recipe = [], [], None

    def _exchange(self) -> None:
        if self._snapshot is None or not self._snapshot.kept:
            raise RefusedError("The values are no longer kept.")
        try:
            self._snapshot.exchange(self._tensors)
        except (OSError, RuntimeError) as error:
            raise RefusedError(
                f"The values could not be exchanged, so nothing was changed: {error}"
            ) from error
