"""What is lost when values of one data type are written into a tensor of another.

``Tensor.copy_`` converts in silence: a float64 too large for float32 becomes infinity, an int wraps
and a complex number loses its imaginary part.  Here that is found out before anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector_app.backend.histograms import as_real, extremes

_FLOATS = (  # with the bits of their mantissa, the one that is not stored left out
    (torch.float64, 52),
    (torch.float32, 23),
    (torch.bfloat16, 7),
    (torch.float16, 10),
    (torch.float8_e4m3fn, 3),
    (torch.float8_e4m3fnuz, 3),
    (torch.float8_e5m2, 2),
    (torch.float8_e5m2fnuz, 2),
    (torch.float8_e8m0fnu, 0),
)
_MANTISSA = dict(_FLOATS)
_COMPLEX = {
    torch.complex32: torch.float16,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
_INTEGERS: dict[torch.dtype, Any] = {
    torch.uint8: np.uint8,
    torch.uint16: np.uint16,
    torch.uint32: np.uint32,
    torch.uint64: np.uint64,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
}
_CODES = {1: torch.uint8, 2: torch.int16}  # integers of the size of a small float
# Only powers of two, no sign and no zero: a scale, into which nothing else is converted.
_NO_DESTINATION = (torch.float8_e8m0fnu,)


class Conversion(Enum):
    """How values of one data type become those of another."""

    SAME = "no conversion"
    LOSSLESS = "every value keeps its meaning"
    LOSSY = "digits may be lost, or values that do not fit"
    NEVER = "another kind of number"


@cache
def word(dtype: torch.dtype) -> str:
    """Name of a data type as the tree shows it."""
    return str(dtype).removeprefix("torch.")


@cache
def conversion(source: torch.dtype, target: torch.dtype) -> Conversion:
    """How values of ``source`` become values of ``target``."""
    if source == target:
        return Conversion.SAME
    if target in _NO_DESTINATION:
        return Conversion.NEVER
    if source in _MANTISSA and target in _MANTISSA:
        keeps = _floats_keep(source, target)
    elif source in _COMPLEX and target in _COMPLEX:
        keeps = _floats_keep(_COMPLEX[source], _COMPLEX[target])
    elif source in _INTEGERS and target in _INTEGERS:
        inner, outer = np.iinfo(_INTEGERS[source]), np.iinfo(_INTEGERS[target])
        keeps = outer.min <= inner.min and inner.max <= outer.max
    else:
        return Conversion.NEVER
    return Conversion.LOSSLESS if keeps else Conversion.LOSSY


def _floats_keep(source: torch.dtype, target: torch.dtype) -> bool:
    """Whether every value of a float type has its like in another; tried out where they are few."""
    if source.itemsize > 2:
        return target.itemsize >= source.itemsize
    integers = _CODES[source.itemsize]
    first, last = torch.iinfo(integers).min, torch.iinfo(integers).max
    values = torch.arange(first, last + 1).to(integers).view(source)
    before, after = values.to(torch.float64), values.to(target).to(torch.float64)
    # NaN stays NaN; of all others zeros keep their sign as well.
    same = (before.view(torch.int64) == after.view(torch.int64)) | (before.isnan() & after.isnan())
    return bool(same.all())


@cache
def _float_limit(dtype: torch.dtype) -> float:
    """The smallest number that is rounded to none of a float type, half a step above its largest.

    IEEE 754 makes infinity of it; types without infinity take their largest number or NaN.
    """
    largest = torch.finfo(dtype).max
    power = math.frexp(largest)[1] - 1
    limit = largest + math.ldexp(1.0, power - _MANTISSA[dtype] - 1)
    if dtype.itemsize < 4:
        # torch goes by way of float32, which rounds what lies right below the limit up to it.
        limit -= math.ldexp(1.0, power - _MANTISSA[torch.float32] - 1)
    return limit


@cache
def _has_infinity(dtype: torch.dtype) -> bool:
    return bool(torch.tensor(math.inf).to(dtype).to(torch.float64).isinf())


def _integers_problem(chunks: Iterable[Tensor], target: torch.dtype, who: str) -> str:
    limits = np.iinfo(_INTEGERS[target])
    for chunk in chunks:
        if chunk.numel():
            values = chunk.cpu().contiguous().numpy()  # torch has no extremes of unsigned ones
            for value in (int(values.min()), int(values.max())):
                if not limits.min <= value <= limits.max:
                    return (
                        f"converting would wrap: {who} {value:,}, and {word(target)} "
                        f"ends at {limits.max if value > 0 else limits.min:,}"
                    )
    return ""


def problem_with_values(
    chunks: Iterable[Tensor], target: torch.dtype, who: str = "the file holds"
) -> str:
    """Why values cannot be converted to ``target`` though their dtypes can; "" where they can.

    ``chunks`` are all values, piece by piece, of one dtype whose conversion is LOSSY.  A finite
    value that would become infinite, or be cut down to the largest one, is a problem, and so is an
    integer that would wrap; a NaN is none, and neither is a lost digit.  ``who`` begins the
    sentence.
    """
    if target in _INTEGERS:
        return _integers_problem(chunks, target, who)
    part = _COMPLEX.get(target, target)
    limit = _float_limit(part)
    for chunk in chunks:
        if not chunk.numel():
            continue
        plain = torch.view_as_real(chunk.resolve_conj()) if chunk.is_complex() else chunk
        found = extremes(as_real(plain))
        if found.minimum <= -limit or found.maximum >= limit:  # NaN where there is no finite one
            farthest = max(found.minimum, found.maximum, key=abs)
            return (
                f"converting would overflow: {who} {farthest:.4g}, and {word(target)} "
                f"ends at {torch.finfo(part).max:.4g}"
            )
        if found.positive_infinity + found.negative_infinity and not _has_infinity(part):
            return f"{who} infinity, and {word(target)} has none"
    return ""


def is_exact(chunks: Iterable[Tensor], target: torch.dtype) -> bool:
    """Whether values whose conversion to ``target`` is LOSSY, and no problem, lose no digit."""
    if target in _INTEGERS:
        return True  # what does not wrap is the same
    part = _COMPLEX.get(target, target)
    for chunk in chunks:
        plain = torch.view_as_real(chunk.resolve_conj()) if chunk.is_complex() else chunk
        wide = plain.to(torch.float64)
        back = plain.to(part).to(torch.float64)
        # What is too small becomes a zero of its sign; NaN stays NaN.
        if not bool(((wide == back) | (wide.isnan() & back.isnan())).all()):
            return False
    return True
