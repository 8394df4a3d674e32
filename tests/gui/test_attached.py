"""A window that has joined a training process, against a session of plain data."""

from __future__ import annotations

import msgspec
import numpy as np
from PySide6.QtCore import Qt

from inspector_app import sessions
from inspector_app.gui.client.records import INTERVAL
from inspector_app.gui.panels.attach_dialog import AttachDialog
from inspector_app.gui.panels.training_bar import TrainingBar, budget_text, state_text, time_text
from inspector_app.gui.views.names import NamedSeries
from inspector_app.protocol.changes import change_of_rows
from inspector_app.protocol.messages import (
    Alarm,
    AlarmRules,
    Attach,
    Edited,
    Pause,
    Resume,
    Selection,
    SetAlarmRules,
    SetBudget,
    StepOnce,
    Watch,
)
from inspector_app.protocol.table import Role
from inspector_app.sessions import SessionEntry
from tests.gui.loops import loop_in
from tests.gui.tables import totals_of
from tests.gui.windows import TOKEN, asked, settle, trigger

STATE = loop_in(
    1234,
    step_seconds=0.0932,
    overhead=0.0412,
    budget=0.05,
    every=4,
    thinned="Checked every 4th step, samples of 512: to take less than 5%.",
)


def test_what_is_said_of_a_loop():
    text, tone = state_text(STATE)
    assert text == (
        "step 1,234 · checked every 4th step, samples of 512 · probes 4.1% · 93.2 ms a step"
    )
    assert tone == "muted"
    assert "measuring" in state_text(msgspec.structs.replace(STATE, step_seconds=0.0))[0]
    pausing = msgspec.structs.replace(STATE, paused=True)
    assert state_text(pausing) == (
        "Pausing: the loop stands after each optimizer.step()…",
        "warning",
    )
    held = msgspec.structs.replace(pausing, held=True)
    assert state_text(held)[0].startswith("Paused after step 1,234.")
    assert [budget_text(share) for share in (0.05, 0.125, None)] == [
        "5% budget",
        "12.5% budget",
        "no budget",
    ]
    assert [time_text(seconds) for seconds in (0.0932, 1.25)] == ["93.2 ms", "1.25 s"]


def test_where_there_is_little_room_an_ellipsis_stands_for_the_end_of_the_line(qtbot):
    bar = TrainingBar()
    qtbot.addWidget(bar)
    bar.show_state(STATE)
    bar.resize(bar.budget.sizeHint().width() + 40 * 8, 40)
    bar.show()
    narrow, pictured = bar.line.shown_text(), bar.line.grab().toImage()
    assert narrow.startswith("step 1,234 · checked every 4th step")
    assert narrow.endswith("…")
    assert bar.line.text() in bar.line.toolTip()
    bar.resize(1200, 40)
    assert bar.line.shown_text() == bar.line.text()
    assert bar.line.grab().toImage().copy(pictured.rect()) != pictured


def test_what_is_said_where_ranks_are_merged(qtbot):
    bar = TrainingBar()
    qtbot.addWidget(bar)
    bar.show_state(STATE, "1 of 2 ranks", 1200)
    assert bar.line.text().startswith("1 of 2 ranks · step 1,234 · ")
    assert "1,200 records came too late to be merged." in bar.line.toolTip().splitlines()
    bar.show_state(STATE)
    assert bar.line.text().startswith("step 1,234 · ")
    assert "too late" not in bar.line.toolTip()


def test_the_window_shows_what_is_trained_and_watched(joined):
    assert joined.windowTitle() == "small - Model Inspector"
    assert "live in its own process" in joined.centre.target_line.text()
    assert joined.live_panel.training.isVisible()
    assert not joined.live_panel.mode_box.isVisible()
    assert joined.live.watched == {1, 3}
    assert joined.live_panel.training.line.text().startswith("step 7")
    assert not joined.registry.action("model.run_once").isEnabled()
    assert not joined.registry.action("model.restart").isEnabled()


def test_pausing_stepping_and_going_on(qtbot, joined):
    trigger(joined, "training.pause")
    qtbot.waitUntil(lambda: joined.training.paused)
    assert asked(joined, Pause)
    assert "stands still" in joined.live_panel.training.line.text()
    trigger(joined, "training.step")
    qtbot.waitUntil(lambda: joined.training.state.step == 8)
    assert asked(joined, StepOnce)
    assert joined.registry.action("training.pause").isChecked()
    trigger(joined, "training.pause")
    qtbot.waitUntil(lambda: not joined.training.paused)
    assert asked(joined, Resume)


def test_pausing_is_refused_with_the_reason_of_the_session(qtbot, window):
    window.session.backend.disabled = {"pause": "Trained by several processes."}
    window.session.attach("unix:/nowhere/socket", TOKEN)
    qtbot.waitUntil(lambda: window.training.state is not None)
    action = window.registry.action("training.pause")
    assert not action.isEnabled()
    assert "several processes" in action.toolTip()


def test_the_budget_is_chosen_from_a_list(qtbot, joined):
    box = joined.live_panel.training.budget
    box.setCurrentIndex(box.findText("no budget"))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: joined.training.state.budget is None)
    assert asked(joined, SetBudget)[0].share is None


def test_modules_and_parameters_are_watched_with_their_gradients(qtbot, joined):
    joined.live.watch([1])
    assert {"output", "gradient", "update"} <= set(asked(joined, Watch)[-1].kinds)
    table = joined.tree_model.table
    parameter = int(table.ids[table.role == Role.PARAMETER][0])
    joined.tree_panel.view.select_row(parameter)
    trigger(joined, "model.watch")
    assert asked(joined, Watch)[-1].rows == [parameter]


def test_a_lost_process_leaves_what_was_drawn(qtbot, joined):
    joined.session.backend.steps = 4
    qtbot.waitUntil(lambda: joined.live_panel.views.store.size > 0)
    kept = joined.live_panel.views.store.size
    joined.session.lose("The training process has ended.", "")
    assert joined.notices.text == "The training process has ended. What was drawn stays."
    assert joined.live_panel.views.store.size == kept
    assert joined.live_panel.views.isVisible()
    assert "what was drawn stays" in joined.live_panel.training.line.text()
    assert not joined.registry.action("training.pause").isEnabled()


def test_attaching_again_begins_the_mirror_anew(qtbot, joined):
    joined.session.lose("The training process has ended.", "")
    joined.session.backend.steps = 3
    joined.session.restart()
    qtbot.waitUntil(lambda: joined.live_panel.views.store.size == 12)
    assert joined.training.state is not None


def test_what_was_said_before_joining_goes(qtbot, joined):
    joined.session.lose("The training process has ended.", "")
    assert joined.notices.text
    joined.session.attach("unix:/nowhere/other", TOKEN)
    qtbot.waitUntil(lambda: joined.training.state is not None)
    assert joined.notices.text == ""


PAUSED_BY = Alarm(
    key=0,
    kind="nan",
    row=1,
    path="stem",
    first_step=7,
    last_step=7,
    count=1,
    worst=2,
    origin=0,
    sentence="stem has NaN.",
    paused=True,
)


def test_an_alarm_that_paused_is_told_once_in_each_session(qtbot, joined):
    backend = joined.session.backend
    for _ in range(2):
        backend.loop = msgspec.structs.replace(backend.loop, paused=True, held=True)
        backend.alarms = [PAUSED_BY]
        qtbot.waitUntil(lambda: "stem has NaN." in joined.notices.text)
        assert joined.live_panel.views.tabs.tabText(4) == "Alarms (1)"
        joined.notices.dismiss()
        joined.session.attach("unix:/nowhere/socket", TOKEN)
        qtbot.waitUntil(lambda: joined.training.state is not None)
        joined.notices.dismiss()
        joined.live_panel.views.forget_alarms()


def test_a_loop_that_has_gone_on_since_is_not_said_to_be_paused(qtbot, joined):
    joined.session.backend.alarms = [PAUSED_BY]
    qtbot.waitUntil(lambda: joined.live_panel.views.tabs.tabText(4) == "Alarms (1)")
    assert joined.notices.text == ""


def test_thresholds_are_sent_and_drawn(qtbot, joined):
    joined.live._alarming._set_rules(AlarmRules(exploding=5.0, pause=("nan",)))
    qtbot.waitUntil(lambda: joined.live_panel.views.layers.rules.exploding == 5.0)
    assert asked(joined, SetAlarmRules)[-1].rules.pause == ("nan",)


# -- the dialog ------------------------------------------------------------------------------------


def entry(tmp_path, name: str = "Net", process: int = 1) -> SessionEntry:
    folder = tmp_path / name
    folder.mkdir()
    made = SessionEntry(
        address=f"tcp:127.0.0.1:{len(name)}",
        title=name,
        process=process,
        started=0.0,
        folder=str(folder),
    )
    sessions.announce(folder, made, TOKEN)
    return made


def test_without_a_session_the_dialog_says_how_to_make_one(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    dialog = AttachDialog()
    qtbot.addWidget(dialog)
    assert "inspector_app.watch" in dialog.empty.sentence
    assert f"Looked for in {tmp_path}" in dialog.empty.sentence
    assert not dialog.attach_button.isEnabled()
    dialog.place.setText("somewhere")
    dialog.place.textEdited.emit("somewhere")
    assert "begins with tcp: or unix:" in dialog.hint.text()
    dialog.place.setText("tcp:127.0.0.1:9")
    dialog.secret.setText("12")
    dialog.secret.textEdited.emit("12")
    assert "64 hexadecimal digits" in dialog.hint.text()
    dialog.secret.setText(TOKEN)
    dialog.secret.textEdited.emit(TOKEN)
    assert dialog.attach_button.isEnabled()


def test_the_newest_session_is_chosen_with_its_token(qtbot, tmp_path, monkeypatch):
    import os

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = sessions.sessions_folder()
    made = entry(folder, "Net", os.getpid())
    dialog = AttachDialog()
    qtbot.addWidget(dialog)
    assert dialog.list.count() == 1
    assert dialog.list.item(0).text().startswith("Net   process")
    dialog.accept()
    assert (dialog.address, dialog.token) == (made.address, TOKEN)
    entry(folder, "Other", os.getpid())
    dialog._refresh()
    assert dialog.list.count() == 2
    assert dialog.list.currentItem().text().startswith("Net")


def test_the_command_opens_the_dialog(qtbot, window, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    trigger(window, "file.attach")
    dialog = window.findChild(AttachDialog)
    dialog.place.setText("tcp:127.0.0.1:9")
    dialog.secret.setText(TOKEN)
    dialog.accept()
    assert window.session.remote == ("tcp:127.0.0.1:9", TOKEN)
    settle(qtbot, window)


def test_octaves_are_asked_for_and_a_refusal_puts_the_button_back(qtbot, joined):
    button = joined.live_panel.views.grid.octaves
    button.click()
    qtbot.waitUntil(lambda: joined.session.backend.octaves)
    joined.session.backend.disabled = {"bins": "Not now."}
    button.click()
    qtbot.waitUntil(lambda: button.isChecked() and "Not now." in joined.notices.text)


def test_a_window_that_leaves_a_training_does_not_ask_about_edits(qtbot, joined):
    joined.edits.freeze(Selection(rows=[1]), True)
    qtbot.waitUntil(lambda: len(joined.session.journal) == 1)
    assert joined.leaving.unexported == []
    joined.close()
    assert not joined.isVisible()


def test_the_button_says_what_another_window_chose(qtbot, window):
    window.session.backend.octaves = True
    window.session.backend.watched = [1]
    window.session.backend.steps = 1
    window.session.attach("unix:/nowhere/socket", TOKEN)
    qtbot.waitUntil(lambda: window.live_panel.views.grid.octaves.isChecked())


def test_the_window_draws_as_often_as_the_loop_can_bear(qtbot, joined):
    feed, backend = joined.live._feed, joined.session.backend
    assert feed._timer.interval() == INTERVAL
    backend.loop = msgspec.structs.replace(backend.loop, rate=10)
    qtbot.waitUntil(lambda: feed._timer.interval() == 100)
    backend.loop = msgspec.structs.replace(backend.loop, rate=1_000)
    qtbot.waitUntil(lambda: feed._timer.interval() == INTERVAL)


def test_what_one_loop_can_bear_says_nothing_of_the_next_target(qtbot, joined):
    feed, backend = joined.live._feed, joined.session.backend
    backend.loop = msgspec.structs.replace(backend.loop, rate=3)
    qtbot.waitUntil(lambda: feed._timer.interval() == 333)
    backend.loop = None
    joined.opening.open("fake.py:make")
    qtbot.waitUntil(lambda: joined.session.target.target == "fake.py:make")
    assert feed._timer.interval() == INTERVAL


def test_a_window_that_is_behind_does_not_wait(qtbot, joined):
    feed, backend = joined.live._feed, joined.session.backend
    backend.loop = msgspec.structs.replace(backend.loop, rate=10)
    qtbot.waitUntil(lambda: feed._timer.interval() == 100)
    feed.limit = 4
    backend.steps = 2  # eight records: two answers full
    intervals = []
    feed.told.connect(lambda found: intervals.append((len(found.step), feed._timer.interval())))
    qtbot.waitUntil(lambda: joined.live_panel.views.store.size == 8)
    assert [one for one in intervals if one[0]] == [(4, INTERVAL), (4, INTERVAL)]
    qtbot.waitUntil(lambda: feed._timer.interval() == 100)


def test_rows_that_only_another_window_was_told_of(qtbot, joined):
    """What speaks of them is of no use here: the tree is asked for anew."""
    table = joined.tree_model.table
    change = change_of_rows(table, np.array([0], np.int32))
    change.changed.ids[:] = 999
    joined.session.changed.emit(Edited(change=change, totals=totals_of(table), history=[]))
    qtbot.waitUntil(lambda: len(asked(joined, Attach)) == 2)
    assert "joined again" in joined.notices.text
    settle(qtbot, joined)


def test_the_docks_end_above_the_status_bar_in_the_smallest_window(qtbot, joined):
    joined.resize(joined.minimumSize())
    views = joined.live_panel.views
    for tab in range(views.tabs.count()):  # each view is made when it is first seen
        views.tabs.setCurrentIndex(tab)
        views.views[tab].draw()
    dock = joined.docks.dock("view.live")
    qtbot.waitUntil(lambda: joined.height() == joined.minimumHeight())
    qtbot.waitUntil(lambda: dock.height() >= dock.minimumSizeHint().height())
    assert joined.minimumSizeHint().height() <= joined.minimumHeight()
    assert dock.geometry().bottom() < joined.statusBar().geometry().top()


def test_with_only_a_loss_logged_the_views_offer_to_watch(qtbot, joined):
    views = joined.live_panel.views
    trigger(joined, "model.unwatch_all")
    settle(qtbot, joined)
    views.set_series([NamedSeries(4, -1, -1, "scalar", "loss")])
    joined.live_panel.show_views()
    for view in (views.grid, views.over_time, views.layers):
        views.tabs.setCurrentIndex(views.views.index(view))
        assert view.empty.isVisible()
        assert view.empty.sentence.startswith("Watch modules")
        before = len(asked(joined, Watch))
        qtbot.mouseClick(view.empty.button, Qt.MouseButton.LeftButton)
        assert len(asked(joined, Watch)) == before + 1
    settle(qtbot, joined)
    assert joined.live.watched
    for view in (views.over_time, views.layers):  # nothing has run since
        assert "no records yet" in view.empty.sentence
        assert not view.empty.button.isVisible()
    joined.session.lose("The training process has ended.", "")
    assert not views.grid.empty.button.isEnabled()
