from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip

from tests.widgets.conftest import count_colour, image_of
from widgets.cell_records import CellRecords
from widgets.histogram_cell_painter import CellPainter, CellState, PlacedCell, cell_look
from widgets.histogram_cells import Record
from widgets.histogram_grid import GridSeries, HistogramGrid
from widgets.theme import LIGHT


def feed(grid, key, counts=None, *, nan=0, infinite=0, step=1, notes=(), low=-1.0, high=1.0):
    counts = np.arange(64) if counts is None else np.asarray(counts)
    detail = "".join(notes[:1])
    grid.update_record(
        key, Record(low, high, counts, 0.25, 0.5, nan, infinite, step, notes, detail)
    )


@pytest.fixture
def grid(qtbot):
    grid = HistogramGrid()
    qtbot.addWidget(grid)
    grid.set_series([GridSeries(key, f"layers.{key}.attention") for key in range(100)])
    grid.resize(660, 300)
    grid.show()
    image_of(grid)
    return grid


def timers(grid):
    return [timer for timer in grid.findChildren(QTimer) if timer.isActive()]


def cell_place(number, width=660):
    """A point in the plot of one of the first cells, with three columns."""
    step = (width - 12 - 2 * 8 - 2 * 8) // 3 + 8
    return QPoint(8 + (number % 3) * step + 100, 8 + (number // 3) * 120 + 60)


def on_screen(grid):
    """What was painted, not what would be if all were painted now."""
    picture = grid.screen().grabWindow(grid.winId()).toImage()
    return picture.convertToFormat(QImage.Format.Format_RGB32)


@pytest.fixture
def painted(monkeypatch):
    """Keys of cells that were painted whole, and places of all of which the plot was."""
    whole, plots = [], []
    paint_words, find_plots = CellPainter.paint_words, CellRecords.plots

    def note_whole(self, cells):
        whole.extend(cell.state.key for cell in cells)
        paint_words(self, cells)

    def note_plots(self, places, logarithmic):
        for found in find_plots(self, places, logarithmic):
            plots.extend(found.places.tolist())
            yield found

    monkeypatch.setattr(CellPainter, "paint_words", note_whole)
    monkeypatch.setattr(CellRecords, "plots", note_plots)
    return whole, plots


def test_only_cells_in_sight_are_drawn(grid, painted):
    for key in range(100):
        feed(grid, key)
    image_of(grid)
    drawn = sorted(set(painted[1]))
    assert drawn == list(range(len(drawn))) == grid.keys_in_sight()
    assert 6 <= len(drawn) <= 12
    grid.verticalScrollBar().setValue(grid.verticalScrollBar().maximum())
    image_of(grid)
    assert 99 in painted[1]
    assert grid.keys_in_sight()[-1] == 99


def test_what_comes_into_sight_is_told_before_it_is_painted(grid, painted):
    whole, _ = painted
    told = []
    grid.sight_changed.connect(lambda: told.append((grid.keys_in_sight(), list(whole))))
    for change in (
        lambda: grid.verticalScrollBar().setValue(500),
        lambda: grid.resize(660, 600),
        lambda: grid.resize(960, 600),
        lambda: grid._go_to(99),
    ):
        told.clear(), whole.clear()
        change()
        assert told[-1] == (grid.keys_in_sight(), [])
        image_of(grid)
        assert whole


def test_between_two_frames_the_latest_wins(grid, qtbot, painted):
    _, plots = painted
    feed(grid, 0, step=1), feed(grid, 0, np.arange(64)[::-1], step=2)
    assert len(timers(grid)) == 1
    qtbot.waitUntil(lambda: bool(plots))
    qtbot.waitUntil(lambda: not timers(grid))
    assert grid.record(0).step == 2
    assert plots.count(0) <= 2  # the plot, and once more with its words
    assert on_screen(grid) == image_of(grid)


def test_plots_come_first_and_at_rest_all_is_as_painted_at_once(grid, qtbot, painted):
    whole, plots = painted
    for step in range(1, 40):
        for key in range(9):
            counts = np.random.default_rng(step * 9 + key).integers(0, 50, 64)
            feed(grid, key, counts, step=step, nan=1 + step % 2, low=-step)
        qtbot.wait(5)
    qtbot.waitUntil(lambda: not timers(grid))
    assert set(whole) >= set(range(9))
    assert len(plots) > 9 + len(whole)
    qtbot.waitUntil(lambda: on_screen(grid) == image_of(grid))


def test_what_is_beside_a_plot_stays_while_only_that_is_painted(grid, qtbot, painted):
    whole, plots = painted
    alone = 0  # times that only the plot was painted
    for key in range(3):
        feed(grid, key)
    qtbot.waitUntil(lambda: not timers(grid))
    beside = grid._layout.plots(1, 1).left() - 2, cell_place(1).y()
    for number in range(12):  # of six frames one paints the words as well
        whole.clear(), plots.clear()
        for key in range(3):  # a row
            feed(grid, key, np.arange(64) * number)
        qtbot.waitUntil(lambda: bool(whole or plots))
        alone += not whole
        assert on_screen(grid).pixelColor(*beside) == LIGHT.base
    assert alone > 3


@pytest.mark.parametrize("counts", [None, []])
def test_what_is_not_finite_is_said_with_the_plot(grid, qtbot, painted, counts):
    whole, _ = painted
    for key in range(9):
        feed(grid, key)
    qtbot.waitUntil(lambda: not timers(grid))
    whole.clear()
    feed(grid, 4, counts, nan=64, step=2)
    qtbot.waitUntil(lambda: bool(whole))
    assert set(whole) == {4}
    qtbot.waitUntil(lambda: not timers(grid))
    whole.clear()
    feed(grid, 4, step=3)
    qtbot.waitUntil(lambda: bool(whole))
    feed(grid, 99, nan=64)  # out of sight
    assert on_screen(grid) == image_of(grid)


@pytest.mark.parametrize("height", [40, 75, 130])
def test_a_small_grid_is_painted_in_full_wherever_it_is_scrolled(grid, qtbot, height):
    grid.resize(660, height)
    for key in range(12):
        feed(grid, key)
    for place in range(0, 260, 20):
        grid.verticalScrollBar().setValue(place)
        feed(grid, place % 12, range(64), step=place)
        qtbot.waitUntil(lambda: not timers(grid) and on_screen(grid) == image_of(grid))


def test_a_hidden_grid_does_nothing_and_catches_up(grid, qtbot, painted):
    _, plots = painted
    grid.hide()
    feed(grid, 0)
    assert not timers(grid)
    assert not plots
    grid.show()
    qtbot.waitUntil(lambda: 0 in plots)


def test_unknown_keys_are_passed_over(grid):
    feed(grid, 4711)
    assert not timers(grid)


def test_records_of_series_that_stay_are_kept(grid):
    feed(grid, 7, np.arange(200), nan=3, step=70, notes=("sampled",))
    feed(grid, 9, step=90)
    before = grid.record(7)
    grid.set_series([GridSeries(4711, "new"), GridSeries(9, "nine"), GridSeries(7, "layers.7")])
    assert grid.record(4711) is None
    assert grid.record(9).step == 90
    kept = grid.record(7)
    assert (kept.counts == before.counts).all()
    assert replace(kept, counts=None) == replace(before, counts=None)
    assert (kept.step, kept.nan, kept.detail) == (70, 3, "sampled")


def test_nan_and_infinity_are_shown_in_danger(grid):
    feed(grid, 0)
    assert count_colour(image_of(grid), LIGHT.danger.name()) == 0
    feed(grid, 0, nan=3)
    only_nan = count_colour(image_of(grid), LIGHT.danger.name())
    feed(grid, 0, nan=3, infinite=2_000)
    assert count_colour(image_of(grid), LIGHT.danger.name()) > only_nan > 300


def test_cells_without_finite_values_or_records_survive(grid):
    feed(grid, 0, [], nan=10, low=float("nan"), high=float("nan"))
    feed(grid, 1, [5], low=2.0, high=2.0)
    assert not image_of(grid).isNull()


def test_a_record_can_be_taken_away(grid):
    empty = image_of(grid)
    feed(grid, 0)
    assert image_of(grid) != empty
    grid.take_record(0)
    grid.take_record(12345)
    assert image_of(grid) == empty


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
@pytest.mark.parametrize("current", [False, True])
def test_the_frame_of_a_cell_lies_within_it_where_pixels_are_no_whole_ones(ratio, current):
    look = cell_look(200)
    picture = QImage(QSize(240, 160) * ratio, QImage.Format.Format_RGB32)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor("#ff00ff"))
    record = Record(-1.0, 1.0, np.arange(64), 0.0, 1.0, 1, 0, 1)
    rect = QRect(20, 20, look.width, look.height)
    with CellPainter(picture, look, False) as painter:
        cells = [PlacedCell(CellState(0, "a", record), rect, current, False, -1)]
        painter.paint_grounds(cells)
        painter.paint_words(cells)
    left, top, width, height = (round(ratio * number) for number in rect.getRect())
    tone = LIGHT.accent if current else LIGHT.danger
    for across in range(left - 3, left + width + 3):
        inside = left <= across < left + width
        for down in (top - 1, top, top + height - 1, top + height):
            framed = inside and top <= down < top + height
            expected = tone if framed else QColor("#ff00ff")
            assert picture.pixelColor(across, down) == expected
    for down in range(top, top + height):
        colours = [picture.pixelColor(left + offset, down).name() for offset in (-1, 0)]
        assert colours == ["#ff00ff", tone.name()]


def test_series_may_have_different_numbers_of_bins(grid, painted):
    few, many = [1, 2], list(range(200))
    feed(grid, 0, few), feed(grid, 1, many), feed(grid, 2)
    image_of(grid)
    assert {0, 1, 2} <= set(painted[1])
    assert grid.record(0).counts.tolist() == few
    assert grid.record(1).counts.tolist() == many
    feed(grid, 1, few)  # nothing of the longer one is left
    feed(grid, 2, few)
    assert grid.record(1).counts.tolist() == few
    first, second = (grid.grab(grid._layout.plots(key, key)).toImage() for key in (1, 2))
    assert first == second


def test_a_click_tells_the_key(grid, qtbot):
    with qtbot.waitSignal(grid.series_clicked) as told:
        qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=cell_place(4))
    assert told.args == [4]
    with qtbot.assertNotEmitted(grid.series_clicked):
        qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(3, 3))


def test_keys_move_scroll_and_click(grid, qtbot):
    grid.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Up):
        qtbot.keyClick(grid, key)
    qtbot.keyClick(grid, Qt.Key.Key_Left)  # already at the first
    with qtbot.waitSignal(grid.series_clicked) as told:
        qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert told.args == [0]
    qtbot.keyClick(grid, Qt.Key.Key_End)
    assert grid.verticalScrollBar().value() == grid.verticalScrollBar().maximum()
    assert "layers.99" in grid.accessibleDescription()
    with qtbot.waitSignal(grid.series_clicked) as told:
        qtbot.keyClick(grid, Qt.Key.Key_Space)
    assert told.args == [99]


def test_the_pointer_reads_a_bin(grid, qtbot):
    feed(grid, 0)
    before = image_of(grid)
    qtbot.mouseMove(grid.viewport(), cell_place(0))
    qtbot.waitUntil(lambda: image_of(grid) != before)


def test_the_tooltip_says_all(grid, monkeypatch):
    said = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, *rest: said.append(text))
    feed(grid, 0, nan=3, step=1234, notes=("sampled",))
    place = cell_place(0)
    event = QHelpEvent(QEvent.Type.ToolTip, place, grid.viewport().mapToGlobal(place))
    QApplication.sendEvent(grid.viewport(), event)
    lines = said[0].splitlines()
    assert lines[0] == "layers.0.attention"
    assert "step 1,234" in lines
    assert "3 NaN, 0 infinite" in lines
    assert lines[-1] == "sampled"


def test_columns_follow_the_width(grid):
    def rows():
        return grid.verticalScrollBar().maximum()

    three = rows()
    grid.resize(1_300, 300)
    assert rows() < three
    grid.resize(100, 300)
    assert rows() > three
    assert not image_of(grid).isNull()


def test_logarithmic_heights_are_drawn(grid):
    feed(grid, 0, [1000, 1, 5, 20])
    before = image_of(grid)
    grid.set_logarithmic(True)
    assert grid.logarithmic
    assert image_of(grid) != before


def test_the_longest_wording_that_fits_is_drawn(qtbot):
    from widgets.histogram_cell_painter import _fitting, _metrics

    wordings = ("2,048 of 8,192, shares ±3%", "shares ±3%", "±3%")
    for words in wordings:
        width = _metrics(False).horizontalAdvance(words)
        assert _fitting(wordings, width + 1) == words  # Qt rounds widths
    assert _fitting(wordings, 3) in ("", "…")
