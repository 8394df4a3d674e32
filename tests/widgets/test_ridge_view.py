import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from tests.widgets import plots
from tests.widgets.conftest import count_colour, image_of
from widgets.binning import linear_edges
from widgets.ridge_view import MOST, RidgeView, evenly
from widgets.step_history import StepHistory
from widgets.theme import DARK, LIGHT


@pytest.fixture
def view(qtbot):
    view = RidgeView()
    qtbot.addWidget(view)
    view.resize(520, 400)
    view.show()
    return view


def peaks(count=4, nan=()):
    """One peak a step, each in another of four bins."""
    history = StepHistory()
    for step in range(count):
        counts = np.array([[int(step % 4 == row) * 10 for row in range(4)]])
        edges = linear_edges(np.zeros(1), np.full(1, 4.0), 4)
        bad = np.array([int(step in nan)])
        history.append(np.array([step]), edges, counts, bad, bad * 0)
    return history


def show(view, history):
    view.set_history("encoder.0", history)
    return image_of(view)


def reddish(image):
    """Pixels of text in the tone of danger, whose edges are blended."""
    colours = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return sum(colour.red() > colour.blue() + 80 for colour in colours)


def test_at_most_forty_evenly_chosen(view):
    show(view, plots.history(300))
    chosen = view.stops()
    assert len(chosen) == MOST
    assert (chosen[0], chosen[-1]) == (0, 259)
    assert set(np.diff(chosen).tolist()) <= {6, 7}
    assert evenly(3, 40).tolist() == [0, 1, 2]
    assert evenly(7, 1).tolist() == [6]
    assert evenly(0, 40).tolist() == []


def test_the_newest_is_in_front_and_peaks_are_where_the_data_is(view):
    image = show(view, peaks())
    plot = view.plot_rect()
    floors = [ridge.floor for ridge in view._ridges]
    assert floors == sorted(floors)
    assert floors[-1] == plot.bottom()
    for ridge in view._ridges:
        across = plot.left() + int((ridge.column + 0.5) * plot.width() / 4)
        inside = QPoint(across, ridge.floor - int(ridge.heights.max()) + 6)
        assert image.pixelColor(inside) != LIGHT.base, ridge.column
    assert view._ridges[0].floor - view._ridges[0].heights.max() >= plot.top() - 1


def test_every_theme_and_size(view, manager):
    light = show(view, peaks(12))
    manager.choose("dark")
    dark = image_of(view)
    assert count_colour(dark, LIGHT.base.name()) == 0
    assert count_colour(dark, DARK.accent.name()) > 50
    manager.choose("high contrast")
    assert image_of(view) not in (light, dark)
    view.setMinimumSize(0, 0)
    for size in ((1, 1), (100, 60), (1600, 900)):
        view.resize(*size)
        assert not image_of(view).isNull()


def test_pointer_and_keys_read(view, qtbot):
    show(view, peaks())
    front = view._ridges[-1]
    plot = view.plot_rect()
    view.point_at(QPoint(plot.left() + int(3.5 * plot.width() / 4), front.floor - 3))
    assert view.reading == "step 3  ·  3 … 4:  10 elements"
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Up)
    assert view.reading == "step 2  ·  3 … 4:  0 elements"
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.reading == "step 2  ·  2 … 3:  10 elements"
    before = image_of(view)
    with qtbot.waitSignal(view.step_clicked) as told:
        qtbot.keyClick(view, Qt.Key.Key_Space)
    assert told.args == [2]
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.reading.startswith("step 3")
    assert image_of(view) != before
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.reading.startswith("step 0")
    view.point_at(None)
    assert view.reading == ""


def test_a_ridge_hides_those_behind_it(view):
    show(view, plots.history(300))
    *_, back, front = view._ridges
    plot = view.plot_rect()
    row = int(front.heights.argmax())
    assert back.floor > front.floor - front.heights[row]
    across = plot.left() + int((row + 0.5) * plot.width() / view.rows)
    view.point_at(QPoint(across, back.floor))
    assert view.reading.startswith("step 299"), "it covers the baseline of the one behind"


def test_nan_is_told_beside_the_step(view):
    assert reddish(show(view, peaks())) == 0
    assert reddish(show(view, peaks(nan={2}))) > 10


def test_no_finite_value_and_no_data(view, qtbot):
    assert count_colour(image_of(view), LIGHT.base.name()) > 0.9 * 520 * 400
    history = StepHistory()
    one = np.ones(1, np.int64)
    history.append(one, np.full((1, 5), np.nan), np.zeros((1, 4)), one, one)
    show(view, history)
    view.point_at(view.plot_rect().center())
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.reading == ""


def test_heights_are_shares_of_each_step(view):
    history = StepHistory()
    edges = linear_edges(np.zeros(2), np.full(2, 2.0), 2)
    counts = np.array([[10, 10], [1000, 1000]])
    history.set(np.arange(2), edges, counts, np.zeros(2), np.zeros(2))
    show(view, history)
    few, many = (ridge.heights for ridge in view._ridges)
    np.testing.assert_allclose(few, many)
    view.set_logarithmic(True)
    view.set_octaves(True)
    assert not image_of(view).isNull()


def test_the_ridge_of_a_marked_step_stands_out(view):
    image = show(view, peaks(12))
    assert not count_colour(image, LIGHT.warning.name())
    view.mark(5)
    assert view._held().column == 5
    assert count_colour(image_of(view), LIGHT.warning.name()) > 20
    show(view, plots.history(300))
    view.mark(100)
    assert view._held().column == max(one for one in view.stops() if one <= 100)
