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
    as_floats,
    as_real,
    extremes,
    in_memory_order,
    why_unreadable,
)
from inspector_app.backend.probing import bins, exact
from inspector_app.backend.probing.measuring import BROKEN, Measuring, bound, shift
from inspector_app.backend.probing.records import ROW, Rows
from inspector_app.backend.probing.units import Units
from inspector_app.protocol.messages import Floats
from inspector_app.protocol.sampling import SAMPLES
from inspector_app.protocol.table import Int64

SAMPLE = SAMPLES[0]
_CAPACITY = 256  # tensors measured together; 2 MB of samples
_PLAIN = frozenset((torch.Tensor, torch.nn.Parameter))
_SINGLE = torch.float32
_SHORT = frozenset((torch.float32, torch.bfloat16, torch.float16))  # which float32 holds
_NAN = float("nan")
Singles = NDArray[np.float32]


@lru_cache(maxsize=512)
def sample_places(count: int, sample: int = SAMPLE) -> torch.Tensor:
    """Which of ``count`` elements are looked at: one at random in each of equal stretches.

    Equal steps would alias with the tensor's own extents.  The generator is ours and begins anew,
    so that equal tensors have equal samples.
    """
    return torch.from_numpy(_sample_places(count, sample))


@lru_cache(maxsize=512)
def _sample_places(count: int, sample: int) -> Int64:
    edges = np.linspace(0, count, sample + 1)
    jitter = np.random.default_rng(count).random(sample)
    return np.minimum((edges[:-1] + jitter * np.diff(edges)).astype(np.int64), count - 1)


def _plain_memory(tensor: torch.Tensor) -> torch.Tensor | None:
    """The values of an ordinary tensor as one dimension, without a copy; None for all others."""
    if (
        tensor.dtype not in _SHORT
        or tensor.layout is not torch.strided
        or not tensor.is_cpu
        or tensor.is_neg()
        or not tensor.numel()
    ):
        return None
    flat = in_memory_order(tensor.detach())
    return flat if flat.dim() == 1 else None


class Batch:
    """Tensors seen since the last :meth:`flush`; belongs to the thread that runs the model."""

    def __init__(self, sample: int = SAMPLE, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._facts = np.zeros(capacity, ROW)
        self._told: list[tuple[Any, ...]] = []
        self._exponents: dict[int, int] = {}
        self._alone: dict[int, Floats] = {}  # samples of what float32 cannot hold
        self._small: list[int] = []  # those whose extremes are found in the sample, which is all
        self.units = Units()
        self.measuring = Measuring()
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
        self.measuring.make_room(self._capacity, sample)

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
        index, key = len(self._told), where[2]
        ordinary = total is None and type(tensor) in _PLAIN and key not in self.exact
        if ordinary and self._take_fast(index, tensor, where):
            pass
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
        if where[2:5] in self.units.zeros:
            told = self._told[index]
            minimum = -math.inf if told[-3] else told[-2]  # that of the finite ones
            self._dead[index] = self.units.look(where[2:5], tensor, minimum)

    def _take_fast(self, index: int, tensor: torch.Tensor, where: tuple[int, ...]) -> bool:
        """A tensor of an ordinary class; False, and nothing done, where it needs the slow way.

        This runs twice a module, in the middle of a step that has driven its code out of the
        caches: there a call of torch costs five microseconds where it costs a tenth elsewhere, and
        numpy's view of the same memory answers for a fraction.
        """
        values = tensor.detach()
        array: Singles | None = None
        if values.dtype is _SINGLE:
            try:
                array = values.numpy()
            except (TypeError, RuntimeError):  # of another device or layout, or lazily negative
                return False
        if array is None or not array.flags.c_contiguous or not array.size:
            flat = _plain_memory(values)
            if flat is None:
                return False
            self._take_flat(index, flat, where)
            return True
        count, size = array.size, self.sample
        if count <= size:
            self._samples[index, :count] = array.reshape(-1)
            self._small.append(index)
            self._told.append((*where, count, count, 0, 0, 0, -math.inf, math.inf))
            return True
        low, high = values.aminmax()
        minimum, maximum = low.item(), high.item()
        nan = positive = negative = 0
        if not (math.isfinite(minimum) and math.isfinite(maximum)):
            minimum, maximum, nan, positive, negative = extremes(values.view(-1))
        # Clipping changes no place and spares a copy of the row.
        array.reshape(-1).take(_sample_places(count, size), out=self._samples[index], mode="clip")
        self._told.append((*where, count, size, nan, positive, negative, minimum, maximum))
        return True

    def _take_flat(self, index: int, flat: torch.Tensor, where: tuple[int, ...]) -> None:
        """A tensor whose values lie ``flat`` in the memory."""
        count, size = flat.numel(), self.sample
        if count <= size:
            self._rows[index][:count] = flat
            self._small.append(index)
            self._told.append((*where, count, count, 0, 0, 0, -math.inf, math.inf))
            return
        minimum, maximum, nan, positive, negative = extremes(flat)
        self._rows[index].copy_(flat.index_select(0, sample_places(count, size)))
        self._told.append((*where, count, size, nan, positive, negative, minimum, maximum))

    def _take_whole(self, index: int, tensor: torch.Tensor, where: tuple[int, ...]) -> None:
        """All elements."""
        count = tensor.numel()
        if not count or why_unreadable(tensor):
            self._take_slowly(index, tensor, where)
            return
        values = as_real(in_memory_order(tensor.detach()))
        limits = self.measuring.limits.get(where[2])
        found, self._whole[index] = exact.measure(
            values, octaves=self.measuring.octaves, limits=limits
        )
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
        for size in set(told["sampled"][small].tolist()):
            places = [index for index in small if told["sampled"][index] == size]
            bound(told, places, self._samples[places, :size])
        for index, every in exactly.items():
            self._fill(told, index, every)
        broken = np.any([told[name] for name in BROKEN], axis=0)
        alike: dict[tuple[int, bool, bool], list[int]] = {}  # measured together
        for index, (size, is_broken) in enumerate(
            zip(told["sampled"].tolist(), broken.tolist(), strict=True)
        ):
            if index not in exactly:
                alike.setdefault((size, index in alone, is_broken), []).append(index)
        for (size, is_alone, is_broken), places in alike.items():
            where = slice(number) if len(places) == number else places  # all need no copy
            samples: bins.Samples
            if is_alone:
                samples = np.stack([alone[index] for index in places])
            else:
                samples = self._samples[where, :size]
            some = told[where]
            if is_broken:
                self.measuring.measure_finite(some, samples)
            else:
                self.measuring.measure(some, samples)
            told[where] = some
        told["dead"] = [
            self.units.seen((key, call, phase), zeros) if count else _NAN
            for key, call, phase, zeros, count in zip(
                told["key"].tolist(),
                told["call"].tolist(),
                told["phase"].tolist(),
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
            shift(told, list(exponents), [-exponent for exponent in exponents.values()])
        return told.copy()

    def _fill(self, rows: Rows, index: int, whole: exact.Whole) -> None:
        """Fill in what was computed from all elements."""
        for name in ("zeros", "mean", "deviation", "norm", "low", "exponent", "saturated"):
            rows[name][index] = getattr(whole, name)
        rows["counts"][index] = whole.counts
        rows["octaves"][index] = self.measuring.octaves
