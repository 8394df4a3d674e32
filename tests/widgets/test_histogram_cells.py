import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtGui import QColor

from widgets.histogram_cells import FILL, GROUND, MEAN, OUTLINE, Record, classify, picture

SHARES = arrays(np.float32, st.integers(1, 70), elements=st.floats(0, 1, width=32))


def reference(shares, width, height):
    """Pixel by pixel: where the outline runs, what lies below it."""
    tall = []
    for column in range(width):
        share = shares[column * len(shares) // width]
        pixels = int(np.rint(share * np.float32(height - 1)))
        tall.append(max(pixels, 1) if share > 0 else 0)
    out = np.full((height, width), GROUND, np.uint8)
    for column in range(width):
        before = height - (tall[column - 1] if column else 0)
        here = height - tall[column]
        for row in range(height):
            if row > max(before, here):
                out[row, column] = FILL
            elif row >= min(before, here):
                out[row, column] = OUTLINE
    return out


@given(shares=SHARES, width=st.integers(1, 90), height=st.integers(2, 40))
def test_pixels_are_those_of_a_filled_step_outline(shares, width, height):
    found = classify([shares], [np.nan], width, height)
    np.testing.assert_array_equal(found[0], reference(shares, width, height))


def test_histograms_do_not_disturb_each_other():
    one, two = np.linspace(0, 1, 8, dtype=np.float32), np.ones(5, np.float32)
    both = classify([one, two], [0.5, np.nan], 40, 20)
    np.testing.assert_array_equal(both[0], classify([one], [0.5], 40, 20)[0])
    np.testing.assert_array_equal(both[1], classify([two], [np.nan], 40, 20)[0])


def test_the_mean_is_a_dashed_line_inside_the_plot_only():
    flat = np.zeros(4, np.float32)
    inside, outside, none = classify([flat] * 3, [1.0, 1.5, np.nan], 10, 20)
    assert (inside[:, -1] == MEAN).sum() == 12
    assert (inside[:, :-1] != MEAN).all()
    assert (outside != MEAN).all()
    assert (none != MEAN).all()


def record(counts, low=0.0, high=4.0, mean=1.0):
    return Record(low, high, np.asarray(counts), mean, 1.0, 0, 0, 1)


def test_a_single_element_beside_a_spike_is_seen():
    heights = record([10**9, 0, 1, 0]).heights(False)
    pixels = classify([heights], [np.nan], 4, 30)[0]
    assert pixels[-1, 2] == OUTLINE
    assert pixels[0, 0] != FILL


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


def test_the_picture_has_the_colours_of_the_classes():
    classes = np.array([[[GROUND, OUTLINE], [FILL, MEAN]]], np.uint8)
    colours = tuple(QColor(name) for name in ("#111111", "#222222", "#333333", "#444444"))
    image, _pixels = picture(classes, colours)
    found = [image.pixelColor(x, y).name() for y in range(2) for x in range(2)]
    assert found == ["#111111", "#222222", "#333333", "#444444"]
