"""The button that chooses a phase, a call and a micro-step, and what the views then show."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.client.choice import EACH, Choice, Reading, Seen
from inspector_app.gui.views.choosing import ChoiceButton
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.protocol.phases import EVALUATION
from tests.gui.fake_backend import make_records
from tests.gui.test_choice import BACK, EVAL, STEP, TRAIN
from tests.gui.views.conftest import ROWS, SERIES


@pytest.fixture
def button(qtbot):
    button = ChoiceButton()
    qtbot.addWidget(button)
    return button


def offered(button) -> dict[str, bool]:
    """What its menu lists, and whether that is checked."""
    button.menu().aboutToShow.emit()
    return {one.text(): one.isChecked() for one in button.menu().actions() if not one.isSeparator()}


def pick(button, text: str) -> None:
    button.menu().aboutToShow.emit()
    next(one for one in button.menu().actions() if one.text() == text).trigger()


def test_it_is_hidden_where_there_is_nothing_to_choose(button):
    assert button.isHidden()
    button.show_choice(Choice(), Reading(Choice(), Seen()))
    assert button.isHidden()


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (Choice(), "Training · last of 2 calls · 2 micro-steps"),
        (Choice(phase=EVALUATION), "Evaluation · last of 2 calls"),
        (Choice(phase=None, call=EACH), "All phases · each of 2 calls · last of 2 micro-steps"),
        (Choice(call=0, micro=1), "Training · call 1 of 2 · micro-step 2 of 2"),
    ],
)
def test_it_says_what_is_shown(button, choice, text):
    seen = Seen()
    seen.add(STEP)
    button.show_choice(choice, Reading(choice, seen))
    assert not button.isHidden()
    assert button.text() == text
    assert text in button.toolTip()


def test_it_lists_what_there_is_and_tells_what_was_picked(qtbot, button):
    seen = Seen()
    seen.add(STEP)
    button.show_choice(Choice(call=1), Reading(Choice(call=1), seen))
    assert offered(button) == {
        "Training": True,
        "Evaluation": False,
        "All phases, each apart": False,
        "Last call": False,
        "Call 1 of 2": False,
        "Call 2 of 2": True,
        "Each call apart": False,
        "Last micro-step": True,
        "Micro-step 1 of 2": False,
        "Micro-step 2 of 2": False,
    }
    with qtbot.waitSignal(button.chosen) as chosen:
        pick(button, "Evaluation")
    assert chosen.args == [Choice(phase=EVALUATION, call=1)]


def test_where_there_is_little_room_it_is_cut_and_asks_for_more(qtbot, button):
    seen = Seen()
    seen.add(STEP)
    button.show_choice(Choice(), Reading(Choice(), seen))
    wanted = button.sizeHint()
    button.resize(wanted)
    button.show()
    whole = button.grab().toImage()
    button.resize(wanted.width() - 60, wanted.height())
    assert button.grab().toImage() != whole.copy(0, 0, button.width(), button.height())
    assert button.text() == "Training · last of 2 calls · 2 micro-steps"
    assert button.sizeHint() == wanted
    assert button.minimumWidth() < wanted.width() // 2


@pytest.mark.parametrize("text", ["Training", "Evaluation", "All phases", "Micro-step 2 of 3"])
def test_nothing_is_cut_where_there_is_room(button, text):
    button.setText(text)
    button.resize(button.sizeHint())
    assert button.shown_text() == text


# -- all views ---------------------------------------------------------------------------------


def evaluated(first: int, step: int, phase: int, micro: int = 0):
    """One step of the five series of SERIES, in a phase; gradients come in a training only."""
    records = make_records(SERIES, np.arange(first, first + len(SERIES), dtype=np.int64))
    back = np.array([one.kind == "gradient" for one in SERIES])
    training = phase == TRAIN
    records = msgspec.structs.replace(
        records,
        step=np.full(len(SERIES), step, np.int64),
        micro=np.full(len(SERIES), micro, np.int32),
        phase=np.where(back, BACK, phase).astype(np.uint8),
        mean=np.full(len(SERIES), 1.0 if training else 5.0),
    )
    if training:
        return records
    kept = ~back
    columns = {
        name: getattr(records, name)[kept]
        for name in records.__struct_fields__
        if isinstance(getattr(records, name), np.ndarray)
    }
    return msgspec.structs.replace(records, **columns)


@pytest.fixture
def views(qtbot, series):
    """Ten steps of a training that evaluates before each fifth of them."""
    views = LiveViews()
    qtbot.addWidget(views)
    first = 0
    for step in range(1, 11):
        for phase in (EVAL, TRAIN) if step % 5 == 0 else (TRAIN,):
            views.store.add(evaluated(first, step, phase))
            first += len(SERIES)
    views.resize(1200, 320)
    views.set_series(series)
    views.show()
    return views


def show(views, name: str):
    view = next(view for view in views.views if view.title == name)
    views.show_view(view)
    return view


def titles(views) -> list[str]:
    return [title for _, title in views.grid._titles]


def records(views) -> list:
    """What the cells of the grid hold, in their order."""
    return [views.grid.grid.record(key) for key, _ in views.grid._titles]


def test_by_default_no_evaluation_comes_into_a_training(views):
    assert views.choice.text() == "Training"
    assert {record.mean for record in records(views)} == {1.0}
    curves = show(views, "Curves")
    curves.metrics.setCurrentText("Mean")
    curves.draw()
    assert set(curves._plot.columns()["value"].tolist()) == {1.0}


def test_an_evaluation_that_comes_later_changes_nothing_but_the_button(qtbot, series):
    views = LiveViews()
    qtbot.addWidget(views)
    views.store.add(evaluated(0, 1, TRAIN))
    views.set_series(series)
    views.show()
    assert views.choice.isHidden()
    views.store.add(evaluated(5, 2, EVAL))
    views.records_arrived()
    assert views.choice.text() == "Training"
    assert {record.mean for record in records(views)} == {1.0}
    assert records(views)[0].detail.startswith("training\n")


def test_evaluation_alone(qtbot, views):
    pick(views.choice, "Evaluation")
    stem, head = (one.name for one in views.series if one.kind == "output")
    assert titles(views) == [stem, head]  # of gradients there are none
    assert {record.mean for record in records(views)} == {5.0}
    over_time = show(views, "Over time")
    assert over_time._histories[0].steps.tolist() == [5, 10]
    qtbot.keyClick(over_time._plots[0], Qt.Key.Key_End)
    assert over_time._plots[0].accessibleDescription().startswith("step 10, evaluation  ·  ")
    assert show(views, "Depth")._plot.columns()["step"].tolist() == [5, 5, 10, 10]
    curves = show(views, "Curves")
    assert curves.metrics.currentText() == "Logged by the loop"
    assert len(curves._plot.columns()["step"])  # what is logged has no phase


def test_all_phases_stand_side_by_side(views):
    pick(views.choice, "All phases, each apart")
    stem = next(one.name for one in views.series if one.kind == "output")
    assert titles(views)[:3] == [stem, f"{stem}  eval", f"{stem}  gradient"]
    assert [record.mean for record in records(views)[:3]] == [1.0, 5.0, 1.0]
    over_time = show(views, "Over time")
    views.select({ROWS[0]})
    steps = [plot._history.steps.tolist() for plot in over_time._plots]
    assert steps == [list(range(1, 11)), [5, 10], list(range(1, 11))]
    curves = show(views, "Curves")
    curves.metrics.setCurrentText("Mean")
    curves.draw()
    assert [curve.echo for curve in curves._plot.canvas.curves] == [False, True, False]
    pick(views.choice, "Training")
    assert [curve.echo for curve in curves._plot.canvas.curves] == [False, False]


def test_a_picture_that_is_held_follows_the_choice(views):
    views.hold.click()
    views.slider.setValue(7)
    pick(views.choice, "Evaluation")
    assert {record.step for record in records(views)} == {5}


def test_another_session_begins_with_its_training(views, series):
    pick(views.choice, "Evaluation")
    views.forget()
    views.set_series([])
    assert views.choice.isHidden()
    assert views.store.choice == Choice()


def test_the_button_stands_beside_the_tabs_and_pushes_nothing_out(qtbot, views):
    least = views.minimumSizeHint().width()
    views.store.add(evaluated(200, 11, TRAIN, micro=1))
    views.records_arrived()
    assert views.choice.text() == "Training · last of 2 micro-steps"
    assert views.minimumSizeHint().width() == least
    views.resize(700, 320)
    qtbot.waitUntil(lambda: views._controls.y() > views.tabs.geometry().bottom())
    assert views.choice.geometry().left() >= views.tabs.geometry().right()
    assert views.choice.geometry().right() < views.width()
    views.choice.setText("Training · " + 8 * "last of 2 calls · ")  # too long in every font
    views.resize(views.minimumSizeHint().width(), 320)
    qtbot.waitUntil(lambda: views.choice.width() < views.choice.sizeHint().width())
    assert views.tabs.width() >= views.tabs.sizeHint().width()


def test_a_picture_says_what_was_chosen(views):
    views.store.clear()
    views.store.add(STEP)
    views.records_arrived()
    assert views.caption == views.choice.text() == "Training · last of 2 calls · 2 micro-steps"
    views.show_view(views.alarms)
    assert views.caption == ""  # alarms are those of all
    views.show_view(views.curves)
    views.curves.metrics.setCurrentText("Logged by the loop")
    assert views.curves.logged
    assert views.caption == ""  # the loop's own numbers are of no phase
    views.curves.metrics.setCurrentText("Norm")
    assert views.caption == views.choice.text()
    views.store.clear()
    views.records_arrived()
    assert views.caption == ""
