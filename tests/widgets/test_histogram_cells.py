import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QImage, QPainter, QPixmap

from widgets.binning import ValueAxis, octave_edges
from widgets.histogram_cells import (
    FILL,
    MEAN,
    OUTLINE,
    Record,
    bar_heights,
    bar_pixels,
    bar_rects,
    draw_parts,
    mean_places,
)

SHARES = arrays(np.float32, st.integers(1, 70), elements=st.floats(0, 1, width=32))


SIZE = QSize(130, 40)
LEFT, FLOOR = np.array([10]), np.array([59])


@given(shares=SHARES, width=st.integers(2, 300), height=st.integers(2, 60))
def test_bars_stand_on_the_floor_and_the_outline_goes_around_them(shares, width, height):
    fill, outline = bar_rects(shares[None], LEFT, FLOOR, QSize(width, height))
    lids, walls = outline[: len(shares)], outline[len(shares) :]
    assert len(fill) == np.count_nonzero(shares)
    assert (fill[:, 1] + fill[:, 3] == FLOOR).all()
    assert (fill[:, 3] >= 1).all()
    assert lids[0, 0] == LEFT
    assert lids[-1, 0] + lids[-1, 2] == LEFT + width - 1
    for share, (left, top, across, tall) in zip(shares, lids, strict=True):
        expected = int(np.rint(share * np.float32(height - 1)))
        assert FLOOR - top == (max(expected, 1) if share else 0)
        assert tall == 1
        assert across >= 0
        assert left >= LEFT
    # Each wall joins two lids, or a lid and the floor.
    levels = {*lids[:, 1].tolist(), *FLOOR.tolist()}
    for _, top, across, tall in walls:
        assert across == 1
        assert {top, top + tall - 1} <= levels


def test_histograms_do_not_disturb_each_other():
    shares = np.stack([np.linspace(0, 1, 8), np.ones(8)]).astype(np.float32)
    lefts, floors = np.array([10, 300]), np.array([59, 159])
    both = bar_rects(shares, lefts, floors, SIZE)
    alone = [
        bar_rects(shares[i : i + 1], lefts[i : i + 1], floors[i : i + 1], SIZE) for i in (0, 1)
    ]
    for together, one, two in zip(both, *alone, strict=True):
        assert sorted(together.tolist()) == sorted([*one.tolist(), *two.tolist()])


@given(shares=SHARES, width=st.integers(2, 300), height=st.integers(2, 60))
def test_pixels_are_those_of_the_rectangles(shares, width, height):
    fill, outline = bar_rects(shares[None], LEFT, FLOOR, QSize(width, height))
    expected = np.zeros((height, width), np.uint8)
    for rects, code in ((fill, FILL), (outline, OUTLINE)):
        for left, top, across, tall in rects.astype(int) - [LEFT[0], FLOOR[0] - height + 1, 0, 0]:
            expected[top : top + tall, left : left + across] = code
    (pixels,) = bar_pixels(shares[None], np.array([np.nan]), QSize(width, height))
    assert (pixels == expected).all()


def test_pixels_show_means_where_they_are_known():
    shares = np.linspace(0, 1, 32, dtype=np.float32).reshape(4, 8)
    pixels = bar_pixels(shares, np.array([0.5, np.nan, 1.0, 1.1]), SIZE)
    columns = [set(np.nonzero(one == MEAN)[1].tolist()) for one in pixels]
    assert columns == [{round(0.5 * 129)}, set(), {129}, set()]
    assert 20 < np.count_nonzero(pixels[0] == MEAN) < 40


def record(counts, low=0.0, high=4.0, mean=1.0, **more):
    return Record(low, high, np.asarray(counts), mean, 1.0, 0, 0, 1, **more)


def mean_place(one):
    values = (np.array([value]) for value in (one.low, one.high, one.mean, one.octaves))
    return mean_places(*values, len(one.counts))[0]


def heights(counts, logarithmic):
    return bar_heights(np.asarray(counts)[None], logarithmic)[0]


def test_a_single_element_beside_a_spike_is_seen():
    tall = heights([10**9, 0, 1, 0], False)
    _, outline = bar_rects(tall[None], LEFT, FLOOR, SIZE)
    assert (FLOOR - outline[:3, 1]).tolist() == [SIZE.height() - 1, 0, 1]


def test_logarithmic_heights_keep_order_and_range():
    tall = heights([0, 1, 10, 1000], True)
    assert tall[0] == 0
    assert tall[-1] == 1
    assert (np.diff(tall) > 0).all()
    assert tall[2] > heights([0, 1, 10, 1000], False)[2]


def test_no_counts_at_all_are_flat():
    assert not heights([0, 0, 0], False).any()
    assert not heights([0, 0, 0], True).any()


def test_bins_cover_the_range():
    edges = [record([1, 2, 3, 4]).bin_edges(number) for number in range(4)]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == 4.0
    assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))


def test_mean_place_of_a_single_value_is_nowhere():
    assert np.isnan(mean_place(record([1], low=2.0, high=2.0)))
    assert mean_place(record([1, 1], low=0.0, high=4.0, mean=1.0)) == 0.25


def in_octaves(**more):
    told = {"low": -8.0, "high": 8.0, "mean": 0.0, "octaves": True} | more
    return record(np.arange(64), **told)


def test_octave_bins_end_at_powers_of_two_and_meet_at_zero():
    octaves = in_octaves()
    assert octaves.bin_edges(63) == (4.0, 8.0)
    assert octaves.bin_edges(60) == (0.5, 1.0)
    assert octaves.bin_edges(0) == (-8.0, -4.0)
    assert octaves.bin_edges(31)[1] == octaves.bin_edges(32)[0] == 0.0
    assert in_octaves(octaves=False).bin_edges(63) == (7.75, 8.0)


def test_a_mean_stands_in_its_octave():
    assert mean_place(in_octaves()) == 0.5
    places = [mean_place(in_octaves(mean=mean)) * 64 for mean in (8.0, 5.0, 3.0, -0.75)]
    assert places[0] == 64
    assert [int(place) for place in places[1:]] == [63, 62, 3]
    assert np.isnan(mean_place(in_octaves(mean=np.nan)))
    assert mean_place(in_octaves(octaves=False, mean=4.0)) == 0.75


@given(mean=st.floats(-1e9, 1e9), top=st.integers(-1000, 1024))
def test_means_stand_where_an_axis_of_octaves_has_them(mean, top):
    edges = octave_edges(np.array([top], np.int32), 64).ravel()
    mean = mean * 2.0 ** min(top, 900) / 1e9
    expected = ValueAxis(edges, True).places(np.array([mean]))[0]
    high = float(edges[-1])
    found = mean_place(in_octaves(low=-high, high=high, mean=mean)) * 64
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
@pytest.mark.parametrize("wide", [21, 22])
def test_parts_of_a_picture_are_drawn_as_one_by_one(ratio, wide):
    pixels = np.random.default_rng(wide).integers(0, 255, (4 * 15, wide * 4), np.uint8)
    source = QImage(pixels.data, wide, 4 * 15, wide * 4, QImage.Format.Format_RGB32).copy()
    left, top = np.array([3, 40, 3, 71]), np.array([2, 2, 30, 31])
    pictures = []
    for at_once in (False, True):
        picture = QImage(QSize(110, 60) * ratio, QImage.Format.Format_RGB32)
        picture.setDevicePixelRatio(ratio)
        picture.fill(0)
        painter = QPainter(picture)
        if at_once:
            draw_parts(painter, QPixmap.fromImage(source), left, top, 15)
        else:
            for number in range(4):
                place = QRect(int(left[number]), int(top[number]), wide, 15)
                painter.drawImage(place, source, QRect(0, 15 * number, wide, 15))
        painter.end()
        pictures.append(picture)
    assert pictures[0] == pictures[1]
