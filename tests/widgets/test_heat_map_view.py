import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QColor

from tests.widgets import plots
from tests.widgets.conftest import count_colour, image_of
from widgets.binning import linear_edges
from widgets.heat_map_view import HeatMapView, columns_of_pixels, merged, step_range
from widgets.ramps import ramp
from widgets.step_history import StepHistory, column_ends
from widgets.theme import DARK, LIGHT

NONE = np.zeros(1, np.int64)


def column(step, counts, low=0.0, high=4.0, nan=0, infinite=0):
    counts = np.array([counts])
    edges = linear_edges(np.array([low]), np.array([high]), counts.shape[1])
    return np.array([step]), edges, counts, np.array([nan]), np.array([infinite])


@pytest.fixture
def view(qtbot):
    view = HeatMapView()
    qtbot.addWidget(view)
    view.resize(600, 340)
    view.show()
    return view


def show(view, history, title="encoder.0"):
    view.set_history(title, history)
    return image_of(view)


def colours(image, rect):
    return {
        image.pixel(x, y)
        for x in range(rect.left(), rect.right() + 1)
        for y in range(rect.top(), rect.bottom() + 1)
    }


def four_steps():
    """One filled bin a step, climbing."""
    history = StepHistory()
    for step in range(4):
        history.append(*column(step, [int(step == row) * 10 for row in range(4)]))
    return history


def place_of(view, step, share):
    """A point inside a column, at a share of the plot's height from below."""
    plot = view.plot_rect()
    first, last = view._range
    across = plot.left() + int((step + 0.5 - first) / (last - first) * plot.width())
    return QPoint(across, plot.bottom() - int(share * (plot.height() - 1)))


def test_pixels_are_where_the_data_is(view):
    image = show(view, four_steps())
    most, nothing = ramp(LIGHT)[254], LIGHT.base.rgb()
    for step in range(4):
        for row in range(4):
            found = image.pixel(place_of(view, step, (row + 0.5) / 4))
            assert found == (most if row == step else nothing), (step, row)
    beyond = view.plot_rect().right() - 4
    assert image.pixel(beyond, view.plot_rect().center().y()) == nothing


def test_nothing_is_painted_without_data_but_a_sentence(view):
    image = image_of(view)
    assert count_colour(image, LIGHT.base.name()) > 0.95 * view.width() * view.height()
    before = image
    view.clear("Nothing was recorded for this module.")
    assert image_of(view) != before


def test_every_theme_has_its_colours(view, manager):
    history = plots.history(40, gap=(10, 14))
    light = show(view, history)
    assert QColor(light.pixel(2, 2)) in (LIGHT.base, LIGHT.accent)
    manager.choose("dark")
    dark = image_of(view)
    assert count_colour(dark, LIGHT.base.name()) == 0
    assert set(ramp(DARK)[1:255].tolist()) & colours(dark, view.plot_rect())
    manager.choose("high contrast")
    assert image_of(view) not in (light, dark)


@pytest.mark.parametrize("size", [(1, 1), (60, 40), (192, 128), (1600, 900)])
@pytest.mark.parametrize("octaves", [False, True])
def test_any_size_is_painted(view, size, octaves):
    view.setMinimumSize(0, 0)
    view.resize(*size)
    view.set_octaves(octaves)
    show(view, plots.history(60, gap=(20, 30), octaves=octaves))
    view.point_at(view.plot_rect().center())
    assert not image_of(view).isNull()


def test_a_gap_is_hatched_and_read_as_such(view):
    history = StepHistory()
    for step in (*range(10), *range(20, 30)):
        history.append(*column(step, [1, 2, 3, 4]))
    image = show(view, history)
    gap = QPoint(place_of(view, 15, 0.5))
    around = view.plot_rect().adjusted(0, 4, 0, -4)
    around.setLeft(gap.x() - 4)
    around.setRight(gap.x() + 4)
    assert colours(image, around) == {LIGHT.window.rgb(), LIGHT.muted.rgb()}
    view.point_at(gap)
    assert view.reading == "steps 10 to 19 were not measured"
    view.point_at(place_of(view, 20, 0.5))
    assert view.reading.startswith("step 20")


def test_nan_infinities_and_what_lies_outside_have_bands(view):
    history = StepHistory()
    for step in range(20):
        history.append(*column(step, [1, 5, 5, 1]))
    assert count_colour(show(view, history), LIGHT.danger.name()) == 0
    history.append(*column(20, [1, 5, 5, 1], nan=3))
    view.refresh()
    one = count_colour(image_of(view), LIGHT.danger.name())
    assert one > 20
    history.append(*column(21, [4, 5, 5, 4], low=-4e6, high=4e6, infinite=1))
    view.refresh()
    assert count_colour(image_of(view), LIGHT.danger.name()) > one
    assert view.lines()[0] == -1
    assert view.lines()[-3:] == [view.rows, view.rows + 1, view.rows + 2]
    said = []
    for line in (-1, view.rows, view.rows + 1, view.rows + 2):
        view.put_cursor(21 if line <= view.rows + 1 else 20, line)
        said.append(view.reading)
    assert said[0].startswith("step 21  ·  below 0:  ")
    assert said[1].startswith("step 21  ·  above 4:  ")
    assert said[2:] == ["step 21:  1 infinite", "step 20:  3 NaN"]


def test_only_what_is_not_finite(view):
    history = StepHistory()
    history.append(np.array([3]), np.full((1, 5), np.nan), np.zeros((1, 4)), np.array([9]), NONE)
    image = show(view, history)
    assert count_colour(image, LIGHT.danger.name()) > 20
    view.setFocus()
    view.move_cursor(0, 0)
    assert view.reading == "step 3:  9 NaN"


def test_the_pointer_reads_step_bin_and_count(view, qtbot):
    show(view, four_steps())
    qtbot.mouseMove(view, place_of(view, 2, 0.6))
    qtbot.waitUntil(lambda: view.reading == "step 2  ·  2 … 3:  10 elements")
    assert view.accessibleDescription() == view.reading
    view.point_at(QPoint(1, 1))
    assert view.reading == ""


def test_bins_wider_than_rows_are_read_whole(view):
    history = StepHistory()
    history.append(*column(0, [1, 2, 3, 4], high=1.0))
    history.append(*column(1, [10, 20, 30, 40], high=4.0))
    show(view, history)
    view.put_cursor(1, 5)  # of 0.25 each
    assert view.reading == "step 1  ·  1 … 2:  20 elements"
    view.put_cursor(0, 3)
    assert view.reading == "step 0  ·  0.75 … 1:  4 elements"
    view.put_cursor(0, 9)
    assert view.reading == "step 0  ·  2.25 … 2.5:  0 elements"


def test_a_click_tells_the_step(view, qtbot):
    show(view, four_steps())
    with qtbot.waitSignal(view.step_clicked) as told:
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=place_of(view, 3, 0.1))
    assert told.args == [3]
    with qtbot.assertNotEmitted(view.step_clicked):
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))


def test_keys_move_read_and_click(view, qtbot):
    show(view, four_steps())
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.reading == "step 3  ·  3 … 4:  10 elements", "first the newest, where most is"
    qtbot.keyClick(view, Qt.Key.Key_Left)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert view.reading == "step 2  ·  2 … 3:  10 elements"
    qtbot.keyClick(view, Qt.Key.Key_Home)
    with qtbot.waitSignal(view.step_clicked) as told:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert told.args == [0]
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.reading.startswith("step 3")
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert view.reading == ""


def test_the_cursor_stays_at_its_step(view):
    history = StepHistory(4)
    for step in range(4):
        history.append(*column(step, [1, 1, 1, step]))
    show(view, history)
    view.put_cursor(3, 3)
    history.append(*column(4, [1, 1, 1, 9]))
    view.refresh()
    image_of(view)
    assert view.reading == "step 3  ·  3 … 4:  3 elements"
    for step in range(5, 9):
        history.append(*column(step, [1, 1, 1, 9]))
    view.refresh()
    image_of(view)
    assert view.reading.startswith("step 5"), "the oldest one that is kept"
    assert view.note() == "the newest 4 steps are kept"


def test_between_two_frames_the_latest_wins_and_a_hidden_view_does_nothing(view, qtbot):
    history = four_steps()
    show(view, history)
    prepared = []
    original = view.prepare
    view.prepare = lambda: (prepared.append(len(history)), original())
    for step in range(4, 8):
        history.append(*column(step, [1, 1, 1, 1]))
        view.refresh()
    timers = [timer for timer in view.findChildren(QTimer) if timer.isActive()]
    assert len(timers) == 1
    assert prepared == []
    qtbot.waitUntil(lambda: prepared == [8])
    view.hide()
    history.append(*column(8, [1, 1, 1, 1]))
    view.refresh()
    assert not any(timer.isActive() for timer in view.findChildren(QTimer))
    view.show()
    qtbot.waitUntil(lambda: prepared[-1] == 9)


def test_logarithmic_colours_show_what_is_rare(view):
    history = StepHistory()
    history.append(*column(0, [1, 0, 0, 100_000]))
    log = show(view, history).pixel(place_of(view, 0, 0.1))
    assert view.logarithmic
    view.set_logarithmic(False)
    linear = image_of(view).pixel(place_of(view, 0, 0.1))
    table = ramp(LIGHT).tolist()
    assert table.index(linear) == 1
    assert table.index(log) > 10


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 90))
def test_no_column_is_lost_among_the_pixels(steps, width):
    steps = np.sort(np.array(list(steps)))
    ends = column_ends(steps)
    first, last = step_range(steps, ends, True)
    levels = np.eye(len(steps), dtype=np.uint8)  # each column shows itself alone
    picture = columns_of_pixels(levels, steps, ends, np.linspace(first, last, width + 1))
    assert picture.shape == (width, len(steps))
    if width <= 60 or len(steps) == 1:
        assert (picture.max(axis=0) == 1).all()
    begins = np.argmax(picture, axis=0)
    assert (np.diff(begins[picture.max(axis=0) == 1]) >= 0).all()


@given(st.integers(1, 40), st.integers(1, 40))
def test_no_row_is_lost_among_the_pixels(height, more):
    lines = merged(np.eye(height + more, dtype=np.uint8), height)
    assert lines.shape == (height, height + more)
    assert (lines.sum(axis=0) == 1).all()


def test_a_low_plot_still_shows_a_single_filled_row(view):
    history = StepHistory()
    history.append(*column(0, [1] + [0] * 62 + [10**9], high=64.0))
    view.set_logarithmic(False)
    view.resize(300, 90)
    image = show(view, history)
    assert view.plot_rect().height() < 60
    assert image.pixel(place_of(view, 0, 0)) == ramp(LIGHT)[1]
    assert image.pixel(place_of(view, 0, 1)) == ramp(LIGHT)[254]


def test_there_is_room_to_grow_in_place():
    ranges = []
    for count in range(1, 200):
        steps = np.arange(count)
        ranges.append(step_range(steps, column_ends(steps), False))
    assert all(first == 0 for first, _ in ranges)
    assert len({last for _, last in ranges}) < 15, "seldom another scale"
    assert all(last >= count + 1 for count, (_, last) in enumerate(ranges))
    assert step_range(np.arange(10), np.arange(1.0, 11), True) == (0, 10)


def test_the_table_holds_what_was_recorded(view):
    history = StepHistory()
    history.append(*column(4, [1, 0, 0, 3], nan=2))
    history.append(*column(5, [0, 5, 0, 0], high=8.0, infinite=1))
    view.set_history("encoder.0", history)
    table = view.columns()
    assert table["step"].tolist() == [4, 4, 4, 5, 5]
    assert table["elements"].tolist() == [1, 3, 2, 5, 1]
    np.testing.assert_array_equal(table["low"], [0, 3, np.nan, 2, np.inf])
    np.testing.assert_array_equal(table["high"], [1, 4, np.nan, 4, np.inf])
    view.clear("Nothing.")
    assert len(view.columns()["step"]) == 0


@pytest.mark.parametrize("height", [120, 159, 160, 300])
def test_the_key_of_the_colours_leaves_the_numbers_of_the_axis_free(view, monkeypatch, height):
    view.set_history("encoder.0", four_steps())
    view.resize(700, height)
    with_key = image_of(view)
    monkeypatch.setattr(HeatMapView, "_paint_key", lambda self, painter, plot: None)
    without = image_of(view)
    other = [y for y in range(height) if with_key.copy(0, y, 700, 1) != without.copy(0, y, 700, 1)]
    assert all(y >= height - 16 for y in other)
    assert bool(other) == (not view.low)


def test_a_marked_step_has_a_line_through_its_column(view):
    image = show(view, four_steps())
    assert not count_colour(image, LIGHT.warning.name())
    view.mark(2)
    image = image_of(view)
    across = view._middle(2, view.plot_rect())
    assert abs(across - place_of(view, 2, 0.5).x()) <= 1
    plot = view.plot_rect()
    assert image.pixelColor(across, plot.top()) == LIGHT.warning
    assert image.pixelColor(across, plot.bottom()) == LIGHT.warning
    view.mark(None)
    assert not count_colour(image_of(view), LIGHT.warning.name())
