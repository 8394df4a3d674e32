"""Bins that are comparable for ever, against counting one value at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector_app.backend.probing.bins import (
    OCTAVES,
    Workspace,
    coarser,
    divide,
    grid,
    left_edge,
    left_edges,
    linear_counts,
    linear_grid,
    octave_counts,
    octave_edges,
    octave_top,
)
from inspector_app.protocol.messages import BINS

SIZE = 24


def finite(dtype: type) -> st.SearchStrategy[np.ndarray]:
    """(n, SIZE) finite values of many magnitudes, none of which vanishes beside another.

    A negative value that does may count as zero, or as a little less: both are right.
    """
    width = np.dtype(dtype).itemsize * 8
    most = 60 if width == 32 else 500
    sizes = st.floats(2.0**-most, 2.0**most, width=width)
    return hnp.arrays(
        dtype,
        st.tuples(st.integers(1, 4), st.just(SIZE)),
        elements=st.one_of(st.just(0.0), sizes, sizes.map(lambda size: -size)),
    )


def extremes(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return samples.min(1).astype(np.float64), samples.max(1).astype(np.float64)


def place(value: float, width: float, dtype: type) -> int:
    """Number of the bin of a value; what vanishes beside the width counts as zero."""
    return math.floor(dtype(value / width))


def linear(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    work = Workspace(len(samples), samples.shape[1])
    first, exponent = linear_grid(*extremes(samples))
    counts = linear_counts(divide(samples, exponent, work), first, work)
    return counts, first, exponent


@given(st.one_of(finite(np.float32), finite(np.float64)))
def test_linear_bins_hold_what_lies_between_their_edges(samples):
    counts, starts, exponent = linear(samples)
    assert (counts.sum(1) == SIZE).all()
    for row, values in enumerate(samples.tolist()):
        width = math.ldexp(1.0, int(exponent[row]))
        first = int(starts[row])
        expected = [0] * BINS
        for value in values:
            expected[place(value, width, samples.dtype.type) - first] += 1
        assert counts[row].tolist() == expected


@given(finite(np.float32))
def test_at_least_half_of_the_bins_reach_over_the_values(samples):
    first, exponent = linear_grid(*extremes(samples))
    low = left_edges(first, exponent)
    for row, values in enumerate(samples):
        spread = float(values.max()) - float(values.min())
        width = math.ldexp(1.0, int(exponent[row]))
        if spread and exponent[row] > -1074:
            assert 31 < spread / width <= BINS - 1
        assert low[row] <= values.min()
        assert values.max() <= low[row] + BINS * width


@given(finite(np.float32), st.integers(0, 5))
def test_a_coarser_histogram_is_what_would_have_been_counted(samples, more):
    counts, first, exponent = linear(samples)
    low = left_edges(first, exponent)
    for row, values in enumerate(samples.tolist()):
        target = int(exponent[row]) + more
        if target > 960:
            continue
        merged, start = coarser(counts[row], float(low[row]), int(exponent[row]), target)
        width = math.ldexp(1.0, target)
        expected = [0] * BINS
        for value in values:
            fine = math.ldexp(1.0, int(exponent[row]))
            bin_of_value = place(value, fine, np.float32) // 2**more
            expected[bin_of_value - math.floor(start / width)] += 1
        assert merged.tolist() == expected


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-38, -1e38, 1e-45])
def test_a_single_value_stands_in_the_middle(value):
    counts, first, exponent = linear(np.full((1, SIZE), value, np.float32))
    low = left_edges(first, exponent)
    (filled,) = np.flatnonzero(counts[0])
    assert BINS // 4 <= filled <= 3 * BINS // 4
    width = math.ldexp(1.0, int(exponent[0]))
    assert low[0] + filled * width <= np.float32(value) < low[0] + (filled + 1) * width


@given(st.one_of(finite(np.float32), finite(np.float64)))
def test_octaves_hold_what_lies_between_two_powers_of_two(samples):
    top = octave_top(*extremes(samples))
    counts = octave_counts(samples, top, Workspace(len(samples), SIZE))
    for row, values in enumerate(samples.tolist()):
        expected = [0] * BINS
        for value in values:
            below = int(top[row]) - math.frexp(value)[1]
            size = OCTAVES - below if value and below < OCTAVES else 0
            negative = math.copysign(1, value) < 0
            expected[BINS // 2 - 1 - size if negative else BINS // 2 + size] += 1
        assert counts[row].tolist() == expected


def test_edges_of_octaves():
    edges = octave_edges(3)
    assert len(edges) == BINS + 1
    assert edges[[0, BINS // 2, BINS]].tolist() == [-8.0, 0.0, 8.0]
    assert (np.diff(edges) > 0).all()
    samples = np.array([[-8.0 + 1e-6, 7.9, 4.0, 3.9, -0.1]], np.float32)
    counts = octave_counts(samples, np.array([3], np.int32), Workspace(1, 5))[0]
    for value in samples[0]:
        place = np.searchsorted(edges, value, side="right") - 1
        assert counts[place] > 0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_one_range_is_told_like_many(bounds):
    low, high = sorted(bounds)
    first, exponent = linear_grid(np.array([low]), np.array([high]))
    assert grid(low, high) == (first[0], exponent[0])
    assert left_edge(*grid(low, high)) == left_edges(first, exponent)[0]
