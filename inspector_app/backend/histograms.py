"""Extremes, bins and moments of a tensor's values, whatever its dtype, layout and class.

Nothing here draws from a global random generator, builds an autograd graph or changes a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from inspector_app.protocol.messages import BINS, Floats
from inspector_app.protocol.ranges import bin_range
from inspector_app.protocol.table import Int64

_EXTREME = 400  # binary exponents beyond which squares could overflow or vanish


class Tally:
    """Bins and moments of finite values that lie between ``minimum`` and ``maximum``.

    Bin k holds the values with ``k <= (value - low) / width < k + 1`` in float64, the last one
    ``high`` as well.  ``edges`` are a low and a high of the bins that lie outside of both.
    """

    def __init__(
        self, minimum: float, maximum: float, edges: tuple[float, float] | None = None
    ) -> None:
        self.counts: Int64 = np.zeros(BINS, np.int64)
        self.low, self.high = edges or bin_range(minimum, maximum)
        # Near the ends of the range of float64 all is computed on values divided by 2**exponent.
        exponent = math.frexp(max(abs(self.low), abs(self.high)))[1]
        self._exponent = exponent if abs(exponent) > _EXTREME else 0
        self._low = math.ldexp(self.low, -self._exponent)
        self._bounds = [math.ldexp(bound, -self._exponent) for bound in (minimum, maximum)]
        self._width = (math.ldexp(self.high, -self._exponent) - self._low) / BINS
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared deviations from the mean

    def add(self, values: Floats) -> None:
        """Count some more values: one-dimensional, finite, left as they are."""
        count = len(values)
        if not count:
            return
        if self._exponent:
            values = np.ldexp(values, -self._exponent)
        places = values - self._low
        # A division by an exact 64th of the range puts whole numbers into their true bins; a
        # multiplication by its rounded inverse would not.
        places /= self._width
        counts = np.bincount(places.astype(np.intp), minlength=BINS + 1)
        counts[BINS - 1] += counts[BINS]  # the maximum itself
        self.counts += counts[:BINS]
        # Rounding must not carry the mean of equal values past them.
        mean = min(max(float(np.add.reduce(values)) / count, self._bounds[0]), self._bounds[1])
        np.subtract(values, mean, out=places)
        # Squared and summed by numpy's own loops: a dot product would wake the threads of BLAS,
        # which the model's own compete with.
        np.multiply(places, places, out=places)
        squares = float(np.add.reduce(places))
        # Chan, Golub and LeVeque (1983): moments of two parts together.
        together = self._count + count
        apart = mean - self._mean
        self._squares += squares + apart * apart * self._count * count / together
        self._mean += apart * count / together
        self._count = together

    def _unscaled(self, value: float) -> float:
        try:
            return math.ldexp(value, self._exponent)
        except OverflowError:
            return math.inf

    @property
    def mean(self) -> float:
        """Arithmetic mean, NaN of nothing."""
        return self._unscaled(self._mean) if self._count else math.nan

    @property
    def deviation(self) -> float:
        """Population standard deviation, NaN of nothing."""
        if not self._count:
            return math.nan
        return self._unscaled(math.sqrt(self._squares / self._count))

    @property
    def norm(self) -> float:
        """Euclidean norm; infinite where float64 cannot hold it."""
        return self._unscaled(math.sqrt(self._squares + self._count * self._mean * self._mean))


def why_unreadable(tensor: torch.Tensor) -> str:
    """The reason why a tensor's values cannot be measured; empty where they can."""
    if tensor.is_meta:
        return "it has no data (meta device)"
    if type(tensor).__name__ == "FakeTensor":
        return "it has no data (a FakeTensor)"
    if type(tensor).__name__ == "DTensor":  # to read one may wait for all ranks
        return "it is spread over several ranks (a DTensor)"
    if tensor.is_nested:
        return "nested tensors are not measured"
    if tensor.is_quantized:
        return "quantized tensors are not measured"
    if tensor.layout != torch.strided:
        return f"tensors of layout {tensor.layout} are not measured"
    if tensor.dtype in _PACKED:
        return f"{str(tensor.dtype).removeprefix('torch.')} packs several numbers into one element"
    if tensor.dtype in _OPAQUE:
        return f"torch converts no {str(tensor.dtype).removeprefix('torch.')} to numbers"
    return ""


def _known(*names: str) -> frozenset[torch.dtype]:
    """Those of these dtypes that this torch has."""
    found = (getattr(torch, name, None) for name in names)
    return frozenset(dtype for dtype in found if isinstance(dtype, torch.dtype))


_PACKED = _known("float4_e2m1fn_x2", "bits1x8", "bits2x4", "bits4x2")
_OPAQUE = _known(
    "bits8", "bits16", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in range(1, 8))
)
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_WHOLE_NUMBERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_DIRECT = frozenset((*_FLOATS, *_WHOLE_NUMBERS))


def in_memory_order(tensor: torch.Tensor) -> torch.Tensor:
    """A view whose last dimension runs through the memory; flat where there are no holes.

    Order means nothing to statistics, and reading across the memory is up to 40 times slower.
    """
    if tensor.is_contiguous():
        return tensor.view(-1)
    strides = tensor.stride()
    ordered = tensor.permute(sorted(range(tensor.dim()), key=lambda d: -strides[d]))
    return ordered.view(-1) if ordered.is_contiguous() else ordered


def as_real(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in a dtype that reductions know: complex as magnitudes, float8 as float32."""
    if tensor.dtype in _DIRECT:
        return tensor.resolve_neg()
    if tensor.is_complex():
        return tensor.to(torch.complex128).abs()
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def as_floats(values: torch.Tensor) -> Floats:
    """All elements as a flat float64 array, perhaps in the tensor's own memory: only to be read.

    ``values`` as :func:`as_real` gives them.
    """
    if values.dtype in (torch.float16, torch.bfloat16):  # which numpy converts slowly, or not
        values = values.to(torch.float32)
    with np.errstate(invalid="ignore"):  # of signalling NaN
        return values.cpu().numpy().astype(np.float64, copy=False).reshape(-1)


class Extremes(NamedTuple):
    """Exact facts of one tensor; minimum and maximum over finite elements, NaN where none is."""

    minimum: float
    maximum: float
    nan: int
    positive_infinity: int
    negative_infinity: int


@lru_cache(maxsize=2)
def values_of_codes(dtype: torch.dtype) -> Floats:
    """What each of the 65,536 codes of a 16-bit float stands for."""
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    return torch.from_numpy(codes).view(dtype).double().numpy()


def bounds(flat: torch.Tensor) -> tuple[float, float]:
    """Minimum and maximum of one-dimensional values, not empty, as :func:`as_real` gives them.

    One of the two is non-finite exactly when some element is.  Extremes of 16-bit floats on the CPU
    are found among their codes, whose order as integers is that of the values (of the negative ones
    reversed).  For float32 numpy is faster than ``aminmax`` where nothing else runs, and slower in
    the middle of a forward, which has driven its code out of the caches.
    """
    dtype = flat.dtype
    short = dtype is torch.bfloat16 or dtype is torch.float16
    if short and flat.is_cpu and flat.is_contiguous():
        signed = flat.detach().view(torch.int16).numpy()
        values = values_of_codes(dtype)
        top, bottom = int(_greatest(signed)), int(_greatest(signed.view(np.uint16)))
        if top < 0:  # all negative: the smallest code is that of the largest value
            top = int(_least(signed.view(np.uint16)))
        elif bottom < 1 << 15:  # none negative
            bottom = int(_least(signed))
        return float(values[bottom]), float(values[top])
    low, high = flat.aminmax()
    return low.item(), high.item()


_least: Callable[[Any], Any] = np.minimum.reduce
_greatest: Callable[[Any], Any] = np.maximum.reduce


def extremes(values: torch.Tensor) -> Extremes:
    """Of a tensor as :func:`as_real` gives it, not empty."""
    low, high = bounds(values) if values.dim() == 1 else (float(b) for b in values.aminmax())
    if math.isfinite(low) and math.isfinite(high):
        return Extremes(low, high, 0, 0, 0)
    finite = values[values.isfinite()]
    nan = int(values.isnan().sum())
    positive = int((values == math.inf).sum())
    negative = values.numel() - finite.numel() - nan - positive
    low, high = (float(b) for b in finite.aminmax()) if finite.numel() else (math.nan, math.nan)
    return Extremes(low, high, nan, positive, negative)
