"""Watching many rows at once, and all elements of them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.watch_pattern_dialog import WatchPatternDialog
from inspector_app.protocol.messages import PlanWatch, ProbeState, SetExact, Watch
from inspector_app.protocol.table import Role
from tests.gui.windows import asked, settle, trigger


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
        place = dialog.ready.visualItemRect(dialog.ready.entries["preset:norms"]).center()
        settle(qtbot, opened)
        dialog.ready.entries["preset:norms"].setDisabled(False)
        qtbot.mouseClick(dialog.ready.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert dialog.pattern.text() == "preset:norms"
        dialog.reject()
        settle(qtbot, opened)


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
