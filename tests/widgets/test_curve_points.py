import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.curve_points import CurvePoints, reduced
from widgets.step_history import column_ends


def curve(steps, values=None, bound=200_000):
    points = CurvePoints(bound)
    steps = np.array(steps, np.int64)
    points.append(steps, np.arange(len(steps), dtype=float) if values is None else values)
    return points


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), max_size=8))
def test_gaps_are_found_as_if_all_had_come_at_once(batches):
    points, steps, last = CurvePoints(), [], 0
    for apart in batches:
        more = last + np.cumsum(np.array(apart, np.int64))
        points.append(more, more * 0.5)
        steps += more.tolist()
        last = steps[-1] if steps else 0
    assert points.steps.tolist() == steps
    assert points.values.tolist() == [step * 0.5 for step in steps]
    if steps:
        ends = column_ends(np.array(steps))
        expected = [*(ends[:-1] >= np.array(steps[1:])).tolist(), False]
        assert points.joined.tolist() == expected


def test_a_run_that_went_back_overwrites():
    points = curve(range(10))
    points.append(np.array([6, 7]), np.array([-1.0, -2.0]))
    assert points.steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert points.values[-2:].tolist() == [-1, -2]
    points.append(np.array([], np.int64), np.array([]))
    assert len(points) == 8
    points.append(np.array([9, 10, 2, 3]), np.arange(4.0))
    assert points.steps.tolist() == [0, 1, 2, 3]
    assert points.values.tolist() == [0, 1, 2, 3]


def test_the_oldest_are_dropped_at_the_bound():
    points = CurvePoints(100)
    for step in range(1000):
        points.append(np.array([step]), np.array([step / 2]))
        assert len(points) <= 100
        assert points.steps[-1] == step
        assert (np.diff(points.steps) == 1).all()
        assert points.joined[:-1].all()
    assert len(points) >= 70
    points.append(np.arange(2000, 2500), np.zeros(500))
    assert points.steps.tolist() == list(range(2400, 2500))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="each step, not 2"):
        curve([1]).append(np.array([3]), np.zeros(2))


@given(
    st.lists(
        st.floats(-1e300, 1e300) | st.just(np.nan) | st.just(np.inf), min_size=1, max_size=400
    ),
    st.integers(2, 40),
)
def test_reducing_keeps_the_lowest_and_highest_of_every_pixel(values, width):
    values = np.array(values)
    last = max(1, len(values) - 1)
    made = reduced(curve(range(len(values)), values), 0, last, width)
    pixels = np.rint(np.arange(len(values)) / last * (width - 1)).astype(int)
    finite = np.isfinite(values)
    across = np.rint(made.outline.across).astype(int)
    for pixel in range(width):
        there = values[(pixels == pixel) & finite]
        drawn = made.outline.values[across == pixel]
        assert len(there) == 0 or (drawn.min(), drawn.max()) == (there.min(), there.max())
    assert set(made.broken.tolist()) == set(pixels[~finite].tolist())
    assert len(made.outline.values) <= 4 * width
    assert np.isfinite(made.outline.values).all()
    assert (np.diff(made.outline.across) >= 0).all()
    if made.middle is not None:
        assert made.outline.values.min() <= made.middle.values.min()
        assert made.middle.values.max() <= made.outline.values.max()


def test_lines_break_at_gaps_and_at_nan():
    values = np.array([1.0, 2, np.nan, 4, 5, 6, 7, 8])
    made = reduced(curve([0, 1, 2, 3, 4, 5, 50, 51], values), 0, 51, 200)
    assert made.outline.values.tolist() == [1, 2, 4, 5, 6, 7, 8]
    assert made.outline.joined.tolist() == [True, False, True, True, False, True, False]
    assert made.middle is None
    steps = np.delete(np.arange(4000), slice(1000, 2000))
    dense = reduced(curve(steps), 0, 3999, 40)
    assert (~dense.middle.joined[:-1]).sum() == 1


def test_only_what_is_in_sight_is_taken():
    made = reduced(curve(range(100)), 20, 29, 500)
    assert made.outline.values.tolist() == list(range(20, 30))
