from __future__ import annotations

import pytest

from inspector_app.gui.command_list import (
    COMMANDS,
    CONTEXT,
    LIVE_BAR,
    MENUS,
    THEMES,
    TOOLBAR,
    Situation,
    reasons,
)
from inspector_app.gui.commands import ids_in
from inspector_app.gui.tree_commands import COLUMNS_MENU, SORT_MENU

KNOWN = {command.id for command in COMMANDS}
OF_COLUMNS = {*ids_in(COLUMNS_MENU.entries), *ids_in(SORT_MENU.entries)}


def test_menus_and_bars_speak_of_commands_there_are():
    used = {name for bar in (TOOLBAR, LIVE_BAR, CONTEXT, *MENUS.values()) for name in ids_in(bar)}
    assert used <= KNOWN | OF_COLUMNS
    assert {name for menu in MENUS.values() for name in ids_in(menu)} == KNOWN | OF_COLUMNS


def test_every_command_says_what_it_does():
    for command in (*COMMANDS, *THEMES.values()):
        assert command.help.endswith(".")
        assert command.text.count("&") == 1


def test_nothing_but_opening_can_be_done_at_first():
    blocked = reasons(Situation())
    assert set(blocked) <= KNOWN | OF_COLUMNS
    assert all(blocked.values())
    assert "file.open" not in blocked


def open_model(**more) -> dict[str, str]:
    return reasons(Situation(is_open=True, **more))


def test_a_selection_can_be_edited_and_modules_watched():
    blocked = open_model(selected=1)
    assert not blocked["edit.freeze"]
    assert blocked["model.watch"]
    assert not open_model(selected=1, selected_watchable=1)["model.watch"]
    assert open_model()["edit.freeze"]


def test_the_reason_of_a_checkpoint_is_told():
    reason = "A bare checkpoint has no modules."
    blocked = open_model(selected=1, selected_modules=1, disabled={"freeze": reason, "run": reason})
    assert blocked["edit.freeze"] == blocked["model.run_once"] == reason
    assert not blocked["file.export"]


def test_a_process_that_runs_by_itself_is_not_restarted():
    assert not open_model()["model.restart"]
    for lost in (False, True):
        assert "attach to it" in open_model(attached=True, is_lost=lost)["model.restart"]
    assert "restart it" in open_model(is_lost=True)["edit.undo"]
    assert "attach to it" in open_model(is_lost=True, attached=True)["edit.undo"]


def test_a_running_model_can_only_be_stopped():
    blocked = open_model(running=True)
    assert blocked["model.run_once"]
    assert not blocked["model.stop"]
    assert open_model()["model.stop"]


def test_a_lost_worker_leaves_the_restart():
    blocked = reasons(Situation(is_lost=True, is_open=True, selected=1, selected_modules=1))
    assert not blocked["model.restart"]
    for name in ("edit.freeze", "file.export", "model.run_once", "edit.undo"):
        assert "restart" in blocked[name]


@pytest.mark.parametrize(
    ("more", "possible"),
    [({}, False), ({"undo_title": "Freeze"}, True), ({"undo_title": "", "dead_end": "x"}, False)],
)
def test_undo_needs_an_edit_that_can_be_undone(more, possible):
    assert (not open_model(**more)["edit.undo"]) is possible
