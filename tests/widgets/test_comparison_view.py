import numpy as np
import pytest

from tests.widgets.conftest import count_colour, image_of
from widgets.comparison_view import Compared, ComparisonView
from widgets.theme import DARK, LIGHT

LINES = [Compared("1", "2", "1.0", "2.0"), Compared("3", "4")]


@pytest.fixture
def view(qtbot):
    view = ComparisonView(["Mean", "Norm"])
    qtbot.addWidget(view)
    view.resize(420, 320)
    view.show()
    return view


def counts(*values):
    return np.asarray(values, np.int64)


def test_values_stand_side_by_side(view):
    view.show_comparison(0.0, 1.0, counts(1, 2), counts(2, 1), LINES)
    assert view.shown == {"Mean": ("1", "2"), "Norm": ("3", "4")}
    assert view._cells[0][1].toolTip() == "2.0"
    with pytest.raises(ValueError, match="zip"):
        view.show_comparison(0.0, 1.0, counts(1), counts(1), LINES[:1])


def test_both_are_drawn_in_the_theme(view, manager):
    view.show_comparison(0.0, 1.0, counts(5, 0, 0, 0), counts(0, 0, 2, 3), LINES)
    first = image_of(view)
    assert count_colour(first, LIGHT.accent.name()) > 50
    view.show_comparison(0.0, 1.0, counts(0, 5, 0, 0), counts(0, 0, 2, 3), LINES)
    assert image_of(view) != first, "the outline tells as well"
    manager.choose("dark")
    assert count_colour(image_of(view), DARK.accent.name()) > 50
    assert count_colour(image_of(view), LIGHT.base.name()) < 100, "nothing stays white"


def test_the_higher_of_both_fits(view):
    view.show_comparison(0.0, 1.0, counts(1, 900), counts(10, 1), LINES)
    assert view._plot._view.viewRange()[1][1] > 900
    view.log_button.setChecked(True)
    assert view._plot._view.viewRange()[1][1] < 4


def test_the_bin_under_the_pointer_is_read(view):
    view.show_comparison(0.0, 2.0, counts(5, 1234), counts(7, 0), LINES)
    view._plot.bin_entered.emit(1)
    assert view._line.text() == "1 … 2:  1,234 before, 0 after"
    view._plot.bin_entered.emit(-1)
    assert view._line.text() == ""


@pytest.mark.parametrize("edges", [(0.0, 0.0), (-3e38, 3e38), (1e-40, 2e-40)])
def test_odd_ranges_are_drawn(view, edges):
    view.show_comparison(*edges, counts(1, 0), counts(0, 0), LINES)
    assert not image_of(view).isNull()


def test_the_logarithm_chosen_before_the_first_one_holds(qtbot):
    view = ComparisonView(["Mean", "Norm"])
    qtbot.addWidget(view)
    view.log_button.setChecked(True)
    view.show_comparison(0.0, 1.0, counts(1_000_000, 1), counts(1, 1), LINES)
    assert view._plot._view.viewRange()[1][1] < 10
