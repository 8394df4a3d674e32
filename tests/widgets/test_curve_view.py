import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer

from tests.widgets.conftest import count_colour, image_of
from widgets.curve_canvas import curve_pen
from widgets.curve_view import CurveSeries, CurveView
from widgets.theme import DARK, HIGH_CONTRAST, LIGHT, mix


@pytest.fixture
def view(qtbot):
    view = CurveView()
    qtbot.addWidget(view)
    view.resize(600, 360)
    view.set_series([CurveSeries(7, "loss"), CurveSeries(9, "gradient norm")])
    view.show()
    return view


def feed(view, key=7, values=(1.0, 2.0, 3.0), start=0):
    view.append(key, np.arange(start, start + len(values)), np.array(values, float))


def point(view, step, value):
    """Where a value is painted."""
    plot = view.canvas.plot_rect()
    first, last = view.canvas._steps
    across = plot.left() + round((step - first) / (last - first) * (plot.width() - 1))
    return QPoint(across, round(float(view.canvas._down(np.array([value]), plot)[0])))


def test_an_echo_has_the_colour_of_the_one_before_it_and_hollow_points(view):
    view.set_series(
        [CurveSeries(7, "loss"), CurveSeries(9, "loss  eval", True), CurveSeries(3, "b")]
    )
    assert [curve.number for curve in view.canvas.curves] == [0, 0, 1]
    feed(view, 9, [1, 5, 2])
    image = image_of(view.canvas)
    place = point(view, 1, 5)
    assert image.pixelColor(place) == LIGHT.base
    assert image.pixelColor(place.x() - 2, place.y()) == LIGHT.accent
    assert curve_pen(0, True).style() != curve_pen(0).style()


def test_what_is_read_says_of_what_it_is(view):
    feed(view)
    image_of(view.canvas)
    view.canvas.which = "training, call 1 of 2"
    view.canvas.point_at(point(view, 1, 2))
    assert view.canvas.accessibleDescription().startswith("step 1, training, call 1 of 2  ·  loss")


def test_curves_are_where_the_data_is(view):
    feed(view, 7, [1, 2, 4])
    feed(view, 9, [4, 2.5, 1])
    image = image_of(view.canvas)
    for values, tone in (([1, 2, 4], LIGHT.accent), ([4, 2.5, 1], LIGHT.tensor)):
        for step, value in enumerate(values):
            place = point(view, step, value)
            found = {
                image.pixelColor(place.x() + dx, place.y() + dy).name()
                for dx in (-1, 0, 1)
                for dy in (-1, 0, 1)
            }
            assert tone.name() in found, (step, value)
    assert point(view, 0, 4.0).y() < point(view, 0, 1.0).y()


def test_dense_curves_are_a_spread_and_a_mean(view):
    values = np.where(np.arange(100_000) % 2, 1.0, -1.0)
    values[50_000] = 9.0
    feed(view, 7, values)
    image = image_of(view.canvas)
    spread = mix(LIGHT.accent, LIGHT.base, 0.32)
    assert count_colour(image, spread.name()) > 10_000
    assert count_colour(image, LIGHT.accent.name()) > 400
    peak = point(view, 50_000, 8.5)
    near = {image.pixelColor(peak.x() + dx, peak.y()).name() for dx in (-1, 0, 1)}
    assert spread.name() in near, "a single point of 100,000 is seen"


def test_the_legend_switches_curves(view, qtbot):
    feed(view, 7, [1, 2, 3])
    feed(view, 9, [100, 200, 300])
    both = image_of(view.canvas)
    button = view.legend.buttons[9]
    assert button.text() == "gradient norm"
    with qtbot.waitSignal(view.shown_changed):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert view.shown == {7}
    assert image_of(view.canvas) != both
    assert count_colour(image_of(view.canvas), LIGHT.tensor.name()) == 0
    assert view.canvas._values[1] < 10, "the axis fits what is shown"
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert view.shown == {7, 9}
    view.set_shown(7, False)
    assert not view.legend.buttons[7].isChecked()
    view.set_shown(9, False)
    assert not image_of(view).isNull(), "the axes stay"
    with qtbot.assertNotEmitted(view.shown_changed):
        view.set_shown(4711, True)
        view.set_shown(9, False)


def test_points_and_switches_of_keys_that_stay_are_kept(view):
    feed(view, 7)
    view.set_shown(9, False)
    view.set_series([CurveSeries(9, "norm"), CurveSeries(7, "loss & more"), CurveSeries(1, "new")])
    assert len(view._curve(7).points) == 3
    assert view.shown == {7, 1}
    assert view.legend.buttons[9].text() == "norm"
    assert view.legend.buttons[7].text() == "loss && more"
    view.set_series([CurveSeries(1, "new")])
    assert set(view.legend.buttons) == {1}
    view.set_curve(4711, np.arange(2), np.zeros(2))
    view.set_curve(1, np.arange(2), np.zeros(2))
    view.set_curve(1, np.arange(3), np.ones(3))
    assert len(view._curve(1).points) == 3


def test_the_cursor_reads_all_curves(view, qtbot):
    feed(view, 7, [1, 2, 3])
    view.append(9, np.array([0, 2]), np.array([0.5, np.nan]))
    image_of(view)
    place = point(view, 2, 2.0)
    qtbot.mouseMove(view.canvas, place)
    wanted = "step 2  ·  loss 3  ·  gradient norm NaN"
    qtbot.waitUntil(lambda: view.canvas.reading == wanted)
    with qtbot.waitSignal(view.step_clicked) as told:
        qtbot.mouseClick(view.canvas, Qt.MouseButton.LeftButton, pos=point(view, 1, 2.0))
    assert told.args == [1]
    assert view.canvas.reading == "step 1  ·  loss 2"
    view.canvas.point_at(QPoint(1, 1))
    assert view.canvas.reading == ""


def test_keys_move_from_point_to_point(view, qtbot):
    view.append(7, np.array([0, 10, 20]), np.array([1.0, 2, 3]))
    view.append(9, np.array([5, 10]), np.array([1.0, 2]))
    image_of(view)
    view.setFocus()
    assert view.canvas.hasFocus()
    said = []
    for key in ("Left", "Left", "Left", "Left", "Left", "Right", "PageDown", "End", "Home"):
        qtbot.keyClick(view.canvas, getattr(Qt.Key, f"Key_{key}"))
        said.append(view.canvas._cursor)
    assert said == [20, 10, 5, 0, 0, 5, 5, 20, 0]
    with qtbot.waitSignal(view.step_clicked) as told:
        qtbot.keyClick(view.canvas, Qt.Key.Key_Return)
    assert told.args == [0]


def test_logarithm(view):
    feed(view, 7, [1e-6, 0.0, -3.0, 1e3])
    linear = image_of(view.canvas)
    view.set_logarithmic(True)
    assert view.logarithmic
    image = image_of(view.canvas)
    assert image != linear
    assert count_colour(image, LIGHT.warning.name()) == 18, "two without a logarithm"
    assert (
        abs(point(view, 0, 1e-3).y() - (point(view, 0, 1e-6).y() + point(view, 0, 1).y()) / 2) < 2
    )


def test_what_is_not_finite_is_marked_at_the_top(view):
    feed(view, 7, [1, 2, np.nan, np.inf, 3])
    image = image_of(view.canvas)
    assert count_colour(image, LIGHT.danger.name()) >= 2 * 3 * 8


@pytest.mark.parametrize(
    "values",
    [[0.0], [1.0, 1.0], [np.nan], [-1e308, 1e308], [5e-324, 1e308], [1e-320, 2e-320], [0.0, -1.0]],
)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_odd_values_are_drawn(view, values, logarithmic):
    feed(view, 7, values)
    view.set_logarithmic(logarithmic)
    view.canvas.point_at(view.canvas.plot_rect().center())
    assert not image_of(view).isNull()


@pytest.mark.parametrize("size", [(1, 1), (80, 60), (200, 200), (1600, 900)])
def test_any_size(view, size):
    feed(view, 7, np.sin(np.arange(3000)))
    view.canvas.setMinimumSize(0, 0)
    view.setMinimumSize(0, 0)
    view.resize(*size)
    assert not image_of(view).isNull()


def test_a_narrow_legend_takes_more_lines(view):
    view.set_series([CurveSeries(n, f"encoder.layers.{n}.attention.query.norm") for n in range(6)])
    image_of(view)
    wide = view.legend.height()
    view.resize(200, 400)
    image_of(view)
    assert view.legend.height() > wide
    assert all(b.geometry().right() <= 200 for b in view.legend.buttons.values())


@pytest.mark.parametrize(("name", "theme"), [("dark", DARK), ("high contrast", HIGH_CONTRAST)])
def test_the_other_themes(view, manager, name, theme):
    feed(view, 7, [1, 2, 4])
    light = image_of(view)
    manager.choose(name)
    image = image_of(view)
    assert image != light
    assert count_colour(image, theme.accent.name()) > 100
    assert count_colour(image, theme.base.name()) > 0.8 * 600 * 360


def test_twenty_curves_are_told_apart():
    looks = {(curve_pen(n).color().name(), curve_pen(n).style()) for n in range(20)}
    assert len(looks) == 20


def test_empty_and_hidden(view, qtbot):
    assert count_colour(image_of(view.canvas), LIGHT.base.name()) > 100_000
    view.set_sentence("Nothing was logged.")
    view.setFocus()
    qtbot.keyClick(view.canvas, Qt.Key.Key_Left)
    image_of(view)
    view.hide()
    qtbot.waitUntil(lambda: not any(t.isActive() for t in view.findChildren(QTimer)))
    feed(view)
    view.set_title("Training", "3 steps")
    assert not any(timer.isActive() for timer in view.findChildren(QTimer))
    assert view._curve(7).drawn is None
    view.show()
    qtbot.waitUntil(lambda: view._curve(7).drawn is not None)


def test_the_table_holds_the_curves_that_are_shown(view):
    feed(view, 7, [1, 2])
    feed(view, 9, [5, np.nan, 7], start=3)
    table = view.columns()
    assert table["step"].tolist() == [0, 1, 3, 4, 5]
    assert table["curve"].tolist() == ["loss"] * 2 + ["gradient norm"] * 3
    np.testing.assert_array_equal(table["value"], [1, 2, 5, np.nan, 7])
    view.set_shown(7, False)
    assert len(view.columns()["step"]) == 3
    view.set_shown(9, False)
    assert [len(column) for column in view.columns().values()] == [0, 0, 0]


def test_a_marked_step_has_a_line(view):
    feed(view, 7, [1, 2, 4])
    assert not count_colour(image_of(view.canvas), LIGHT.warning.name())
    view.canvas.mark(1)
    plot, place = view.canvas.plot_rect(), point(view, 1, 2)
    image = image_of(view.canvas)
    assert image.pixelColor(place.x(), plot.top() + 2) == LIGHT.warning
    view.canvas.mark(7)  # not among those drawn
    assert not count_colour(image_of(view.canvas), LIGHT.warning.name())
