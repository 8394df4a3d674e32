"""Targets that were opened before, newest first, with all that it takes to open them again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec
from PySide6.QtCore import QObject, Signal

from inspector_app.gui.settings import Settings

MOST = 12  # targets kept


class RecentTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target; whether it was trusted is never kept, since that is a word for one session."""

    target: str  # absolute where a file is behind it
    title: str
    path: str = ""  # of the file or folder behind it, "" where there is none
    arguments: dict[str, Any] = {}
    device: Literal["cpu", "meta"] = "cpu"
    seed: int = 0
    state: str = ""  # checkpoint laid on when it was opened

    @property
    def name(self) -> str:
        """As a list shows it: "net.py:make(hidden=8)"."""
        words = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        name = self.target
        if self.path:
            file, _, factory = split_target(self.target)
            name = f"{Path(file).name}:{factory}" if factory else Path(file).name
        return f"{name}({words})" if words else name

    @property
    def details(self) -> str:
        """What is not in the name: "device meta, seed 3, state weights.pt"; "" for nothing."""
        parts = []
        if self.device != "cpu":
            parts.append(f"device {self.device}")
        if self.seed:
            parts.append(f"seed {self.seed}")
        if self.state:
            parts.append(f"state {Path(self.state).name}")
        return ", ".join(parts)

    @property
    def missing(self) -> str:
        """Why it cannot be opened any more; "" where it can."""
        for file in (self.path, self.state):
            if file and not os.path.exists(file):
                return f"There is no {file} any more."
        return ""


class RecentTargets(QObject):
    """The list as the settings keep it; ``changed`` where it became another."""

    changed = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        try:
            self._targets = msgspec.json.decode(settings.recent, type=list[RecentTarget])
        except msgspec.DecodeError:  # nothing yet, or what another version wrote
            self._targets = []

    @property
    def targets(self) -> list[RecentTarget]:
        """Newest first."""
        return list(self._targets)

    def add(self, target: RecentTarget) -> None:
        """Put a target in front; the same one further down goes."""
        others = [other for other in self._targets if other != target]
        self._set([target, *others[: MOST - 1]])

    def clear(self) -> None:
        """Forget all."""
        self._set([])

    def _set(self, targets: list[RecentTarget]) -> None:
        self._targets = targets
        self._settings.recent = msgspec.json.encode(targets).decode()
        self.changed.emit()


def split_target(target: str) -> tuple[str, str, str]:
    """File or module, ":" and factory of a target; the last two are "" where none is named."""
    before, colon, factory = target.rpartition(":")
    if colon and before and factory.isidentifier() and before != "sample":
        return before, colon, factory
    return target, "", ""


def absolute_target(target: str) -> str:
    """The same target, found from any folder: a path in it becomes absolute."""
    file, colon, factory = split_target(target)
    if not target.startswith("sample:") and os.path.exists(file):
        return f"{Path(file).absolute()}{colon}{factory}"
    return target
