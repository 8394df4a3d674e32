import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import QRect

from widgets.histogram_cells import Record, step_path

SHARES = arrays(np.float32, st.integers(1, 70), elements=st.floats(0, 1, width=32))


PLOT = QRect(10, 20, 130, 40)


def points(path):
    return [(path.elementAt(at).x, path.elementAt(at).y) for at in range(path.elementCount())]


@given(shares=SHARES, width=st.integers(2, 300), height=st.integers(2, 60))
def test_the_outline_steps_from_floor_to_floor(shares, width, height):
    plot = QRect(10, 20, width, height)
    path = points(step_path([(shares, plot)]))
    bins = len(shares)
    assert len(path) == 2 * bins + 2
    assert path[0] == (plot.left(), plot.bottom())
    assert path[-1] == (plot.right(), plot.bottom())
    assert all(one[0] == two[0] or one[1] == two[1] for one, two in itertools.pairwise(path))
    for number, share in enumerate(shares):
        (left, top), (right, also_top) = path[2 * number + 1 : 2 * number + 3]
        tall = int(np.rint(share * np.float32(height - 1)))
        assert plot.bottom() - top == plot.bottom() - also_top == (max(tall, 1) if share else 0)
        assert plot.left() <= left <= right <= plot.right()


def test_histograms_do_not_disturb_each_other():
    one = (np.linspace(0, 1, 8, dtype=np.float32), PLOT)
    two = (np.ones(5, np.float32), PLOT.translated(0, 100))
    path = step_path([one, two])
    assert points(path) == points(step_path([one])) + points(step_path([two]))
    moves = [at for at in range(path.elementCount()) if path.elementAt(at).isMoveTo()]
    assert moves == [0, 18]


def record(counts, low=0.0, high=4.0, mean=1.0):
    return Record(low, high, np.asarray(counts), mean, 1.0, 0, 0, 1)


def test_a_single_element_beside_a_spike_is_seen():
    heights = record([10**9, 0, 1, 0]).heights(False)
    path = points(step_path([(heights, PLOT)]))
    assert path[1][1] == PLOT.top()
    assert path[3][1] == PLOT.bottom()
    assert path[5][1] == PLOT.bottom() - 1


def test_logarithmic_heights_keep_order_and_range():
    heights = record([0, 1, 10, 1000]).heights(True)
    assert heights[0] == 0
    assert heights[-1] == 1
    assert (np.diff(heights) > 0).all()
    assert heights[2] > record([0, 1, 10, 1000]).heights(False)[2]


def test_no_counts_at_all_are_flat():
    assert not record([0, 0, 0]).heights(False).any()
    assert not record([0, 0, 0]).heights(True).any()


def test_bins_cover_the_range():
    edges = [record([1, 2, 3, 4]).bin_edges(number) for number in range(4)]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == 4.0
    assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))


def test_mean_place_of_a_single_value_is_nowhere():
    assert np.isnan(record([1], low=2.0, high=2.0).mean_place)
    assert record([1, 1], low=0.0, high=4.0, mean=1.0).mean_place == 0.25
