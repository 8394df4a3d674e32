"""Series in the order of the model, with the names they are drawn under."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inspector_app.protocol.messages import ProbeKind, Series
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

    @property
    def title(self) -> str:
        """Name and kind: "layers.0 gradient"."""
        word = _WORDS[self.kind]
        return f"{self.name}  {word}" if word else self.name


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


def _place(table: RowTable, row: int) -> tuple[int, str] | None:
    try:
        position = table.position(row)
    except KeyError:
        return None
    return position, table.path(position) or table.class_name(position)
