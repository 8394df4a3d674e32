"""How a watched row is doing: bars for its magnitudes, and sentences."""

from __future__ import annotations

import math
from typing import NamedTuple

from inspector_app.protocol.messages import ProbeState
from widgets.numbers import count_text, value_text

_LOW, _HIGH = -8, 2  # decades that a bar spans: below it vanishes, above it explodes


class Level(NamedTuple):
    """A magnitude by its name: the root mean square of the newest record of a series."""

    name: str
    value: float  # NaN where something was NaN or infinite
    step: int

    @property
    def share(self) -> float:
        """Length of the bar, on a logarithmic scale."""
        if math.isnan(self.value) or self.value <= 0:
            return self.value if math.isnan(self.value) else 0.0
        share = (math.log10(self.value) - _LOW) / (_HIGH - _LOW)
        return min(1.0, max(0.0, share))


class Levels(NamedTuple):
    """What was measured last of one row: its values, then its gradient, where there are any."""

    levels: tuple[Level, ...]

    @property
    def step(self) -> int:
        """That of the newest."""
        return max(level.step for level in self.levels)

    @property
    def bars(self) -> tuple[float, ...]:
        """Lengths of the bars."""
        return tuple(level.share for level in self.levels)


def is_trouble(state: ProbeState) -> bool:
    """Whether a probe measures nothing, or less than it was asked for."""
    return state.state in ("never fired", "stopped") or bool(state.reason)


def exact_text(state: ProbeState) -> str:
    """That all elements are measured, where they are; "" else."""
    return "Exact statistics: all elements are measured." if state.exact else ""


def share_text(state: ProbeState) -> str:
    """What a probe takes of a step; "" before it is known."""
    if state.share is None:
        return ""
    percent = 100 * state.share
    amount = "less than 0.01%" if percent < 0.01 else f"{percent:.2g}%"
    return f"Takes {amount} of a step."


def watch_line(state: ProbeState) -> str:
    """The same in one line."""
    parts = [f"fired {_times(state.fired)}" if state.state == "fired" else state.state]
    parts += ["exact statistics"] * state.exact
    if share := share_text(state):
        parts.append(f"{share[0].lower()}{share[1:-1]}")
    return f"Watched: {', '.join(parts)}"


def _times(count: int) -> str:
    return f"{count_text(count)} time{'s' * (count != 1)}"


def watch_text(state: ProbeState | None, levels: Levels | None) -> str:
    """Sentences for a tooltip."""
    if state is None:
        lines = ["Watched."]
    elif state.state == "fired":
        lines = [f"Watched: fired {_times(state.fired)}."]
    elif state.state == "armed":
        lines = ["Watched: armed, no step has ended since."]
    else:
        lines = [f"Watched: {state.state}."]
    if state is not None:
        lines += [line for line in (exact_text(state), share_text(state), state.reason) if line]
    if levels is not None:
        lines.append(f"Root mean square in step {count_text(levels.step)}:")
        for level in levels.levels:
            value = "NaN or Inf" if math.isnan(level.value) else value_text(level.value)
            former = f" (step {count_text(level.step)})" if level.step < levels.step else ""
            lines.append(f"    {level.name} {value}{former}")
    return "\n".join(lines)
