import numpy as np
import pytest
from PySide6.QtCore import QPoint

from tests.widgets.conftest import count_colour, image_of
from widgets.elided_label import ElidedLabel
from widgets.histogram_view import HistogramView
from widgets.theme import DARK, LIGHT


@pytest.fixture
def view(qtbot):
    view = HistogramView()
    qtbot.addWidget(view)
    view.resize(420, 280)
    view.show()
    return view


def test_empty_until_there_is_something_to_show(view):
    assert not view.showing
    assert view.empty.isVisible()
    view.set_histogram("fc1.weight", -1.0, 1.0, np.array([1, 5, 2]))
    assert view.showing
    assert not view.empty.isVisible()
    view.clear()
    assert not view.showing


def test_the_outline_is_drawn_in_the_theme(view, manager):
    view.set_histogram("fc1.weight", -1.0, 1.0, np.array([1, 5, 2]))
    assert count_colour(image_of(view), LIGHT.accent.name()) > 100
    assert count_colour(image_of(view), LIGHT.base.name()) > 10_000
    manager.choose("dark")
    assert count_colour(image_of(view), DARK.accent.name()) > 100
    assert count_colour(image_of(view), LIGHT.base.name()) < 100, "nothing stays white"


@pytest.mark.parametrize(
    ("low", "high", "counts"),
    [
        (0.0, 0.0, [7]),
        (5e30, 5e30, [7]),
        (-3e38, 3e38, [1, 0, 2]),
        (1e-40, 2e-40, [1, 2]),
        (0.0, 1.0, []),
        (0.0, 1.0, [0, 0]),
        (0.0, 1.0, [2**62, 1]),
    ],
)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_odd_histograms_are_drawn(view, low, high, counts, logarithmic):
    view.log_button.setChecked(logarithmic)
    view.set_histogram("odd", low, high, np.array(counts, np.int64))
    assert not image_of(view).isNull()


def test_the_logarithm_is_a_different_picture(view):
    view.set_histogram("spike", 0.0, 1.0, np.array([1_000_000, 3, 3, 40]))
    before = image_of(view)
    view.log_button.click()
    assert image_of(view) != before


def test_the_pointer_reads_bin_and_count(view, qtbot):
    view.set_histogram("one bin", 2.0, 4.0, np.array([1234]), underline="all elements")
    image_of(view)
    words = [label.text() for label in view.findChildren(ElidedLabel)]
    assert "all elements" in words
    view._plot._hover(view._plot._view.getViewBox().sceneBoundingRect().center())
    assert view._line.text() == "2 … 4:  1,234 elements"
    view._plot._hover(QPoint(-500, 0).toPointF())
    assert view._line.text() == "all elements"


def test_a_long_title_loses_its_middle(view):
    title = "encoder." * 30 + "weight"
    view.set_histogram(title, 0.0, 1.0, np.array([1]))
    image_of(view)
    shown = view._title.shown_text()
    assert shown.startswith("encoder")
    assert shown.endswith("weight")
    assert "…" in shown
    assert view._title.toolTip() == title
