"""Dead units, and the bounds at which others are saturated.

A *unit* is a channel, dimension 1, of outputs with four dimensions or more and of three-dimensional
ones that a convolution, a pooling or a normalisation of channels puts out; of all others it is a
place in the last dimension.  A unit is *dead* when it was zero for the whole batch in each of the
last ``LOOKS`` batches that were looked at: the first ones, then every ``EVERY``-th firing, for each
of the first ``CALLS`` calls of its module in a forward, and each phase, on its own.  Each look is
exact; what is spared are looks at outputs in whose sample no zero was seen, whose share of dead
units is told as 0.

*Saturated* is a value of a bounded function within one percent of its range of a bound; there the
slope of a sigmoid or tanh is below 4 % of its largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from inspector_app.protocol.table import Int64

LOOKS = 8
EVERY = 4
CALLS = 16  # calls of a module in one forward whose units are looked at
_HEAD = 64  # values of a unit that are looked at first
_MARGIN = 0.01
_FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
_BOUNDS: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}
_OF_CHANNELS = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.batchnorm._LazyNormBase,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.GroupNorm,
)


Call = tuple[int, ...]
"""Key of a series, which call of its module in one forward, and in which phase."""


def saturation_limits(module: nn.Module) -> tuple[float, float] | None:
    """At or below the first and at or above the second value an output is saturated.

    None for modules whose output is not bounded.  ReLU6 is bounded above only: below lies zero.
    """
    kind = type(module)
    if issubclass(kind, nn.ReLU6):
        return -math.inf, 6.0 * (1 - _MARGIN)
    if issubclass(kind, nn.Hardtanh):
        low, high = (module.__dict__.get(name) for name in ("min_val", "max_val"))
        bounds = (float(low), float(high)) if low is not None and high is not None else None
    else:
        bounds = next((held for base, held in _BOUNDS.items() if issubclass(kind, base)), None)
    if bounds is None:
        return None
    margin = _MARGIN * (bounds[1] - bounds[0])
    return bounds[0] + margin, bounds[1] - margin


def puts_out_channels(module: nn.Module) -> bool:
    """Whether dimension 1 of a three-dimensional output of this module is that of its units."""
    return issubclass(type(module), _OF_CHANNELS)


def _zero(values: torch.Tensor, others: list[int], minimum: float) -> torch.Tensor:
    """Which units are nothing but zeros, NaN being none, where no value is below ``minimum``."""
    zero = values.amax(others) == 0
    if minimum < 0:
        zero &= values.amin(others) == 0
    return zero


@dataclass(slots=True)
class _Series:
    """What is known of the units of one series."""

    channels: bool  # dimension 1 of three
    fired: int = 0  # since zeros were seen
    looks: int = 0
    quiet: Int64 | None = None  # (units,) looks on end in which it was zero
    share: float = math.nan
    there: torch.Tensor | None = None  # what ``quiet`` is, on the accelerator of the outputs
    dead: tuple[torch.Tensor, int] | None = None  # their number, there, and that of all units


class Units:
    """Shares of dead units; belongs to whoever holds the lock of the batch."""

    def __init__(self) -> None:
        self._channels: dict[int, bool] = {}  # by key of series
        self._series: dict[Call, _Series] = {}
        self.zeros: set[Call] = set()  # in whose last samples zeros were seen

    def add(self, key: int, module: nn.Module) -> None:
        """An output of ``module`` will come under this key."""
        self._channels[key] = puts_out_channels(module)

    def seen(self, call: Call, zeros: bool) -> float:
        """Learn from a sample whether a look is worth while; returns the share that this tells.

        NaN where looks must tell.
        """
        if call[0] not in self._channels or call[1] >= CALLS:
            return math.nan
        if zeros:
            self.zeros.add(call)
            return math.nan
        if call in self.zeros:
            self.zeros.discard(call)
            self._series.pop(call, None)
        return 0.0

    def _of(self, call: Call) -> _Series:
        series = self._series.get(call)
        if series is None:
            series = self._series[call] = _Series(self._channels[call[0]])
        return series

    def look(self, call: Call, output: torch.Tensor, minimum: float) -> float:
        """The share of dead units of one of ``zeros``; NaN before enough batches were looked at.

        ``minimum`` is that of ``output``, so that one pass is enough where nothing is negative.
        """
        series = self._of(call)
        series.fired += 1
        # Not all series in the same step.
        if series.looks < LOOKS or (series.fired + call[0]) % EVERY == 0:
            self._count(series, output, minimum)
        return series.share

    def _count(self, series: _Series, output: torch.Tensor, minimum: float) -> None:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            values = output.detach()
            others = _batch_of(values, series)
            if not others:
                return
            (units,) = set(range(values.dim())).difference(others)
            # Most units show that they live in a small part of the batch.
            rows = max(1, _HEAD * values.shape[0] * values.shape[units] // values.numel())
            dead = _zero(values[:rows], others, minimum).cpu().numpy()
            silent = np.flatnonzero(dead)
            if len(silent) and rows < values.shape[0]:
                chosen = torch.from_numpy(silent).to(values.device)
                rest = values[rows:].index_select(units, chosen)
                dead[silent] = _zero(rest, others, minimum).cpu().numpy()
        if series.quiet is None or series.quiet.shape != dead.shape:
            series.quiet = np.zeros(dead.shape, np.int64)
            series.looks, series.share = 0, math.nan
        series.quiet = (series.quiet + 1) * dead
        series.looks += 1
        if series.looks >= LOOKS:
            series.share = float(np.mean(series.quiet >= LOOKS))

    def look_there(self, call: Call, output: torch.Tensor) -> tuple[torch.Tensor, int] | None:
        """As :meth:`look`, of an output on an accelerator, without bringing a value to the host.

        Returns the number of dead units, where it is computed, and that of all; None before enough
        batches were looked at.
        """
        series = self._of(call)
        series.fired += 1
        others = _batch_of(output, series)
        if others and (series.looks < LOOKS or (series.fired + call[0]) % EVERY == 0):
            dead = ~output.detach().ne(0).any(others)
            quiet = series.there
            if quiet is None or quiet.shape != dead.shape or quiet.device != dead.device:
                quiet = torch.zeros_like(dead, dtype=torch.int64)
                series.looks, series.dead = 0, None
            series.there = quiet = (quiet + 1) * dead
            series.looks += 1
            if series.looks >= LOOKS:
                series.dead = (quiet >= LOOKS).sum(), dead.numel()
        return series.dead


def _batch_of(output: torch.Tensor, series: _Series) -> list[int]:
    """The dimensions over which a unit is dead or not; none without a batch to be zero for."""
    dimensions = output.dim()
    if dimensions < 2 or not output.numel() or output.dtype not in _FLOATS:
        return []
    channels = dimensions > 3 or (dimensions == 3 and series.channels)
    units = 1 if channels else dimensions - 1
    return [d for d in range(dimensions) if d != units]
