"""What the probes of one step have seen, measured together.

A hook runs in the middle of a person's forward or backward, so it does only what cannot wait: one
pass for the exact minimum and maximum, and a copy of a small sample before the tensor can change.
Histograms and moments of all samples are computed at once when the step is over, in a few calls of
numpy for a hundred tensors.

What is exact and what is sampled: minimum, maximum and the numbers of NaN and infinities are those
of all elements.  Histogram, mean, deviation, norm and the number of zeros are those of all elements
up to ``SAMPLE`` of them, and of series for which that is asked; else of one element drawn from each
of ``SAMPLE`` equal stretches of the memory.  How far the cumulative shares of the histogram may
then be from the true ones is told by :func:`inspector_app.protocol.sampling.sample_error`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inspector_app.backend.histograms import (
    Extremes,
    as_floats,
    as_real,
    bounds,
    extremes,
    in_memory_order,
    why_unreadable,
)
from inspector_app.backend.probing import bins, exact
from inspector_app.backend.probing.records import ROW, Rows
from inspector_app.backend.probing.units import Units
from inspector_app.protocol.messages import Floats
from inspector_app.protocol.sampling import SAMPLES
from inspector_app.protocol.table import Int64

SAMPLE = SAMPLES[0]
_CAPACITY = 256  # tensors measured together; 2 MB of samples
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_FAST = frozenset((torch.float32, torch.bfloat16, torch.float16))
_NAN = float("nan")
_BROKEN = ("nan", "positive_infinity", "negative_infinity")


@lru_cache(maxsize=512)
def sample_places(count: int, sample: int = SAMPLE) -> torch.Tensor:
    """Which of ``count`` elements are looked at: one at random in each of equal stretches.

    Equal steps would alias with the tensor's own extents.  The generator is ours and begins anew,
    so that equal tensors have equal samples.
    """
    edges = np.linspace(0, count, sample + 1)
    jitter = np.random.default_rng(count).random(sample)
    places = np.minimum((edges[:-1] + jitter * np.diff(edges)).astype(np.int64), count - 1)
    return torch.from_numpy(places)


def _plain_memory(tensor: torch.Tensor) -> torch.Tensor | None:
    """The values of an ordinary tensor as one dimension, without a copy; None for all others."""
    if (
        type(tensor) not in _PLAIN
        or tensor.dtype not in _FAST
        or tensor.layout is not torch.strided
        or not tensor.is_cpu
        or tensor.is_neg()
        or not tensor.numel()
    ):
        return None
    values = tensor.detach()
    if values.is_contiguous():
        return values.view(-1)
    flat = in_memory_order(values)
    return flat if flat.dim() == 1 else None


class Batch:
    """Tensors seen since the last :meth:`flush`; belongs to the thread that runs the model."""

    def __init__(self, sample: int = SAMPLE, capacity: int = _CAPACITY) -> None:
        self.octaves = False  # bins of a power of two each, instead of equal ones
        self._capacity = capacity
        self._facts = np.zeros(capacity, ROW)
        self._told: list[tuple[Any, ...]] = []
        self._exponents: dict[int, int] = {}
        self._alone: dict[int, Floats] = {}  # samples of what float32 cannot hold
        self._small: list[int] = []  # those whose extremes are found in the sample, which is all
        self.units = Units()
        self.limits: dict[int, tuple[float, float]] = {}  # of saturation, by key of series
        self._dead: dict[int, float] = {}  # shares of units
        self.exact: set[int] = set()  # keys of series of which all elements are counted
        self._whole: dict[int, exact.Whole] = {}
        #: Takes a tensor that is not on the CPU, of which :meth:`put` tells later; False: read it.
        self.elsewhere: Callable[..., bool] | None = None
        self.set_sample(sample)

    def __len__(self) -> int:
        return len(self._told)

    def set_sample(self, sample: int) -> None:
        """Look at so many elements of a tensor from now on; the batch must be empty."""
        self.sample = sample
        # By numpy, and for every mode: torch would take the person's default dtype and device.
        self._samples = np.empty((self._capacity, sample), np.float32)
        with torch.inference_mode(False):
            self._rows = list(torch.from_numpy(self._samples))
        self._work = bins.Workspace(self._capacity, sample)

    @property
    def nearly_full(self) -> bool:
        """Whether it is worth a flush for the number alone."""
        return len(self._told) > self._capacity // 4

    @property
    def full(self) -> bool:
        """Whether it must be flushed before the next tensor."""
        return len(self._told) == self._capacity

    def take(
        self,
        tensor: torch.Tensor,
        where: tuple[int, int, int, int, int],
        total: int | None = None,
        exponent: int = 0,
    ) -> None:
        """Look at one tensor now: (step, micro, key, call, phase) say which it is.

        ``total`` is the number of elements of which the tensor is a sample already; its values are
        ``2**exponent`` times what is to be recorded.

        Raises ValueError with the reason where its values cannot be read.
        """
        # Few calls and short ways: this runs twice a module, and what it needs has left the caches.
        index, key = len(self._told), where[2]
        flat = None
        if total is None and key not in self.exact:
            flat = _plain_memory(tensor)
        if flat is not None:
            self._take_fast(index, flat, where)
        elif (
            self.elsewhere is not None
            and not tensor.is_cpu
            and self.elsewhere(tensor, where, total, exponent)
        ):
            return
        else:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                if total is None and key in self.exact:
                    self._take_whole(index, tensor, where)
                else:
                    self._take_slowly(index, tensor, where)
            if total is not None:
                self._told[index] = (*self._told[index][:5], total, *self._told[index][6:])
        if exponent:
            self._exponents[index] = exponent
        if where[2:4] in self.units.zeros:
            told = self._told[index]
            minimum = -math.inf if told[-3] else told[-2]  # that of the finite ones
            self._dead[index] = self.units.look(where[2:4], tensor, minimum)

    def _take_fast(self, index: int, flat: torch.Tensor, where: tuple[int, ...]) -> None:
        """A tensor whose values lie ``flat`` in the memory."""
        count, size = flat.numel(), self.sample
        if count <= size:
            if flat.dtype is torch.float32:
                self._samples[index, :count] = flat.numpy()
            else:
                self._rows[index][:count] = flat
            self._small.append(index)
            self._told.append((*where, count, count, 0, 0, 0, -math.inf, math.inf))
            return
        minimum, maximum = bounds(flat)
        nan = positive = negative = 0
        if not (math.isfinite(minimum) and math.isfinite(maximum)):
            minimum, maximum, nan, positive, negative = extremes(flat)
        if flat.dtype is torch.float32:
            torch.index_select(flat, 0, sample_places(count, size), out=self._rows[index])
        else:
            self._rows[index].copy_(flat.index_select(0, sample_places(count, size)))
        self._told.append((*where, count, size, nan, positive, negative, minimum, maximum))

    def _take_whole(self, index: int, tensor: torch.Tensor, where: tuple[int, ...]) -> None:
        """All elements."""
        count = tensor.numel()
        if not count or why_unreadable(tensor):
            self._take_slowly(index, tensor, where)
            return
        values = as_real(in_memory_order(tensor.detach()))
        limits = self.limits.get(where[2])
        found, self._whole[index] = exact.measure(values, octaves=self.octaves, limits=limits)
        facts = (found.nan, found.positive_infinity, found.negative_infinity)
        self._told.append((*where, count, count, *facts, found.minimum, found.maximum))

    def _take_slowly(self, index: int, tensor: torch.Tensor, where: tuple[int, ...]) -> None:
        """Any dtype, device, layout or subclass."""
        if reason := why_unreadable(tensor):
            raise ValueError(reason)
        count = tensor.numel()
        if not count:
            self._told.append((*where, 0, 0, 0, 0, 0, _NAN, _NAN))
            self._alone[index] = np.empty(0)
            return
        values = as_real(in_memory_order(tensor.detach()))
        found = extremes(values)
        if count > self.sample:
            places = sample_places(count, self.sample).to(values.device)
            values = values.index_select(0, places) if values.dim() == 1 else values.take(places)
        sample = as_floats(values).copy()
        self._alone[index] = sample
        facts = (found.nan, found.positive_infinity, found.negative_infinity)
        self._told.append((*where, count, len(sample), *facts, found.minimum, found.maximum))

    def put(
        self, facts: tuple[Any, ...], sample: bins.Samples, exponent: int, dead: float | None
    ) -> None:
        """Take what was measured elsewhere: the columns up to ``maximum``, and a sample."""
        index = len(self._told)
        self._told.append(facts)
        if sample.dtype == np.float32 and len(sample) <= self.sample:  # which may be less by now
            self._samples[index, : len(sample)] = sample
        else:
            self._alone[index] = sample.astype(np.float64)
        if exponent:
            self._exponents[index] = exponent
        if dead is not None:
            self._dead[index] = dead

    def flush(self) -> Rows:
        """Records of all tensors taken, in their order; the batch is empty afterwards."""
        number = len(self._told)
        rows = self._facts[:number]
        for name, column in zip(ROW.names or (), zip(*self._told, strict=True), strict=False):
            rows[name] = column
        told, self._told = rows, []
        alone, self._alone = self._alone, {}
        exactly, self._whole = self._whole, {}
        small, self._small = self._small, []
        for size, places in _by(told["sampled"], small).items():
            _bound(told, places, self._samples[places, :size])
        for index, every in exactly.items():
            self._fill(told, index, every)
        broken = sum(told[name] for name in _BROKEN) > 0
        broken[list(exactly)] = False
        damaged = np.flatnonzero(broken).tolist()
        for size, places in _by(told["sampled"], [i for i in damaged if i not in alone]).items():
            self._measure_broken(told, places, self._samples[places, :size])
        for places in _by(told["sampled"], [i for i in damaged if i in alone]).values():
            self._measure_broken(told, places, np.stack([alone[index] for index in places]))
        whole = ~broken
        whole[[*alone, *exactly]] = False
        for size, places in _by(told["sampled"], np.flatnonzero(whole).tolist()).items():
            if len(places) == number:  # nothing need be copied
                self._measure(told, self._samples[:number, :size])
                continue
            some = told[places]
            self._measure(some, self._samples[places, :size])
            told[places] = some
        for places in _by(told["sampled"], [i for i in alone if not broken[i]]).values():
            some = told[places]
            self._measure(some, np.stack([alone[index] for index in places]))
            told[places] = some
        told["dead"] = [
            self.units.seen((key, call), zeros) if count else _NAN
            for key, call, zeros, count in zip(
                told["key"].tolist(),
                told["call"].tolist(),
                (told["zeros"] > 0).tolist(),
                told["count"].tolist(),
                strict=True,
            )
        ]
        dead, self._dead = self._dead, {}
        if dead:
            told["dead"][list(dead)] = list(dead.values())
        exponents, self._exponents = self._exponents, {}
        if exponents:
            _shift(told, list(exponents), [-exponent for exponent in exponents.values()])
        return told.copy()

    def _fill(self, rows: Rows, index: int, whole: exact.Whole) -> None:
        """Fill in what was computed from all elements."""
        for name in ("zeros", "mean", "deviation", "norm", "low", "exponent", "saturated"):
            rows[name][index] = getattr(whole, name)
        rows["counts"][index] = whole.counts
        rows["octaves"][index] = self.octaves

    def _measure_broken(self, told: Rows, places: list[int], samples: bins.Samples) -> None:
        """Fill in what is computed from the finite ones of samples (n, k)."""
        hidden = ~np.isfinite(samples)
        nothing = hidden.all(1)
        for chosen in (nothing, ~nothing):
            if chosen.any():
                some = told[(index := np.asarray(places)[chosen])]
                if chosen is nothing:
                    self._measure(some, samples[chosen][:, :0])
                else:
                    lowest = some["minimum"][:, None].astype(samples.dtype)
                    shown = np.where(hidden[chosen], lowest, samples[chosen])
                    self._measure(some, shown, hidden[chosen])
                told[index] = some

    def _measure(
        self, rows: Rows, samples: bins.Samples, hidden: NDArray[np.bool_] | None = None
    ) -> None:
        """Fill in what is computed from samples: (n,) records, (n, k) finite values.

        ``hidden`` values (n, k) do not count; their place is held by the minimum.
        """
        if not samples.shape[1]:
            for name in ("mean", "deviation", "norm", "saturated"):
                rows[name] = np.nan
            rows["zeros"] = rows["low"] = rows["exponent"] = 0
            rows["octaves"] = self.octaves
            rows["counts"] = 0
            return
        minimum, maximum = rows["minimum"], rows["maximum"]
        first, exponent = bins.linear_grid(minimum, maximum)
        # Divided by a power of two, squares neither overflow nor vanish.
        scaled = bins.divide(samples, exponent, self._work)
        number = np.full(len(rows), samples.shape[1])
        if hidden is not None:
            number -= np.count_nonzero(hidden, 1)
        mean = np.add.reduce(scaled, 1, where=True if hidden is None else ~hidden) / number
        rows["mean"] = np.clip(np.ldexp(mean, exponent, dtype=np.float64), minimum, maximum)
        rows["zeros"] = self._zeros(samples)
        if self.octaves:
            top = bins.octave_top(minimum, maximum)
            rows["low"], rows["exponent"] = 0.0, top
            rows["counts"] = bins.octave_counts(samples, top, self._work)
        else:
            rows["low"], rows["exponent"] = bins.left_edges(first, exponent), exponent
            rows["counts"] = bins.linear_counts(scaled, first, self._work)
        rows["octaves"] = self.octaves
        if hidden is not None:
            self._take_out(rows, samples.shape[1] - number)
        scaled -= mean[:, None].astype(scaled.dtype)
        if hidden is not None:
            scaled[hidden] = 0
        squares = np.einsum("ij,ij->i", scaled, scaled) / number
        rows["deviation"] = np.ldexp(np.sqrt(squares), exponent, dtype=np.float64)
        finite = rows["count"] - sum(rows[name] for name in _BROKEN)
        together = np.sqrt((squares + np.square(mean, dtype=np.float64)) * finite)
        rows["norm"] = np.ldexp(together, exponent)

        rows["saturated"] = np.nan
        if self.limits:
            self._saturate(rows, samples, hidden)

    def _take_out(self, rows: Rows, hidden: Int64) -> None:
        """Take so many minima (n,) out of the counts: they stood for what does not count."""
        minimum = rows["minimum"]
        rows["zeros"] -= np.where(minimum == 0, hidden, 0)
        if self.octaves:
            alone = bins.octave_counts(minimum[:, None], rows["exponent"], self._work)
        else:
            first, exponent = bins.linear_grid(minimum, rows["maximum"])
            place = bins.divide(minimum[:, None], exponent, self._work)
            alone = bins.linear_counts(place, first, self._work)
        rows["counts"] -= alone * hidden[:, None]

    def _saturate(
        self, rows: Rows, samples: bins.Samples, hidden: NDArray[np.bool_] | None
    ) -> None:
        """Shares of values that stand at the bounds of what puts them out."""
        for index, key in enumerate(rows["key"].tolist()):
            limits = self.limits.get(key)
            if limits is not None:
                sample = samples[index] if hidden is None else samples[index][~hidden[index]]
                outside = np.count_nonzero(sample <= limits[0]) + np.count_nonzero(
                    sample >= limits[1]
                )
                rows["saturated"][index] = outside / len(sample)

    def _zeros(self, samples: bins.Samples) -> Int64:
        """Number of zeros in each row."""
        marks = self._work.marks[: len(samples), : samples.shape[1]]
        np.equal(samples, 0, out=marks)
        return np.asarray(np.add.reduce(marks, 1, dtype=np.int64))


def _by(values: Int64, places: list[int]) -> dict[int, list[int]]:
    """Places by the value that stands there."""
    found: dict[int, list[int]] = {}
    for place, value in zip(places, values[places].tolist(), strict=True):
        found.setdefault(value, []).append(place)
    return found


def _bound(rows: Rows, places: list[int], samples: bins.Samples) -> None:
    """Fill in the extremes of records whose samples, (n, k) with k > 0, are all there is."""
    low, high = np.minimum.reduce(samples, 1), np.maximum.reduce(samples, 1)
    rows["minimum"][places], rows["maximum"][places] = low, high
    for index in np.flatnonzero(~(np.isfinite(low) & np.isfinite(high))).tolist():
        found = extremes(torch.from_numpy(samples[index]))
        for name, value in zip(Extremes._fields, found, strict=True):
            rows[name][places[index]] = value


def _shift(rows: Rows, places: list[int], exponents: list[int]) -> None:
    """Multiply the values of some records by powers of two, which moves their bins as well."""
    powers = np.asarray(exponents, np.int32)
    for name in ("minimum", "maximum", "mean", "deviation", "norm", "low"):
        rows[name][places] = np.ldexp(rows[name][places], powers)
    rows["exponent"][places] += powers
