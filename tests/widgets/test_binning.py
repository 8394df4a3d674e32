import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.binning import (
    MOST_ROWS,
    ValueAxis,
    linear_edges,
    octave_edges,
    rebin,
    rebin_all,
    shared_axis,
)

BINS = 64


def power_edges(first, exponent, bins=BINS):
    """Bins 2**exponent wide that begin at a multiple of it, as the backend lays them."""
    low = math.ldexp(first, exponent)
    return linear_edges(np.array([low]), np.array([low + bins * math.ldexp(1.0, exponent)]), bins)


counts_lists = st.lists(st.integers(0, 2**40), min_size=BINS, max_size=BINS)


@given(counts_lists, st.integers(-200, 200), st.integers(-300, 300), st.integers(0, 6))
def test_bins_that_nest_keep_their_counts_exactly(counts, first, exponent, coarser):
    edges = power_edges(first, exponent)[0]
    counts = np.array([counts])
    width = 2**coarser
    low = (first // width) * width
    target = np.ldexp(np.arange(low, first + BINS + width, width).astype(float), exponent)
    table = rebin(edges, counts, target)
    places = (np.arange(first, first + BINS) - low) // width
    expected = np.bincount(places, weights=counts[0], minlength=len(target) - 1)
    np.testing.assert_array_equal(table[0, 1:-1], expected)
    assert table[0, 0] == table[0, -1] == 0


@given(
    st.lists(st.integers(0, 10**6), min_size=8, max_size=8),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=20, unique=True),
)
def test_no_element_is_lost_or_made(counts, low, span, target):
    edges = np.linspace(low, low + span, 9)
    table = rebin(edges, np.array([counts]), np.sort(np.array(target)))
    assert table.min() >= -1e-6
    assert table.sum() == pytest.approx(sum(counts), rel=1e-12)


def test_what_lies_outside_is_counted_below_and_above():
    table = rebin(np.arange(5.0), np.array([[1, 2, 4, 8]]), np.array([1.0, 3.0]))
    assert table.tolist() == [[1, 6, 8]]


def test_a_divided_bin_is_shared_out():
    table = rebin(np.array([0.0, 4.0]), np.array([[8]]), np.arange(5.0))
    assert table.tolist() == [[0, 2, 2, 2, 2, 0]]


@pytest.mark.parametrize("exponent", [-1074, -1060, 1017])
def test_the_ends_of_float64_lose_nothing(exponent):
    edges = power_edges(-32, exponent)
    counts = np.arange(BINS)[None]
    for octaves in (False, True):
        axis = shared_axis(edges, counts, octaves)
        assert np.isfinite(axis.edges).all()
        assert rebin(edges[0], counts, axis.edges).sum() == counts.sum()


def test_histograms_without_a_finite_value_count_for_nothing():
    edges = np.concatenate([power_edges(0, 0, 4), np.full((1, 5), np.nan), power_edges(0, 1, 4)])
    counts = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    axis = shared_axis(edges, counts, False)
    table = rebin_all(edges, counts, axis.edges)
    assert table.sum(axis=1).tolist() == [4, 0, 1]
    assert shared_axis(edges[1:2], counts[1:2], False) is None
    assert rebin_all(edges[:0], counts[:0], axis.edges).shape == (0, len(axis) + 2)


@given(
    st.lists(
        st.tuples(st.integers(-100, 60), st.integers(-20, 20), counts_lists.filter(any)),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_an_axis_holds_what_it_is_made_for(columns, octaves):
    edges = np.concatenate([power_edges(first, exponent) for first, exponent, _ in columns])
    counts = np.array([counts for _, _, counts in columns])
    axis = shared_axis(edges, counts, octaves)
    assert (np.diff(axis.edges) > 0).all()
    assert 1 <= len(axis) <= MOST_ROWS
    table = rebin_all(edges, counts, axis.edges)
    np.testing.assert_allclose(table.sum(axis=1), counts.sum(axis=1), rtol=1e-12)
    if octaves:
        assert table[:, 0].max() == table[:, -1].max() == 0
    places = axis.places(axis.edges)
    np.testing.assert_allclose(places, np.arange(len(axis.edges)))
    ticks = axis.ticks(8)
    assert ticks == sorted(ticks)
    assert all(axis.edges[0] <= tick <= axis.edges[-1] for tick in ticks) or len(ticks) == 1


def test_one_exploding_step_does_not_flatten_the_others():
    edges = np.concatenate([*[power_edges(-32, -4)] * 9, power_edges(-32, 30)])
    counts = np.ones((10, BINS), np.int64)
    axis = shared_axis(edges, counts, False)
    assert (axis.edges[0], axis.edges[-1]) == (-2, 2)
    table = rebin_all(edges, counts, axis.edges)
    assert table[-1, 0] + table[-1, -1] > 63
    wide = shared_axis(edges, counts, True)
    assert wide.edges[-1] == 2.0**35


def test_octaves_of_the_backend_are_rows():
    edges = octave_edges(np.array([3, 5]), BINS)
    assert edges.shape == (2, 65)
    assert edges[0, [0, 31, 32, 33, 64]].tolist() == [-8, -(2.0**-28), 0, 2.0**-28, 8]
    counts = np.arange(2 * BINS).reshape(2, BINS)
    axis = shared_axis(edges, counts, True)
    table = rebin_all(edges, counts, axis.edges)
    assert table[1, 1:-1].tolist() == counts[1].tolist()
    assert table[0, 3:33].tolist() == [*counts[0, :29].tolist(), counts[0, 29:32].sum()]


def test_positive_values_get_no_negative_octaves():
    edges = octave_edges(np.array([3]), BINS)
    counts = np.where(np.arange(BINS) >= 32, 1, 0)[None]
    axis = shared_axis(edges, counts, True)
    assert axis.edges[0] == 0
    assert shared_axis(-edges[:, ::-1], counts[:, ::-1], True).edges[-1] == 0


def test_places_of_octaves_are_even():
    axis = ValueAxis(np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0]), True)
    values = np.array([-4.0, -1.0, 0.0, 0.5, 1.0, math.sqrt(2), 2.0, 9.0])
    expected = [0, 2, 3, 3.5, 4, 4.5, 5, 6]
    np.testing.assert_allclose(axis.places(values), expected)


def test_ticks_of_octaves_are_powers_of_ten():
    axis = shared_axis(octave_edges(np.array([0]), BINS), np.ones((1, BINS), np.int64), True)
    assert axis.ticks(7) == [-1.0, -1e-4, 0.0, 1e-4, 1.0]


def test_octaves_of_less_than_a_decade_have_ticks_at_their_ends():
    counts = np.ones((1, BINS), np.int64)
    edges = np.linspace(-4.0, 4.0, BINS + 1)[None]
    assert shared_axis(edges, counts, True).ticks(7) == [-4.0, 0.0, 4.0]
    assert ValueAxis(np.array([0.0, 0.5]), True).ticks(7) == [0.0]


@pytest.mark.parametrize("octaves", [False, True])
@pytest.mark.parametrize("recorded_in_octaves", [False, True])
@pytest.mark.parametrize("signs", [(32,), (31, 32)])
def test_nothing_but_zeros_is_a_spike_and_not_the_whole_axis(octaves, recorded_in_octaves, signs):
    tops = np.zeros(3, np.int32)
    halves = np.full(3, 0.5)
    edges = octave_edges(tops, 64) if recorded_in_octaves else linear_edges(-halves, halves, 64)
    counts = np.zeros((3, 64), np.int64)
    counts[:, signs] = 100
    axis = shared_axis(edges, counts, octaves)
    assert axis is not None
    shown = rebin(edges[0], counts[:1], axis.edges)[0]
    filled = np.flatnonzero(shown)
    assert len(filled) == len(signs)
    assert len(axis) >= 6 * len(filled)
    assert axis.edges[0] == -axis.edges[-1]
