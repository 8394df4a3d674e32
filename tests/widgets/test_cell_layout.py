from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QRegion

from widgets.cell_layout import cell_layout


@pytest.fixture(params=[0, 37, 120, 415])
def layout(request):
    return replace(cell_layout(100, 700), down=request.param)


def test_as_many_columns_as_fit_fill_the_width():
    for width in range(150, 2000, 37):
        layout = cell_layout(100, width)
        last = layout.rect(layout.columns - 1)
        assert width - 8 - layout.columns < last.right() + 1 <= max(width - 8, 200)
        assert layout.rect(layout.columns).left() == layout.rect(0).left()
        assert layout.height == layout.rect(99).bottom() + 1 + 8


def test_a_point_is_in_the_cell_that_is_there(layout):
    for place in range(100):
        rect = layout.rect(place)
        for point in (rect.topLeft(), rect.center(), rect.bottomRight()):
            assert layout.at(point) == place
        assert layout.at(rect.bottomRight() + QPoint(1, 0)) == -1
        assert layout.at(rect.topLeft() - QPoint(0, 1)) == -1


def test_what_a_viewport_shows_is_in_sight(layout):
    view = QRect(0, 0, 700, 300)
    seen = {place for place in range(100) if layout.rect(place).intersects(view)}
    in_sight = set(layout.in_sight(view))
    assert seen <= in_sight
    assert len(in_sight - seen) <= 2 * layout.columns  # a row whose gap is at an end


def test_plots_are_where_the_look_has_them(layout):
    places = np.array([0, 5, 99])
    left, top = layout.plot_corners(places)
    for place, *corner in zip(places.tolist(), left.tolist(), top.tolist(), strict=True):
        plot = layout.look.plot(layout.rect(place))
        assert [plot.left(), plot.top()] == corner
        assert layout.band(place).intersected(layout.rect(place)).contains(plot)


def test_to_show_a_cell_it_is_scrolled_no_further_than_needed(layout):
    for place in range(100):
        moved = replace(layout, down=layout.to_show(place, 300))
        rect = moved.rect(place)
        assert rect.top() >= 8
        assert rect.bottom() < 300 - 8 + 1
        if layout.rect(place).top() >= 8 and layout.rect(place).bottom() < 292:
            assert moved.down == layout.down


def test_a_region_reaches_cells_and_what_is_beside_their_plots(layout):
    row = range(0, layout.columns)
    band = layout.band(0)
    assert layout.reached(row, QRegion(layout.rect(1))) == range(1, 2)
    both = QRegion(layout.rect(0).adjusted(20, 0, -20, 0)).united(layout.rect(2))
    assert layout.reached(row, both) == range(0, 3)
    assert not layout.reached(row, QRegion(layout.rect(layout.columns)))
    assert not layout.beside(band, QRegion(layout.plots(0, 2)))
    assert not layout.beside(band, QRegion(layout.rect(layout.columns)))
    rect = layout.rect(1)
    for point in (QPoint(rect.left(), band.top() - 1), QPoint(rect.right(), band.bottom() + 1)):
        assert layout.beside(band, QRegion(QRect(point, point)))
