import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.binned_history import BinnedHistory
from widgets.binning import linear_edges, rebin_all
from widgets.step_history import StepHistory, column_ends, last_said


def columns(steps, low=0.0, high=4.0, bins=4):
    count = len(steps)
    return (
        np.array(steps),
        linear_edges(np.full(count, low), np.full(count, high), bins),
        np.arange(count * bins).reshape(count, bins) + 1,
        np.zeros(count, np.int64),
        np.array(steps) % 2,
    )


def test_the_oldest_fall_out_beyond_the_bound():
    history = StepHistory(4)
    history.set(*columns([1, 2, 3]))
    history.append(*columns([4, 6]))
    assert history.steps.tolist() == [2, 3, 4, 6]
    assert (history.dropped, history.until, len(history)) == (1, 5, 4)
    assert history.said() == "the newest 4 steps are kept"
    assert history.infinite.tolist() == [0, 1, 0, 0]
    history.append(*columns(range(10, 20)))
    assert history.steps.tolist() == [16, 17, 18, 19]
    assert history.dropped == 11


def test_a_run_that_went_back_overwrites():
    history = StepHistory()
    history.set(*columns([1, 2, 3, 4]))
    epoch = history.epoch
    history.append(*columns([3], high=8.0))
    assert history.steps.tolist() == [1, 2, 3]
    assert history.edges[-1, -1] == 8
    assert history.epoch > epoch
    history.append(*columns([]))
    assert len(history) == 3
    history.clear()
    assert len(history) == 0


@given(st.lists(st.integers(0, 20)))
def test_steps_said_at_once_are_as_said_one_by_one(steps):
    one_by_one = []
    for step in steps:
        one_by_one = [before for before in one_by_one if before < step] + [step]
    steps = np.array(steps, np.int64)
    assert steps[last_said(steps)].tolist() == one_by_one
    history = StepHistory()
    history.append(*columns(steps))
    assert history.steps.tolist() == one_by_one
    assert history.infinite.tolist() == [step % 2 for step in one_by_one]


def test_what_does_not_fit_is_refused():
    history = StepHistory()
    history.set(*columns([1]))
    with pytest.raises(ValueError, match="bins"):
        history.append(*columns([3], bins=5))
    steps, edges, counts, nan, infinite = columns([3])
    with pytest.raises(ValueError, match="do not fit"):
        history.append(steps, edges[:, 1:], counts, nan, infinite)
    with pytest.raises(ValueError, match="one column"):
        StepHistory(0)
    assert history.steps.tolist() == [1]


def test_regular_thinning_is_no_gap_and_missing_steps_are():
    assert column_ends(np.array([0, 1, 2, 3])).tolist() == [1, 2, 3, 4]
    assert column_ends(np.array([0, 4, 8, 12])).tolist() == [4, 8, 12, 16]
    assert column_ends(np.array([0, 1, 2, 3, 50, 51, 52])).tolist() == [1, 2, 3, 4, 51, 52, 53]
    assert column_ends(np.array([7])).tolist() == [8]
    assert column_ends(np.array([], np.int64)).tolist() == []
    thinned = column_ends(np.array([0, 1, 2, 3, 4, 8, 12, 16, 20]))
    assert thinned[5:].tolist() == [12, 16, 20, 24]


@given(st.sets(st.integers(0, 300), min_size=1))
def test_columns_never_overlap(steps):
    steps = np.sort(np.array(list(steps)))
    ends = column_ends(steps)
    assert (ends > steps).all()
    assert (ends[:-1] <= steps[1:]).all()


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from([4.0, 8.0, 16.0])),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_following_equals_doing_all_anew(batches, octaves):
    history, followed = StepHistory(6), BinnedHistory()
    step = 0
    for count, apart, high in batches:
        steps = step + apart * np.arange(1, count + 1)
        step = int(steps[-1])
        history.append(*columns(steps, high=high))
        followed.follow(history, octaves, True)
        anew = BinnedHistory()
        anew.follow(history, octaves, True)
        np.testing.assert_array_equal(followed.table, anew.table)
        np.testing.assert_array_equal(followed.levels, anew.levels)
        expected = rebin_all(history.edges, history.counts, followed.axis.edges)
        np.testing.assert_array_equal(followed.table, expected)


def test_levels_are_shares_of_the_highest_of_each_column():
    history, binned = StepHistory(), BinnedHistory()
    steps, edges, _, nan, infinite = columns([1, 2])
    counts = np.array([[0, 1, 1000, 500], [0, 0, 0, 0]])
    history.set(steps, edges, counts, nan, infinite)
    binned.follow(history, False, False)
    assert binned.levels[:, 1:-1].tolist() == [[1, 254, 127], [0, 0, 0]]
    binned.follow(history, False, True)
    assert binned.levels[0, 1] > 20
    history.clear()
    binned.follow(history, False, True)
    assert binned.axis is None
    assert len(binned.table) == 0
