import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip

from tests.widgets.conftest import count_colour, image_of
from widgets.depth_plot import KEPT, DepthLayer, DepthPlot
from widgets.theme import DARK, HIGH_CONTRAST, LIGHT, mix

NAMES = [f"encoder.layers.{number}.attention.query" for number in range(5)]


@pytest.fixture
def plot(qtbot):
    plot = DepthPlot()
    qtbot.addWidget(plot)
    plot.resize(600, 380)
    plot.set_layers([DepthLayer(10 + number, name) for number, name in enumerate(NAMES)])
    plot.show()
    return plot


def values(steps=1, layers=5):
    mean = np.tile(10.0 ** -np.arange(1, layers + 1), (steps, 1))
    return np.arange(steps), mean, mean * 10


def place_of(plot, number):
    rect = plot.plot_rect()
    return QPoint(rect.left() + (2 * number + 1) * rect.width() // 10, rect.center().y())


def test_marks_are_where_the_data_is(plot):
    plot.set_values(*values())
    image = image_of(plot)
    inner = plot.plot_rect().adjusted(0, 24, 0, -24)
    for number in range(5):
        across = place_of(plot, number).x()
        for tone, value in ((LIGHT.accent, 10.0**-number), (LIGHT.buffer, 10.0 ** -(number + 1))):
            down = plot._down(value, inner)
            found = {
                image.pixelColor(across + dx, down + dy).name()
                for dx in (-1, 0, 1)
                for dy in (-1, 0, 1)
            }
            assert tone.name() in found, (number, value)
    assert plot._down(1.0, inner) < plot._down(0.1, inner) < plot._down(0.01, inner)


def test_older_steps_are_faint_and_few(plot):
    steps, mean, largest = values(KEPT + 20)
    plot.set_values(steps, mean * np.linspace(0.1, 1, len(steps))[:, None], largest)
    assert len(plot._steps) == KEPT
    faint = mix(LIGHT.buffer, LIGHT.base, 0.12 + 0.3 / KEPT)
    assert count_colour(image_of(plot), faint.name()) > 20


def test_zeros_nan_and_what_was_not_measured(plot):
    steps, mean, largest = values()
    plain = image_of(plot)
    plot.set_values(steps, mean, largest)
    plain = image_of(plot)
    assert count_colour(plain, LIGHT.danger.name()) == 0
    mean[0, 1] = largest[0, 1] = 0
    mean[0, 2] = largest[0, 2] = np.nan
    broken = np.zeros(mean.shape, bool)
    broken[0, 3] = True
    plot.set_values(steps, mean, largest, broken)
    image = image_of(plot)
    assert count_colour(image, LIGHT.danger.name()) >= 49
    rect = plot.plot_rect()
    ring = [
        image.pixelColor(place_of(plot, 1).x() + dx, rect.bottom() - 8 + dy).name()
        for dx in range(-5, 6)
        for dy in range(-5, 6)
    ]
    assert LIGHT.warning.name() in ring
    said = []
    for number in (1, 2, 3):
        plot.point_at(place_of(plot, number))
        said.append(plot.reading)
    assert said[0].startswith(f"{NAMES[1]}:  mean 0, largest 0")
    assert "not measured" in said[1]
    assert "with NaN or infinities" in said[2]


def test_thresholds_are_drawn_where_they_are_near(plot):
    plot.set_values(*values())
    plot.set_thresholds(1e-30, 1e30)
    without = count_colour(image_of(plot), LIGHT.warning.name())
    plot.set_thresholds(1e-7, 100.0)
    assert count_colour(image_of(plot), LIGHT.warning.name()) > without + 300


def test_pointer_tooltip_and_click(plot, qtbot, monkeypatch):
    plot.set_values(*values())
    image_of(plot)
    qtbot.mouseMove(plot, place_of(plot, 2))
    wanted = f"{NAMES[2]}:  mean 0.001, largest 0.01  ·  step 0"
    qtbot.waitUntil(lambda: plot.reading == wanted)
    assert plot.accessibleDescription() == plot.reading
    with qtbot.waitSignal(plot.key_clicked) as told:
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place_of(plot, 4))
    assert told.args == [14]
    with qtbot.assertNotEmitted(plot.key_clicked):
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    said = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, *rest: said.append(text))
    place = place_of(plot, 1)
    QApplication.sendEvent(plot, QHelpEvent(QEvent.Type.ToolTip, place, plot.mapToGlobal(place)))
    assert said == [NAMES[1]]


def test_the_lines_can_be_called_otherwise(plot):
    plot.set_values(*values())
    before = image_of(plot)
    plot.set_words("root mean square", "largest")
    assert image_of(plot) != before
    plot.point_at(place_of(plot, 0))
    assert "root mean square 0.1, largest 1" in plot.reading
    assert "root mean square" in plot.columns()


def test_keys_move_and_click(plot, qtbot):
    plot.set_values(*values())
    image_of(plot)
    plot.setFocus()
    plot.set_current(12)
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert plot.reading.startswith(NAMES[3])
    qtbot.keyClick(plot, Qt.Key.Key_Home)
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert plot.reading.startswith(NAMES[0])
    qtbot.keyClick(plot, Qt.Key.Key_End)
    with qtbot.waitSignal(plot.key_clicked) as told:
        qtbot.keyClick(plot, Qt.Key.Key_Return)
    assert told.args == [14]


def test_the_layer_selected_elsewhere_is_marked(plot):
    plot.set_values(*values())
    assert count_colour(image_of(plot), LIGHT.selection.name()) == 0
    plot.set_current(11)
    assert count_colour(image_of(plot), LIGHT.selection.name()) > 2_000
    plot.set_current(4711)
    assert count_colour(image_of(plot), LIGHT.selection.name()) == 0
    plot.set_current(None)


def test_empty_until_there_is_a_step(plot, qtbot):
    assert count_colour(image_of(plot), LIGHT.base.name()) > 0.9 * 600 * 380
    plot.setFocus()
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    qtbot.keyClick(plot, Qt.Key.Key_Return)
    assert plot.reading == ""
    plot.set_sentence("No gradient is watched.")
    plot.set_values(*values())
    plot.set_layers([])
    assert not image_of(plot).isNull()


def test_shapes_that_do_not_fit_are_refused(plot):
    steps, mean, largest = values()
    with pytest.raises(ValueError, match="5 layers"):
        plot.set_values(steps, mean[:, :4], largest)
    with pytest.raises(ValueError, match="1 steps"):
        plot.set_values(steps, mean, largest, np.zeros((2, 5), bool))


@pytest.mark.parametrize("layers", [1, 2, 300])
@pytest.mark.parametrize("size", [(1, 1), (80, 60), (240, 160), (1600, 900)])
def test_any_size_and_any_number_of_layers(plot, layers, size):
    plot.setMinimumSize(0, 0)
    plot.resize(*size)
    plot.set_layers([DepthLayer(n, f"block.{n}." + "very_long_name" * 9) for n in range(layers)])
    steps, mean, largest = values(3, layers)
    mean[1] = 0
    largest[2] = np.inf
    plot.set_values(steps, np.minimum(mean, 1e300), largest, np.isinf(largest))
    plot.point_at(plot.plot_rect().center())
    assert not image_of(plot).isNull()


@pytest.mark.parametrize(("name", "theme"), [("dark", DARK), ("high contrast", HIGH_CONTRAST)])
def test_the_other_themes(plot, manager, name, theme):
    manager.choose(name)
    plot.set_values(*values())
    image = image_of(plot)
    assert count_colour(image, LIGHT.base.name()) < 200  # white text of high contrast
    assert count_colour(image, theme.accent.name()) > 100
    assert count_colour(image, theme.buffer.name()) > 100


def test_the_table_holds_what_is_shown(plot):
    steps, mean, largest = values(2)
    mean[0, 1:] = largest[0, 1:] = np.nan
    broken = np.zeros(mean.shape, bool)
    broken[0, 2] = True
    plot.set_values(steps + 7, mean, largest, broken)
    table = plot.columns()
    assert table["step"].tolist() == [7, 7, 8, 8, 8, 8, 8]
    assert table["layer"].tolist() == [NAMES[0], NAMES[2], *NAMES]
    assert table["nan or infinite"].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert table["largest"][0] == 1.0


def test_a_low_plot_gives_its_height_to_the_lines(plot):
    plot.set_title("Gradients")
    plot.set_values(*values())
    high = plot.height() - plot.plot_rect().height()
    plot.resize(600, 130)
    assert plot.low
    assert plot.height() - plot.plot_rect().height() < high - 16
    assert not image_of(plot).isNull()
