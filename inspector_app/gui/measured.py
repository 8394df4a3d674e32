"""What is measured of watched rows: which kinds a person wants, and which there can be."""

from __future__ import annotations

from typing import Literal, get_args

from inspector_app.gui.settings import Settings
from inspector_app.protocol.messages import ProbeKind

OF_MODULES: tuple[ProbeKind, ...] = ("input", "output", "gradient")
OF_PARAMETERS: tuple[ProbeKind, ...] = (
    "value",
    "parameter gradient",
    "optimizer gradient",
    "update",
)
_WITHOUT_STEPS: frozenset[ProbeKind] = frozenset({"input", "output"})
_BY_UPDATES: frozenset[ProbeKind] = frozenset({"value", "optimizer gradient", "update"})
_FIRST: frozenset[ProbeKind] = frozenset({*OF_MODULES, *OF_PARAMETERS} - {"input"})
_NO_STEPS = "A forward alone has none: choose training in Run settings."
_ALL = (*OF_MODULES, *OF_PARAMETERS)
SessionKind = Literal["loop", "run"]


class Measured:
    """Remembered apart for a training loop that was joined and for runs of the program itself.

    ``steps`` says whether there are steps of training now: a forward alone has neither gradients
    nor updates.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chosen = {kind: _read(settings.measured(kind)) for kind in get_args(SessionKind)}
        self._session: SessionKind = "run"
        self.steps = False
        self._no_updates = ""
        self.dropped: frozenset[ProbeKind] = frozenset()  # those that a person took out

    def begin(self, live: bool, no_updates: str = "") -> None:
        """Another target: a model that lives in its own process, or one that is run here.

        ``no_updates`` is why nobody knows when its optimizer steps, "" where that is known.
        """
        self._no_updates = no_updates
        self._session = "loop" if live else "run"
        self.steps = live
        self.dropped = frozenset()

    @property
    def kinds(self) -> tuple[ProbeKind, ...]:
        """Those that are wanted and that there can be; at least one."""
        there = [kind for kind in _ALL if kind in self._chosen[self._session]]
        found = tuple(kind for kind in there if not self.reason(kind))
        return found or ("output",)

    @property
    def modules(self) -> bool:
        """Whether anything is measured of modules."""
        return not set(OF_MODULES).isdisjoint(self.kinds)

    @property
    def parameters(self) -> bool:
        """Whether anything is measured of parameters."""
        return not set(OF_PARAMETERS).isdisjoint(self.kinds)

    def choose(self, kind: ProbeKind, on: bool) -> bool:
        """Measure one more kind, or one less; returns whether that is done: one has to stay."""
        if not on and self.kinds == (kind,):
            return False
        former = self._chosen[self._session]
        chosen = former | {kind} if on else former - {kind}
        self._chosen[self._session] = chosen
        self.dropped = self.dropped - {kind} if on else self.dropped | {kind}
        self._settings.set_measured(
            self._session, ",".join(kind for kind in _ALL if kind in chosen)
        )
        return True

    def reason(self, kind: ProbeKind) -> str:
        """Why there is nothing of this kind; "" where there can be."""
        if not self.steps and kind not in _WITHOUT_STEPS:
            return _NO_STEPS
        return self._no_updates if kind in _BY_UPDATES else ""


def _read(text: str) -> frozenset[ProbeKind]:
    """Kinds as they were remembered; those to begin with where none was."""
    names = text.split(",")
    return frozenset(kind for kind in _ALL if kind in names) or _FIRST
