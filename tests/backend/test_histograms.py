"""Extremes, bins and moments against independent numpy computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector_app.backend.histograms import (
    Tally,
    as_floats,
    as_real,
    bounds,
    extremes,
    in_memory_order,
    why_unreadable,
)
from inspector_app.protocol.messages import BINS


def tally(values: np.ndarray) -> Tally:
    found = Tally(float(values.min()), float(values.max()))
    found.add(values)
    return found


# -- bins and moments ----------------------------------------------------------------------------


@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_bins_and_moments_equal_an_independent_computation(values):
    found = tally(values)
    low, high = float(values.min()), float(values.max())
    scale = max(abs(low), abs(high))
    assert found.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-12 * scale)
    assert found.deviation == pytest.approx(values.std(), rel=1e-6, abs=1e-9 * scale)
    if low < high:
        counts = [0] * BINS
        for value in values.tolist():
            counts[min(BINS - 1, int((value - low) / ((high - low) / BINS)))] += 1
        assert found.counts.tolist() == counts


@given(st.integers(-500, 500), st.integers(1, 500), st.randoms(use_true_random=False))
def test_whole_numbers_fall_where_they_belong(low, extent, random):
    values = [low, low + extent] + [random.randint(low, low + extent) for _ in range(200)]
    found = tally(np.array(values, np.float64))
    # In whole numbers: no rounding at all.
    exact = [min(BINS - 1, (value - low) * BINS // extent) for value in values]
    assert found.counts.tolist() == np.bincount(exact, minlength=BINS).tolist()


@pytest.mark.parametrize("value", [0.0, -0.0, 3.0, -2.5e-30, 5e-324, 1.7e308, -1.7e308])
def test_constant_values_fill_one_bin(value):
    found = tally(np.full(7, value))
    assert found.mean == value
    assert found.deviation == 0.0
    assert sorted(found.counts.tolist())[-2:] == [0, 7]


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-30, 1.0, 1e30, 1e300, 8.9e307])
def test_no_range_overflows_or_vanishes(scale):
    found = tally(np.array([-1.0, 0.0, 0.0, 1.0]) * scale)
    assert found.counts[[0, 32, 63]].tolist() == [1, 2, 1]
    assert found.deviation == pytest.approx(scale * math.sqrt(0.5), rel=1e-3)
    assert found.mean == 0.0


def test_nothing_has_no_moments():
    found = Tally(0.0, 1.0)
    found.add(np.empty(0))
    assert math.isnan(found.mean)
    assert math.isnan(found.deviation)
    assert (found.norm, found.counts.sum()) == (0.0, 0)


# -- extremes ------------------------------------------------------------------------------------


def check(tensor: torch.Tensor) -> None:
    """Extremes and numbers of what is not finite, against float64."""
    found = extremes(tensor)
    every = tensor.double().numpy()
    finite = every[np.isfinite(every)]
    assert found.nan == np.isnan(every).sum()
    assert found.positive_infinity == np.isposinf(every).sum()
    assert found.negative_infinity == np.isneginf(every).sum()
    if len(finite):
        assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    else:
        assert math.isnan(found.minimum)
        assert math.isnan(found.maximum)
    low, high = bounds(tensor)
    assert (math.isfinite(low) and math.isfinite(high)) == (len(finite) == len(every))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 30),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_extremes_are_exact_and_what_is_not_finite_is_counted(dtype, array):
    with np.errstate(all="ignore"):
        check(torch.from_numpy(array).to(getattr(torch, dtype)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("place", [0, 131_071, 131_072, 199_999])
@pytest.mark.parametrize("odd", [9.0, math.nan, math.inf])
def test_no_part_of_a_large_tensor_is_passed_over(dtype, sign, place, odd):
    values = torch.full((200_000,), sign)
    values[place] = odd * sign
    values[100_000] = sign / 2
    check(values.to(getattr(torch, dtype)))


def test_every_code_of_bfloat16():
    codes = torch.from_numpy(np.arange(1 << 16, dtype=np.uint16).view(np.int16))
    check(codes.view(torch.bfloat16))


# -- dtypes and layouts --------------------------------------------------------------------------

DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 "
    "float8_e4m3fn float8_e5m2 float16 bfloat16 float32 float64 complex64 complex128"
)


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_dtype_has_floats(dtype):
    values = as_real(torch.tensor([0.0, 1.0, 1.0]).to(getattr(torch, dtype)))
    assert as_floats(values).tolist() == [0.0, 1.0, 1.0]
    assert extremes(values)[:2] == (0.0, 1.0)


def test_complex_numbers_count_by_magnitude():
    values = torch.tensor([3 + 4j, 0j, complex(math.nan, 0), complex(math.inf, 1)])
    assert extremes(as_real(values)) == (0.0, 5.0, 1, 1, 0)
    assert extremes(as_real(values[:2].conj().imag)).minimum == -4.0  # a view with the neg bit


@pytest.mark.parametrize(
    "view",
    [
        lambda values: values.T,
        lambda values: values[:, ::3],
        lambda values: values.view(4, -1, 32).permute(2, 0, 1),
        lambda values: values[0].expand(9, -1),
    ],
)
def test_views_in_the_order_of_the_memory_hold_the_same(view):
    values = torch.arange(32.0 * 32).view(32, 32)
    shown = view(values)
    ordered = in_memory_order(shown)
    assert sorted(ordered.flatten().tolist()) == sorted(shown.flatten().tolist())
    assert ordered.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()


def test_unreadable_tensors_are_told_with_a_reason():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    for tensor, word in [
        (torch.empty(3, device="meta"), "meta"),
        (torch.eye(3).to_sparse(), "sparse"),
        (nested, "nested"),
    ]:
        assert word in why_unreadable(tensor)
    assert not why_unreadable(torch.ones(1))
