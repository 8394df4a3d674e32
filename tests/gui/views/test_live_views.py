"""The tabs over one mirror: what is drawn, held, clicked and looked back at."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.client.records_parts import cut
from inspector_app.gui.views.names import NamedSeries
from inspector_app.protocol.messages import Alarm, AlarmRules, Phase
from tests.gui.views.conftest import ROWS, cells, fill
from widgets.histogram_cell_painter import CellState


def alarm(key: int = 1, **more) -> Alarm:
    told = {
        "kind": "vanishing",
        "row": ROWS[0],
        "path": "stem",
        "first_step": 3,
        "last_step": 5,
        "count": 3,
        "worst": 1e-9,
        "origin": key,
        "sentence": "The gradient is smaller than 1e-7.",
        "paused": False,
    }
    return Alarm(key=key, **(told | more))


def tab(views, name: str) -> None:
    names = [views.tabs.tabText(index) for index in range(views.tabs.count())]
    views.tabs.setCurrentIndex(next(i for i, text in enumerate(names) if text.startswith(name)))


def changed_newest(views, **columns):
    """Mirror the newest step once more with other columns."""
    newest = cut(views.store.answers[-1], slice(-5, None))
    views.store.add(
        msgspec.structs.replace(
            newest, sequence=newest.sequence + 5, next=newest.next + 5, **columns
        )
    )
    views.records_arrived()
    return cells(views)


def test_the_grid_has_a_cell_for_each_series_but_the_loops_numbers(views):
    assert [key for key, _ in views.grid._titles] == [0, 1, 2, 3]
    views.grid.kinds.setCurrentText("Gradients")
    views.grid.kinds.activated.emit(2)
    assert [key for key, _ in views.grid._titles] == [1, 3]
    assert "step 11" in views.step_line.text()


def test_a_click_in_the_grid_names_the_row(qtbot, views):
    with qtbot.waitSignal(views.row_clicked) as clicked:
        views.grid.grid.series_clicked.emit(3)
    assert clicked.args == [ROWS[1]]


@pytest.mark.parametrize("name", ["Histograms", "Over time", "Depth", "Curves", "Alarms"])
def test_every_view_draws_with_and_without_records(qtbot, views, name):
    tab(views, name)
    assert views.view.title == name
    assert not views.grab().isNull()
    views.forget()
    views.set_series([])
    assert not views.grab().isNull()


def test_over_time_follows_the_selection_and_what_arrives(views):
    tab(views, "Over time")
    views.select({ROWS[1]})
    assert views.over_time.row == ROWS[1]
    histories = views.over_time._histories
    assert {key: len(histories[key]) for key in (2, 3)} == {2: 12, 3: 12}
    fill(views.store, 3)
    views.records_arrived()
    assert len(histories[2]) == 15
    views.over_time.ridges.setChecked(True)
    assert len(views.over_time._plots) == 2
    assert not views.grab().isNull()


def test_over_time_shows_what_there_is_room_for_and_says_what_is_left_out(views):
    leaves = [NamedSeries(key, ROWS[0], 0, "output", f"stem[{key}]") for key in range(7)]
    views.set_series(leaves)
    tab(views, "Over time")
    over_time = views.over_time

    def shown():
        assert len(over_time._plots) == over_time.splitter.count()
        return over_time._made_of[1]

    assert shown() == [0, 1, 2, 3, 4]
    assert over_time.which.text() == "5 of 7"
    assert over_time.which.toolTip() == "5 of 7 shown; not shown: stem[5], stem[6]"
    actions = over_time.which.menu().actions
    actions()[6].trigger()
    assert shown() == [0, 1, 2, 3, 6]
    actions()[0].trigger()
    assert shown() == [1, 2, 3, 4, 6]
    assert [action.isChecked() for action in actions()] == [False, *[True] * 4, False, True]
    over_time.resize(640, 320)
    assert shown() == [1, 2, 6]
    for place in range(1, 6):
        actions()[place].setChecked(True)
        actions()[place].setChecked(False)
    assert shown() == [6]
    assert [action.isEnabled() for action in actions()] == [*[True] * 6, False]
    views.set_series(leaves[:1])
    assert shown() == [0]
    assert not over_time.which.isVisibleTo(over_time.options)


def test_depth_draws_the_newest_steps_of_each_layer(views):
    tab(views, "Depth")
    assert views.layers.kind == "gradient"
    drawn = views.layers._plot.columns()
    assert drawn["step"].tolist() == [step for step in range(12) for _ in range(2)]
    assert set(drawn["largest"]) == {3.0}
    assert not drawn["nan or infinite"].any()
    views.hold.click()
    views.slider.setValue(4)
    assert views.layers._plot.columns()["step"][-1] == 4


def test_what_the_loop_logs_is_the_first_curve(views):
    tab(views, "Curves")
    assert views.curves.metrics.currentText() == "Logged by the loop"
    assert views.curves._made_of[1] == [4]
    views.curves.metrics.setCurrentText("Norm")
    views.curves.metrics.activated.emit(1)
    assert views.curves._made_of == ("Norm", [0, 1, 2, 3])
    views.select({ROWS[1]})
    assert views.curves._made_of == ("Norm", [2, 3])


@pytest.mark.parametrize(
    ("metric", "column", "nothing"),
    [
        ("Dead units, share", "dead", "dead"),
        ("Saturated, share", "saturated", "bounded"),
    ],
)
def test_curves_of_what_not_every_series_has(views, metric, column, nothing):
    tab(views, "Curves")
    curves = views.curves
    curves.metrics.setCurrentText(metric)
    curves.draw()
    assert curves.empty.isVisible()
    assert nothing in curves.empty.sentence
    shares = np.array([np.nan, np.nan, 0.25, np.nan, np.nan])
    changed_newest(views, **{column: shares})
    assert curves.empty.isHidden()
    assert curves._made_of == (metric, [2])
    assert curves._plot.columns()["value"].tolist() == [0.25]
    changed_newest(views, **{column: np.full(5, np.nan)})
    assert np.isfinite(curves._plot.columns()["value"]).all()
    views.select({ROWS[0]})
    assert nothing in curves.empty.sentence
    assert curves.empty.isVisible()


def test_only_new_records_are_put_into_cells(views, monkeypatch):
    drawn = []
    grid = views.grid.grid
    monkeypatch.setattr(grid, "update_records", lambda keys, _: drawn.extend(keys))
    views.records_arrived()
    assert drawn == []
    fill(views.store, 1)
    views.records_arrived()
    assert sorted(drawn) == [0, 1, 2, 3]
    held = list(views.store.answers)
    views.forget()
    for answer in held[-1:]:
        views.store.add(answer)  # with the numbers of those drawn before
    views.records_arrived()
    assert sorted(drawn) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_held_pictures_stay_and_the_slider_goes_back(qtbot, views):
    views.hold.click()
    assert (views.slider.minimum(), views.slider.maximum()) == (0, 11)
    fill(views.store, 5)
    views.records_arrived()
    assert views.step_line.text() == "held at 11"
    views.slider.setValue(4)
    assert views.grid.step == 4
    views.hold.click()
    assert views.grid.step is None
    assert views.step_line.text() == "step 16"


def test_plots_over_steps_are_held_too(views):
    """They mark the step, and draw nothing newer when they are brought to the front."""
    views.hold.click()
    fill(views.store, 5)
    views.records_arrived()
    views.slider.setValue(4)
    views.show_view(views.over_time)
    (history,) = {len(history) for history in views.over_time._histories.values()}
    assert history == 12
    assert {plot._marked for plot in views.over_time._plots} == {4}
    views.show_view(views.curves)
    assert views.curves._plot.columns()["step"].max() == 11
    assert views.curves._plot.canvas._marked == 4
    views.slider.setValue(6)
    assert views.curves._plot.canvas._marked == 6
    views.hold.click()
    assert views.curves._plot.canvas._marked is None
    assert views.curves._plot.columns()["step"].max() == 16
    views.show_view(views.over_time)
    assert {len(history) for history in views.over_time._histories.values()} == {17}


def test_a_series_without_a_record_by_the_step_looked_at_has_none(views):
    newest = views.store.answers[-1]
    late = NamedSeries(9, ROWS[1], 99, "output", "late")
    views.set_series([*views.series, late])
    one = cut(newest, slice(-1, None))
    views.store.add(
        msgspec.structs.replace(
            one,
            sequence=one.sequence + 1,
            next=one.next + 1,
            step=one.step + 1,
            key=np.full_like(one.key, 9),
        )
    )
    views.records_arrived()

    def steps():
        return {key: record and record.step for key, record in cells(views).items()}

    assert steps() == {0: 11, 1: 11, 2: 11, 3: 11, 9: 12}
    views.hold.click()
    views.slider.setValue(4)
    assert steps() == {0: 4, 1: 4, 2: 4, 3: 4, 9: None}
    views.hold.click()
    assert steps()[9] == 12
    views.grid.kinds.setCurrentText("Activations")
    views.grid.kinds.activated.emit(1)
    views.hold.click()
    views.slider.setValue(4)
    assert steps() == {0: 4, 2: 4, 9: None}
    views.grid.kinds.setCurrentText("All")
    views.grid.kinds.activated.emit(0)
    assert steps() == {0: 4, 1: 4, 2: 4, 3: 4, 9: None}


def test_cells_forget_another_session_but_not_what_is_no_longer_mirrored(views):
    views.grid.draw()
    views.store._newest.clear()
    views.grid.draw()
    assert None not in cells(views).values()
    views.forget()
    views.grid.draw()
    assert set(cells(views).values()) == {None}


def test_a_tensor_without_a_finite_value_has_no_range(views):
    nothing = np.array([np.nan, 1.0, 1.0, 1.0, 1.0])
    changed = changed_newest(views, minimum=nothing, maximum=nothing, mean=nothing)
    assert [len(changed[key].counts) for key in (0, 1)] == [0, 64]
    assert "no finite value" in CellState(0, "stem", changed[0]).words()


def test_what_was_not_in_training_mode_says_so(views):
    phase = np.array([Phase.TRAIN, Phase.BACKWARD, 0, Phase.TRAIN | Phase.BACKWARD, 0], np.uint8)
    changed = changed_newest(views, phase=phase)
    said = {key: record.notes[0].startswith("eval · ") for key, record in changed.items()}
    assert said == {0: False, 1: True, 2: True, 3: False}
    assert "in evaluation mode" in changed[2].detail


def test_parameters_know_no_mode(views):
    kept = [one for one in views.series if one.key]
    views.set_series([NamedSeries(0, ROWS[0], 0, "value", "weight"), *kept])
    changed = changed_newest(views, phase=np.zeros(5, np.uint8))
    assert [changed[key].notes[0][:4] for key in (0, 2)] == ["exac", "eval"]


def test_the_slider_follows_the_newest_step_until_it_is_moved(views):
    fill(views.store, 2)
    views.records_arrived()
    assert (views.slider.minimum(), views.slider.value()) == (0, 13)
    assert not views.hold.isChecked()
    views.slider.setValue(5)
    assert views.hold.isChecked()
    assert (views.grid.step, views.step_line.text()) == (5, "held at 5")


def test_options_stand_below_the_tabs_where_there_is_no_room_beside_them(qtbot, views):
    views.resize(1500, 320)
    qtbot.waitUntil(lambda: views._controls.x() > views.tabs.geometry().right())
    views.resize(640, 320)
    qtbot.waitUntil(lambda: views._controls.y() > views.tabs.geometry().bottom())
    places = set()
    for number in range(views.tabs.count()):
        views.tabs.setCurrentIndex(number)
        places.add((views._controls.geometry().getRect(), views.hold.geometry().getRect()))
    assert len(places) == 1  # nothing moves when another tab is chosen


def test_options_go_below_the_tabs_as_those_need_more_room(qtbot, views):
    views.resize(1500, 320)
    width = views.tabs.sizeHint().width() + views._controls.sizeHint().width() + 32
    views.resize(width, 320)
    qtbot.waitUntil(lambda: views._controls.x() > views.tabs.geometry().right())
    views.alarms_told([alarm(1), alarm(2)], AlarmRules())
    qtbot.waitUntil(lambda: views._controls.y() > views.tabs.geometry().bottom())


def test_a_step_that_is_clicked_is_held(views):
    tab(views, "Over time")
    views.over_time.step_clicked.emit(6)
    assert views.hold.isChecked()
    assert views.slider.value() == 6


def test_alarms_are_counted_listed_and_lead_to_their_row(qtbot, views):
    views.alarms_told([alarm(), alarm(3, kind="nan")], AlarmRules())
    assert views.tabs.tabText(4) == "Alarms (2)"
    views.alarms_told([alarm(count=9)], AlarmRules())
    assert views.tabs.tabText(4) == "Alarms (2)"  # the same one, as it is now
    tab(views, "Alarms")
    with qtbot.waitSignal(views.row_clicked) as clicked:
        views.alarms._list.alarm_activated.emit(1)
    assert clicked.args == [ROWS[0]]
    views.forget_alarms()
    assert views.tabs.tabText(4) == "Alarms"


def test_thresholds_are_drawn_over_the_depth(views):
    tab(views, "Depth")
    views.alarms_told([], AlarmRules(vanishing=None, exploding=7.0))
    assert views.layers.rules.exploding == 7.0
    assert not views.grab().isNull()


def test_saving_names_what_is_asked_for(qtbot, views):
    menu = views.findChild(type(views.hold), "liveSave").menu()
    for action, kind in zip(menu.actions(), ("png", "svg", "csv", "events"), strict=True):
        with qtbot.waitSignal(views.save_asked) as asked:
            action.trigger()
        assert asked.args == [kind]


def test_nothing_is_drawn_while_it_cannot_be_seen(qtbot, views):
    views.hide()
    before = len(views.store.since(0)[0].step) // 5
    tab(views, "Over time")
    fill(views.store, 2)
    views.records_arrived()
    assert views.over_time._histories == {}
    views.show()
    assert {len(history) for history in views.over_time._histories.values()} == {before + 2}
    qtbot.keyClick(views.tabs, Qt.Key.Key_Right)
    assert views.view.title == "Depth"


def test_octaves_are_drawn_as_what_they_are(qtbot, views):
    newest = views.store.answers[-1]
    count = len(newest.step)
    views.store.add(
        msgspec.structs.replace(
            newest,
            sequence=newest.sequence[-1] + 1 + np.arange(count),
            next=int(newest.sequence[-1]) + 1 + count,
            octaves=np.ones(count, np.bool_),
            exponent=np.full(count, 3, np.int32),
        )
    )
    views.records_arrived()
    record = views.grid.grid.record(0)
    assert (record.low, record.high, record.octaves) == (-8.0, 8.0, True)
    assert record.bin_edges(63) == (4.0, 8.0)
    with qtbot.waitSignal(views.grid.octaves_asked) as asked:
        views.grid.octaves.click()
    assert asked.args == [True]
