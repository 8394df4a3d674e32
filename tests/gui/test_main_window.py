"""The main window against a session that answers from plain data."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QByteArray, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QMenu, QPushButton, QToolButton

from inspector_app.gui import app
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.models.columns import Column
from inspector_app.gui.panels.export_dialog import ExportDialog
from inspector_app.gui.panels.freeze_pattern_dialog import FreezePatternDialog
from inspector_app.gui.panels.initialize_dialog import InitializeDialog
from inspector_app.gui.panels.open_dialog import OpenDialog
from inspector_app.gui.panels.script_dialog import ScriptDialog
from inspector_app.gui.panels.trust_dialog import TrustDialog
from inspector_app.gui.settings import Settings
from inspector_app.protocol.errors import ModelError, TargetError
from inspector_app.protocol.messages import (
    Freeze,
    HoldStatistics,
    Import,
    Initialize,
    LoadState,
    Open,
    Replay,
    Run,
    Selection,
    Trust,
    Undo,
    Verify,
    Watch,
)
from inspector_app.protocol.table import Flag
from tests.gui.fake_session import FakeSession
from tests.gui.windows import asked, settle, trigger
from widgets.tree_row import TreeRole


@pytest.fixture
def opened(qtbot, window):
    window.opening.open("fake.py:make")
    qtbot.waitUntil(lambda: window.session.target is not None)
    settle(qtbot, window)
    return window


def is_frozen(window, row: int) -> bool:
    table = window.tree_model.table
    return not table.has(table.position(row), Flag.REQUIRES_GRAD)


# -- opening ---------------------------------------------------------------------------------------


def test_the_empty_window_offers_to_open(qtbot, window):
    assert window.windowTitle() == "Model Inspector"
    assert window.pages.currentWidget() is window.welcome
    assert not window.live_panel.isVisible()
    qtbot.mouseClick(window.welcome.open_button, Qt.MouseButton.LeftButton)
    dialog = window.findChild(OpenDialog)
    assert dialog is not None
    dialog.reject()


def test_an_opened_target_fills_the_window(opened):
    assert opened.windowTitle() == "make - Model Inspector"
    assert opened.pages.currentWidget() is opened.splitter
    assert opened.live_panel.isVisible()
    assert "7 modules" in opened.totals.label.text()
    assert opened.centre.target_line.text().startswith("fake.py:make")
    assert opened.selected.rows == [0]


def test_a_target_that_does_not_open_is_told_and_costs_nothing(qtbot, window):
    window.session.answers[Open] = TargetError("There is no file nowhere.py.")
    window.opening.open("nowhere.py:make")
    assert window.pages.currentWidget() is window.centre.waiting
    qtbot.waitUntil(lambda: window.notices.text == "There is no file nowhere.py.")
    assert window.pages.currentWidget() is window.welcome


def test_a_second_target_that_fails_leaves_the_first(qtbot, opened):
    opened.session.answers[Open] = TargetError("No.")
    opened.opening.open("nowhere.py:make")
    qtbot.waitUntil(lambda: opened.notices.text == "No.")
    assert opened.pages.currentWidget() is opened.splitter
    assert len(opened.tree_model.table) == 17


def test_dropped_files_are_opened(window, tmp_path, qtbot):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "weights.safetensors"))])
    window.opening.dropped(data, QPoint())
    assert asked(window, Open)[-1].target == str(tmp_path / "weights.safetensors")
    (tmp_path / "net.py").write_text("def make(): ...\n")
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "net.py"))])
    window.opening.dropped(data, QPoint())
    dialog = window.findChild(OpenDialog)
    assert dialog.path.text() == str(tmp_path / "net.py")
    dialog.reject()
    settle(qtbot, window)


# -- edits -----------------------------------------------------------------------------------------


def test_freeze_undo_and_redo_from_the_keyboard(qtbot, opened):
    opened.tree_panel.view.select_row(4)
    qtbot.keyClick(opened, Qt.Key.Key_F)
    settle(qtbot, opened)
    assert is_frozen(opened, 5)
    assert is_frozen(opened, 6)
    assert opened.history_model.rowCount() == 1
    assert "2 tensors" in opened.notices.text
    qtbot.keyClick(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(qtbot, opened)
    assert asked(opened, Undo)
    assert not is_frozen(opened, 5)
    assert not opened.history_model.entries[0].done
    trigger(opened, "edit.redo")
    settle(qtbot, opened)
    assert is_frozen(opened, 5)


def test_space_and_the_box_toggle(qtbot, opened):
    view = opened.tree_panel.view
    view.select_row(12)
    qtbot.keyClick(view, Qt.Key.Key_Space)
    settle(qtbot, opened)
    assert is_frozen(opened, 13)
    assert is_frozen(opened, 2)  # tied
    qtbot.keyClick(view, Qt.Key.Key_Space)
    settle(qtbot, opened)
    assert not is_frozen(opened, 13)
    assert [request.frozen for request in asked(opened, Freeze)] == [True, False]


def test_totals_follow_an_edit(qtbot, opened):
    opened.tree_panel.view.select_row(0)
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    assert "0 trainable" in opened.totals.label.text()


def test_freezing_by_pattern_through_the_dialog(qtbot, opened):
    trigger(opened, "edit.freeze_pattern")
    dialog = opened.findChild(FreezePatternDialog)
    dialog.pattern.setText("body.2")
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    qtbot.mouseClick(dialog.apply_button, Qt.MouseButton.LeftButton)
    settle(qtbot, opened)
    assert asked(opened, Freeze)[-1].selection == Selection(patterns=["body.2"])
    assert is_frozen(opened, 9)


def test_initialising_through_the_dialog(qtbot, opened):
    opened.tree_panel.view.select_row(5)
    trigger(opened, "edit.initialize")
    dialog = opened.findChild(InitializeDialog)
    dialog.scheme_box.setCurrentText("zeros_")
    dialog.seed_box.setValue(3)
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    qtbot.mouseClick(dialog.apply_button, Qt.MouseButton.LeftButton)
    settle(qtbot, opened)
    request = asked(opened, Initialize)[-1]
    assert (request.scheme.name, request.seed) == ("zeros_", 3)
    assert request.selection == Selection(rows=[5])


def test_statistics_are_held_and_let_go_from_the_keyboard(qtbot, opened):
    opened.tree_panel.view.select_row(8)
    qtbot.keyClick(opened, Qt.Key.Key_H)
    settle(qtbot, opened)
    qtbot.keyClick(opened, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    settle(qtbot, opened)
    assert [request.held for request in asked(opened, HoldStatistics)] == [True, False]
    assert [entry.kind for entry in opened.history_model.entries] == ["hold", "release"]


def test_a_ready_selection_opens_the_dialog_with_it(qtbot, opened):
    trigger(opened, "edit.freeze_norms")
    dialog = opened.findChild(FreezePatternDialog)
    assert dialog.pattern.text() == "preset:norms"
    settle(qtbot, opened)
    dialog.reject()


def test_what_is_still_initial_is_initialised_where_there_is_some(qtbot, opened):
    action = opened.registry.action("edit.initialize_initial")
    assert not action.isEnabled()
    opened.session.request(LoadState(path="w.safetensors", fit=True), lambda _: None)
    settle(qtbot, opened)
    trigger(opened, "edit.initialize_initial")
    dialog = opened.findChild(InitializeDialog)
    assert dialog.selection == Selection(patterns=["preset:initial"])
    assert "still initial" in dialog.selected.text()
    settle(qtbot, opened)
    dialog.reject()


def test_an_error_is_a_line_in_place(qtbot, opened):
    opened.session.answers[Freeze] = ModelError("It cannot be frozen.")
    trigger(opened, "edit.freeze")
    qtbot.waitUntil(lambda: opened.notices.text == "It cannot be frozen.")


def test_a_notice_moves_nothing(qtbot, opened):
    opened.notices.dismiss()
    before = opened.tree_panel.mapTo(opened, QPoint(0, 0))
    opened.tell("Something happened.")
    qtbot.waitUntil(opened.notices.isVisible)
    qtbot.wait(20)
    assert opened.tree_panel.mapTo(opened, QPoint(0, 0)) == before


# -- live ------------------------------------------------------------------------------------------


def test_watching_and_running_fill_the_grid(qtbot, opened):
    trigger(opened, "model.watch_leaves")
    settle(qtbot, opened)
    assert asked(opened, Watch)[-1].rows == [1, 4, 7, 8, 12]
    assert opened.live.watched == {1, 4, 7, 8, 12}
    trigger(opened, "model.run_once")
    qtbot.waitUntil(lambda: bool(asked(opened, Run)) and not opened.live.running)
    settle(qtbot, opened)
    assert asked(opened, Run)[-1].fields is None  # the file has example_inputs()
    assert "1 forward" in opened.live_panel.line.text()
    opened.live_panel.views.grid.grid.series_clicked.emit(opened.live.series[1].key)
    assert opened.selected.rows == [4]
    trigger(opened, "model.unwatch_all")
    settle(qtbot, opened)
    assert opened.live.watched == set()
    assert "Select modules" in opened.live_panel.empty.sentence


def test_an_endless_run_is_stopped(qtbot, opened):
    trigger(opened, "model.watch_leaves")
    settle(qtbot, opened)
    trigger(opened, "model.run_repeatedly")
    qtbot.waitUntil(lambda: opened.live.running)
    assert not opened.registry.action("model.run_once").isEnabled()
    trigger(opened, "model.stop")
    qtbot.waitUntil(lambda: not opened.live.running)
    assert opened.registry.action("model.run_once").isEnabled()


def test_a_model_that_raises_is_told_in_place(qtbot, opened):
    opened.session.answers[Run] = ModelError("forward raised ValueError: no.", "traceback")
    trigger(opened, "model.run_once")
    qtbot.waitUntil(lambda: "ValueError" in opened.live_panel.line.text())
    assert opened.live_panel.line.tone == "danger"
    assert "ValueError" in opened.notices.text


@pytest.mark.parametrize("said_since", ["", "Saved."])
def test_the_next_run_takes_away_what_the_one_before_said(qtbot, opened, said_since):
    opened.session.answers[Run] = ModelError("forward raised ValueError: no.", "traceback")
    trigger(opened, "model.run_once")
    qtbot.waitUntil(lambda: "ValueError" in opened.notices.text)
    if said_since:
        opened.tell(said_since)
    del opened.session.answers[Run]
    trigger(opened, "model.run_once")
    assert opened.live.running
    assert opened.notices.text == said_since
    settle(qtbot, opened)


def test_a_checkpoint_says_in_place_why_nothing_runs(qtbot, window):
    reason = "A bare checkpoint has nothing to run."
    window.session.backend.kind = "checkpoint"
    window.session.backend.disabled = dict.fromkeys(
        ("freeze", "initialize", "watch", "run"), reason
    )
    window.opening.open("weights.safetensors")
    qtbot.waitUntil(lambda: window.session.target is not None)
    settle(qtbot, window)
    assert window.live_panel.empty.sentence == reason
    action = window.registry.action("edit.freeze")
    assert not action.isEnabled()
    assert reason in action.toolTip()
    assert window.registry.action("file.export").isEnabled()
    view = window.tree_panel.view
    view.select_row(4)
    qtbot.keyClick(view, Qt.Key.Key_Space)
    settle(qtbot, window)
    assert not asked(window, Freeze)


# -- export ----------------------------------------------------------------------------------------


def test_export_from_the_menu(qtbot, opened, tmp_path):
    opened.tree_panel.view.select_row(3)
    trigger(opened, "file.export")
    dialog = opened.findChild(ExportDialog)
    assert "body" in dialog.form.selected.text()
    dialog.path.setText(str(tmp_path / "out.safetensors"))
    qtbot.waitUntil(dialog.export_button.isEnabled)
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.exported is not None)
    dialog.close()


def test_a_folder_once_used_for_exports_is_offered_again(qtbot, opened, tmp_path):
    trigger(opened, "file.export")
    dialog = opened.findChild(ExportDialog)
    dialog.path.setText(str(tmp_path / "deep" / "out.safetensors"))
    qtbot.waitUntil(lambda: dialog.summary.text() == f"There is no folder {tmp_path / 'deep'}.")
    assert not dialog.export_button.isEnabled()
    (tmp_path / "deep").mkdir()
    dialog.path.setText(str(tmp_path / "deep" / "out2.safetensors"))
    qtbot.waitUntil(dialog.export_button.isEnabled)
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.exported is not None)
    dialog.close()
    again = opened.files.ask_export([], "")
    assert again.path.text() == str(tmp_path / "deep" / "make-export.safetensors")
    again.close()


def test_an_open_export_dialog_hides_no_failure(qtbot, opened, tmp_path):
    trigger(opened, "file.export")
    dialog = opened.findChild(ExportDialog)
    opened.session.answers[Open] = TargetError("There is no file nowhere.py.")
    opened.opening.open("nowhere.py:make")
    qtbot.waitUntil(lambda: opened.notices.text == "There is no file nowhere.py.")
    assert opened.notices.isVisible()
    assert dialog.isVisible()  # its target is still the open one
    dialog.close()


def test_the_edits_are_copied_as_python(qtbot, opened):
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    trigger(opened, "edit.copy_script")
    settle(qtbot, opened)
    dialog = opened.findChild(ScriptDialog)
    assert QGuiApplication.clipboard().text() == dialog.code.text()
    assert "# Freeze rows" in dialog.code.text()
    dialog.close()


def test_a_state_is_laid_on_and_its_rest_initialised(qtbot, opened):
    dialog = opened.states.compare("weights.pt")
    settle(qtbot, opened)
    assert opened.tree_model.index_of(13).data(TreeRole.LOOK).note == "missing"
    dialog.table.selectRow(2)
    assert opened.selected.rows == [5]
    dialog.fit_button.click()
    settle(qtbot, opened)
    assert "3 rows are still at the initial value" in opened.notices.text
    assert opened.tree_model.index_of(13).data(TreeRole.LOOK).note == ""
    buttons = {button.text(): button for button in opened.notices.findChildren(QPushButton)}
    buttons["Initialise them…"].click()
    initialize = opened.findChild(InitializeDialog)
    assert initialize.selection == Selection(patterns=["preset:initial"])
    initialize.reject()
    trigger(opened, "edit.undo")
    settle(qtbot, opened)
    table = opened.tree_model.table
    assert not ((table.flags & Flag.INITIAL) != 0).any()


def test_what_was_opened_before_stands_on_the_first_page(qtbot, window):
    window.opening.open("fake.py:make", {"hidden": 8})
    settle(qtbot, window)
    window._show_welcome()
    button = window.welcome.findChild(QToolButton, "welcomeRecent_0")
    assert button.text() == "fake.py:make(hidden=8)"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert [request.arguments for request in asked(window, Open)] == [{"hidden": 8}] * 2


def test_a_pickled_model_can_be_trusted_from_the_menu(qtbot, window):
    window.session.backend.trust = Trust(imports=[Import(name="my_models.Net", known=False)])
    window.opening.open("m.pt")
    settle(qtbot, window)
    trigger(window, "file.trust")
    dialog = window.findChild(TrustDialog)
    dialog.trusted.setChecked(True)
    dialog.load_button.click()
    settle(qtbot, window)
    assert asked(window, Open)[-1].trusted
    assert not window.registry.action("file.trust").isEnabled()


def test_a_file_is_verified_against_the_open_model(qtbot, opened):
    dialog = opened.files.verify(["out.safetensors"])
    qtbot.waitUntil(lambda: dialog.summary.tone == "good")
    assert asked(opened, Verify)[-1].against == "."
    dialog.close()


# -- the worker ------------------------------------------------------------------------------------


def test_the_window_outlives_its_worker_and_replays(qtbot, opened):
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    opened.session.lose("The worker crashed (signal 6).", "one\nAborted")
    assert "signal 6" in opened.notices.text
    assert "Aborted" in opened.notices.text
    assert not opened.registry.action("edit.freeze").isEnabled()
    assert opened.registry.action("model.restart").isEnabled()
    opened.supervision.restart()
    settle(qtbot, opened)
    assert asked(opened, Replay)
    assert is_frozen(opened, 5)
    assert opened.history_model.rowCount() == 1
    assert opened.notices.tone == "good"
    assert opened.detail_panel.facts.isVisible()
    assert opened.registry.action("edit.freeze").isEnabled()


def test_a_stuck_cancel_offers_the_end_of_the_process(qtbot, opened):
    opened.session.cancel_stuck.emit(99)  # of a question without a label: nobody waits for it
    assert "does not stop" not in opened.notices.text
    opened.session.job_started.emit(98, "Running")
    opened.session.cancel_stuck.emit(98)
    assert "does not stop" in opened.notices.text
    opened.session.job_ended.emit(97)
    assert "does not stop" in opened.notices.text
    opened.session.job_ended.emit(98)
    assert opened.notices.text == ""


def test_output_is_kept_for_whoever_asks(opened):
    opened.session.output.emit("hello from the model")
    trigger(opened, "model.output")
    assert "hello from the model" in opened.supervision.output.text.toPlainText()
    opened.supervision.output.close()


# -- the window ------------------------------------------------------------------------------------


def test_docks_and_their_commands_agree(qtbot, opened):
    assert opened.registry.action("view.history").isChecked()
    trigger(opened, "view.history")
    assert not opened.history_panel.isVisible()
    trigger(opened, "view.history")
    assert opened.history_panel.isVisible()


def test_docks_columns_and_splitter_are_there_again_at_the_next_start(qtbot, opened, tmp_path):
    trigger(opened, "view.history")
    trigger(opened, "view.column_mode")
    opened.splitter.setSizes([300, 900])
    left, right = opened.splitter.sizes()
    opened.close()
    settings = Settings(tmp_path / "settings.ini")
    again = MainWindow(FakeSession(), settings, opened._themes)
    qtbot.addWidget(again)
    again.show()
    assert not again.live_panel.isVisible()  # nothing is open yet
    again.opening.open("fake.py:make")
    qtbot.waitUntil(lambda: again.session.target is not None)
    settle(qtbot, again)
    assert again.live_panel.isVisible()
    assert not again.history_panel.isVisible()
    assert not again.registry.action("view.history").isChecked()
    assert Column.MODE in again.tree_panel.columns.shown
    # The screen of the tests is smaller than the window was: the share is what is kept.
    sizes = again.splitter.sizes()
    assert sizes[0] / sum(sizes) == pytest.approx(left / (left + right), abs=0.05)
    again.close()
    again.session.deleteLater()


def test_a_window_that_opened_nothing_forgets_nothing(qtbot, window, tmp_path):
    state = QByteArray(b"of another time")
    Settings(tmp_path / "settings.ini").window_state = state
    again = MainWindow(FakeSession(), Settings(tmp_path / "settings.ini"), window._themes)
    qtbot.addWidget(again)
    again.show()
    again.close()
    again.session.deleteLater()
    assert Settings(tmp_path / "settings.ini").window_state == state


def test_keys_of_the_tree_in_the_window(qtbot, opened):
    view, line = opened.tree_panel.view, opened.tree_panel.filter
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    view.select_row(5)
    qtbot.keyClick(opened, Qt.Key.Key_C, control)
    assert QGuiApplication.clipboard().text().split("\n")[1].startswith("body.0.weight\tParameter")
    assert not opened.registry.action("edit.find_next").isEnabled()
    qtbot.keyClick(opened, Qt.Key.Key_F, control)
    qtbot.keyClicks(line, "bias")
    qtbot.keyClick(opened, Qt.Key.Key_F3)
    assert opened.selected.rows == [6]
    qtbot.keyClick(opened, Qt.Key.Key_F3)
    assert opened.selected.rows == [10]
    qtbot.keyClick(opened, Qt.Key.Key_F3, shift)
    assert opened.selected.rows == [6]
    qtbot.keyClick(opened, Qt.Key.Key_F1, shift)
    assert opened.tree_panel.help.isVisible()
    opened.tree_panel.help.close()
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert line.text() == ""
    opened.tree_panel.view.select_row(3)
    qtbot.keyClick(view, Qt.Key.Key_Asterisk)
    assert view.isExpanded(opened.tree_model.index_of(4))


def test_the_theme_is_remembered(opened, tmp_path):
    trigger(opened, "view.theme_dark")
    assert Settings(tmp_path / "settings.ini").theme == "dark"
    assert opened.registry.action("view.theme_dark").isChecked()
    assert not opened.registry.action("view.theme_light").isChecked()


def test_the_context_menu_and_help_show_commands(qtbot, opened):
    opened._show_context_menu(QPoint(5, 5))
    menu = opened.findChild(QMenu, "contextMenu")
    assert opened.registry.action("edit.freeze") in menu.actions()
    menu.close()
    trigger(opened, "help.shortcuts")
    dialog = opened.findChild(QDialog, "shortcutsDialog")
    assert dialog.list.topLevelItemCount() >= 4
    dialog.close()


def test_a_mistake_of_ours_is_told(opened, capsys):
    import sys

    with app.told_of_errors(opened):
        try:
            raise RuntimeError("oops")
        except RuntimeError as error:
            sys.excepthook(type(error), error, error.__traceback__)
    assert "oops" in opened.notices.text
    assert "RuntimeError: oops" in capsys.readouterr().err


def test_closing_ends_the_worker(opened):
    opened.close()
    assert opened.session.stopped


def test_edits_in_no_file_are_asked_about_before_the_window_closes(qtbot, opened):
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    opened.close()
    assert opened.isVisible()
    assert not opened.session.stopped
    assert "in no file yet" in opened.notices.text
    notice_button(opened, "Discard and close the window").click()
    assert not opened.isVisible()
    assert opened.session.stopped


def test_edits_in_no_file_are_asked_about_before_another_target_opens(qtbot, opened):
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    opened.opening.open("other.py:make")
    assert len(asked(opened, Open)) == 1
    notice_button(opened, "Export…").click()
    dialog = opened.findChild(ExportDialog)
    assert dialog is not None
    dialog.close()
    opened.opening.open("other.py:make")
    notice_button(opened, "Discard and open the other target").click()
    assert asked(opened, Open)[-1].target == "other.py:make"
    settle(qtbot, opened)


def test_an_interrupt_asks_nothing(qtbot, opened):
    trigger(opened, "edit.freeze")
    settle(qtbot, opened)
    opened.close_now()
    assert opened.session.stopped


def notice_button(window, text: str):
    return next(button for button in window.notices._actions if button.text() == text)
