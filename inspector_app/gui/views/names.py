"""Series in the order of the model, with the names they are drawn under."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from inspector_app.gui.client.choice import Reading
from inspector_app.protocol.messages import ProbeKind, Series
from inspector_app.protocol.phases import TRAINING
from inspector_app.protocol.table import RowTable

_WORDS: dict[ProbeKind, str] = {
    "output": "",
    "input": "input",
    "gradient": "gradient",
    "value": "value",
    "parameter gradient": "gradient",
    "optimizer gradient": "gradient of the optimizer",
    "update": "update / weight",
    "scalar": "",
}
_ORDER: tuple[ProbeKind, ...] = tuple(_WORDS)
GRADIENTS: frozenset[ProbeKind] = frozenset(
    {"gradient", "parameter gradient", "optimizer gradient"}
)


@dataclass(frozen=True)
class NamedSeries:
    """One series; ``position`` of its row in the table, -1 for a scalar that the loop logs."""

    key: int
    row: int
    position: int
    kind: ProbeKind
    name: str  # path of the row and of the leaf in its output
    measured: bool = True  # False for a watched row that has not fired
    variant: str = ""  # by which it is told from others of the same: "eval, call 2"
    which: str = ""  # what is shown of it, where there is more: "evaluation, call 2 of 3"
    echo: bool = False  # drawn beside the same of training

    @property
    def title(self) -> str:
        """Name, kind and variant: "layers.0  gradient  call 2"."""
        return "  ".join(filter(None, (self.name, _WORDS[self.kind], self.variant)))

    @property
    def short_title(self) -> str:
        """Without the kind, where there is little room: "layers.0 2" for its second call."""
        variant = self.variant.replace("call ", "").replace(",", "")
        return f"{self.name} {variant}" if variant else self.name


def named_series(
    table: RowTable, series: Iterable[Series], watched: Iterable[int]
) -> list[NamedSeries]:
    """All series whose row is still there, and watched rows that have none yet (keys < 0)."""
    known = list(series)
    named: list[NamedSeries] = []
    for one in known:
        if one.kind == "scalar":
            named.append(NamedSeries(one.key, -1, -1, "scalar", one.leaf))
        elif (found := _place(table, one.row)) is not None:
            position, name = found
            named.append(NamedSeries(one.key, one.row, position, one.kind, name + one.leaf))
    with_series = {one.row for one in known}
    for row in set(watched) - with_series:
        if (found := _place(table, row)) is not None:
            position, name = found
            named.append(NamedSeries(-1 - row, row, position, "output", name, measured=False))
    named.sort(key=lambda one: (one.position, one.name, _ORDER.index(one.kind)))
    return named


def variants_of(series: Iterable[NamedSeries], reading: Reading) -> list[NamedSeries]:
    """Each series as it is shown: once, several times, or not at all."""
    found: list[NamedSeries] = []
    for one in series:
        if one.kind == "scalar" or not one.measured:
            found.append(one)
            continue
        shown = reading.variants(one.key)
        trained = any(variant.phase == TRAINING for variant in shown)
        found += [
            replace(
                one,
                key=variant.key,
                variant=variant.words,
                which=variant.which,
                echo=trained and variant.phase != TRAINING,
            )
            for variant in shown
        ]
    return found


def _place(table: RowTable, row: int) -> tuple[int, str] | None:
    try:
        position = table.position(row)
    except KeyError:
        return None
    return position, table.path(position) or table.class_name(position)
