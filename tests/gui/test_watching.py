"""Watching many rows at once, and all elements of them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.measured import Measured
from inspector_app.gui.panels.run_dialog import RunSettings
from inspector_app.gui.panels.watch_pattern_dialog import WatchPatternDialog
from inspector_app.gui.watch_commands import MEASURED as KINDS
from inspector_app.protocol.messages import PlanWatch, ProbeState, Series, SetExact, Unwatch, Watch
from inspector_app.protocol.table import Role
from tests.gui.windows import TOKEN, asked, settle, trigger


@pytest.fixture
def opened(qtbot, window):
    window.opening.open("fake.py:make")
    qtbot.waitUntil(lambda: window.session.target is not None and not window.session.pending)
    return window


def paths(window) -> list[str]:
    """Of the rows that were asked for last."""
    table = window.tree_model.table
    return [table.path(table.position(row)) for row in asked(window, Watch)[-1].rows]


def select(window, path: str) -> None:
    table = window.tree_model.table
    window.tree_panel.view.select_row(int(table.ids[table.paths.index(path)]))


class TestMany:
    def test_all_leaf_modules_whatever_is_selected(self, qtbot, opened):
        select(opened, "body.0.weight")
        trigger(opened, "model.watch_all_leaves")
        assert asked(opened, Watch)[-1].rows == [1, 4, 7, 8, 12]

    def test_all_of_the_class_selected(self, qtbot, opened):
        select(opened, "body.0")
        trigger(opened, "model.watch_class")
        table = opened.tree_model.table
        found = [table.paths.index(path) for path in paths(opened)]
        assert {table.class_name(at) for at in found} == {"Linear"}
        assert len(found) == len(set(table.ids[found].tolist())) > 1

    def test_everything_below(self, qtbot, opened):
        select(opened, "body")
        trigger(opened, "model.watch_below")
        assert paths(opened) == ["body", "body.0", "body.1", "body.2"]

    def test_everything_below_in_a_training_has_parameters(self, qtbot, joined):
        select(joined, "body.0")
        trigger(joined, "model.watch_below")
        assert paths(joined) == ["body.0", "body.0.weight", "body.0.bias"]

    def test_what_the_filter_found(self, qtbot, opened):
        assert not opened.registry.action("model.watch_found").isEnabled()
        opened.tree_panel.filter.setText("class:Linear")
        qtbot.waitUntil(opened.registry.action("model.watch_found").isEnabled)
        trigger(opened, "model.watch_found")
        assert "body.0" in paths(opened)
        assert "body" not in paths(opened)


class TestPattern:
    def test_shows_the_rows_first_and_then_watches_them(self, qtbot, opened):
        select(opened, "body")
        trigger(opened, "model.watch_pattern")
        dialog = opened.findChild(WatchPatternDialog)
        assert dialog.pattern.text() == "body"
        assert [dialog.which_box.itemData(at) for at in range(dialog.which_box.count())] == [
            "modules",
            "leaves",
        ]
        qtbot.waitUntil(dialog.apply_button.isEnabled)
        assert dialog.preview.summary.text() == "4 modules would be watched."
        assert dialog.preview.list.topLevelItem(0).child(1).text(0) == "body.0"
        dialog.accept()
        assert paths(opened) == ["body", "body.0", "body.1", "body.2"]

    def test_parameters_of_a_training(self, qtbot, joined):
        dialog = joined.watching.ask_pattern()
        dialog.pattern.setText("body.0")
        dialog.which_box.setCurrentIndex(dialog.which_box.findData("parameters"))
        qtbot.waitUntil(dialog.apply_button.isEnabled)
        assert dialog.preview.summary.text() == "2 parameters would be watched."
        assert asked(joined, PlanWatch)[-1].which == "parameters"
        dialog.pattern.setText("")
        assert not dialog.apply_button.isEnabled()
        qtbot.waitUntil(lambda: "Choose from the list" in dialog.preview.summary.text())
        dialog.reject()
        settle(qtbot, joined)

    def test_classes_need_no_parameters(self, qtbot, opened):
        dialog = opened.watching.ask_pattern()
        table = opened.tree_model.table
        kinds = {
            table.class_name(at) for at in range(1, len(table)) if table.role[at] == Role.MODULE
        }
        assert {f"class:{kind}" for kind in kinds - {"Sequential"}} <= dialog.ready.entries.keys()
        assert dialog.ready.isColumnHidden(2)
        assert dialog.ready.headerItem().text(1) == "Rows"
        settle(qtbot, opened)
        place = dialog.ready.visualItemRect(dialog.ready.entries["class:Linear"]).center()
        qtbot.mouseClick(dialog.ready.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert dialog.pattern.text() == "class:Linear"
        dialog.reject()
        settle(qtbot, opened)

    def test_only_what_can_be_watched_is_offered(self, qtbot, joined):
        dialog = joined.watching.ask_pattern()
        entries = dialog.ready.entries
        preset, linear = entries["preset:norms"], entries["class:Linear"]
        assert preset.isHidden()
        settle(qtbot, joined)
        assert preset.isHidden()
        assert preset.parent().isHidden()
        shown = {pattern for pattern, item in entries.items() if not item.isHidden()}
        assert {"class:Linear", "class:ReLU"} <= shown
        dialog.which_box.setCurrentIndex(dialog.which_box.findData("parameters"))
        qtbot.waitUntil(lambda: entries["class:ReLU"].isHidden())
        assert not linear.parent().isHidden()
        dialog.which_box.setCurrentIndex(0)
        qtbot.waitUntil(lambda: not entries["class:ReLU"].isHidden())
        dialog.reject()
        settle(qtbot, joined)


MEASURED = {
    "input": False,
    "output": True,
    "gradient": True,
    "value": True,
    "parameter gradient": True,
    "optimizer gradient": True,
    "update": True,
}


def checked(window) -> set[str]:
    return {
        kind for kind, command in KINDS.items() if window.registry.action(command.id).isChecked()
    }


class TestMeasured:
    def test_a_forward_has_neither_gradients_nor_updates(self, qtbot, opened):
        assert checked(opened) == {"output"}
        update = opened.registry.action("model.measure_update")
        assert not update.isEnabled()
        assert "choose training in Run settings" in update.toolTip()
        trigger(opened, "model.measure_input")
        select(opened, "body.0")
        trigger(opened, "model.watch")
        assert asked(opened, Watch)[-1].kinds == ("input", "output")

    def test_a_loop_without_its_optimizer_says_so(self, qtbot, window):
        window.session.backend.disabled = {"update": "It was not given."}
        window.session.attach("unix:/nowhere/socket", TOKEN)
        qtbot.waitUntil(lambda: window.training.state is not None)
        update = window.registry.action("model.measure_update")
        assert not update.isEnabled()
        assert "It was not given." in update.toolTip()
        assert window.registry.action("model.measure_parameter_gradient").isEnabled()

    def test_one_has_to_stay(self, qtbot, opened):
        trigger(opened, "model.measure_output")
        assert checked(opened) == {"output"}
        assert "something has to be measured" in opened.notices.text

    def test_training_steps_have_all_that_was_chosen(self, qtbot, opened):
        select(opened, "body.0")
        trigger(opened, "model.watch")
        settle(qtbot, opened)
        opened.live._run_as_asked(RunSettings(trains=True))
        settle(qtbot, opened)
        assert asked(opened, Watch)[-1].kinds == tuple(k for k, on in MEASURED.items() if on)
        assert checked(opened) == {kind for kind, on in MEASURED.items() if on}

    def test_what_is_watched_now_is_measured_anew(self, qtbot, joined):
        assert checked(joined) == {kind for kind, on in MEASURED.items() if on}
        trigger(joined, "model.measure_gradient")
        settle(qtbot, joined)
        request = asked(joined, Watch)[-1]
        assert request.rows == [1, 3]
        assert "gradient" not in request.kinds
        assert "gradient" not in checked(joined)
        trigger(joined, "model.measure_gradient")
        settle(qtbot, joined)
        assert "gradient" in asked(joined, Watch)[-1].kinds

    def test_series_of_what_is_no_longer_measured_are_not_drawn(self, qtbot, joined):
        backend = joined.session.backend
        backend.series = [
            Series(key=0, row=1, leaf=""),
            Series(key=1, row=1, leaf="", kind="gradient"),
        ]
        trigger(joined, "model.measure_gradient")
        settle(qtbot, joined)
        assert [one.kind for one in joined.live.series] == ["output", "output"]

    def test_rows_of_which_nothing_is_left_are_let_go_of(self, qtbot, joined):
        for kind in ("value", "parameter_gradient", "optimizer_gradient", "update"):
            trigger(joined, f"model.measure_{kind}")
        table = joined.tree_model.table
        assert not joined.live.watchable[table.role == Role.PARAMETER].any()
        trigger(joined, "model.measure_value")
        trigger(joined, "model.measure_gradient")
        trigger(joined, "model.measure_output")
        settle(qtbot, joined)
        assert asked(joined, Unwatch)[-1].rows == [1, 3]
        assert joined.live.measured.kinds == ("value",)
        select(joined, "body.0")
        assert not joined.registry.action("model.watch").isEnabled()

    def test_a_choice_is_remembered_for_loops_and_for_runs(self, qtbot, joined, window):
        trigger(joined, "model.measure_update")
        again = Measured(joined._settings)
        again.begin(live=True)
        assert "update" not in again.kinds
        again.begin(live=False)
        again.steps = True
        assert "update" in again.kinds


class TestExact:
    def test_is_a_state_of_the_rows_selected(self, qtbot, opened):
        exact = opened.registry.action("model.exact")
        select(opened, "body.0")
        assert not exact.isEnabled()
        trigger(opened, "model.watch")
        qtbot.waitUntil(exact.isEnabled)
        assert not exact.isChecked()
        trigger(opened, "model.exact")
        qtbot.waitUntil(lambda: opened.live.exact == {4})
        assert exact.isChecked()
        assert asked(opened, SetExact)[-1] == SetExact(rows=[4], exact=True)
        select(opened, "body.2")
        assert not exact.isChecked()
        select(opened, "body.0")
        assert exact.isChecked()
        trigger(opened, "model.watch")
        settle(qtbot, opened)
        assert exact.isChecked()
        trigger(opened, "model.exact")
        qtbot.waitUntil(lambda: not opened.live.exact)
        assert not exact.isChecked()

    def test_another_window_may_have_asked_for_it(self, qtbot, joined):
        joined.session.backend.probe_states = [ProbeState(row=1, state="fired", exact=True)]
        joined.tree_panel.view.select_row(1)
        qtbot.waitUntil(joined.registry.action("model.exact").isChecked)

    def test_comes_back_with_a_lost_worker(self, qtbot, opened):
        select(opened, "body.0")
        trigger(opened, "model.watch")
        settle(qtbot, opened)
        trigger(opened, "model.exact")
        settle(qtbot, opened)
        opened.session.lose("The worker died.", "")
        opened.session.backend.exact = set()
        opened.session.restart()
        qtbot.waitUntil(lambda: opened.live.exact == {4})

    def test_stands_beside_the_facts_of_the_row(self, qtbot, joined):
        line = joined.detail_panel.probe_line
        joined.session.backend.probe_states = [
            ProbeState(row=1, state="fired", fired=1200, exact=True, share=0.0041)
        ]
        joined.tree_panel.view.select_row(1)
        words = "Watched: fired 1,200 times, exact statistics, takes 0.41% of a step"
        qtbot.waitUntil(lambda: line.text() == words)
        assert line.isVisible()
        joined.tree_panel.view.select_row(2)
        assert not line.isVisible()
        joined.tree_panel.view.select_row(1)
        trigger(joined, "model.unwatch_all")
        qtbot.waitUntil(lambda: not line.isVisible())
