from __future__ import annotations

from inspector_app.gui.command_list import Situation, reasons
from inspector_app.gui.commands import ids_in
from inspector_app.gui.edit_commands import EDITING, EDITING_MENU, FREEZE_READY
from inspector_app.protocol.presets import PRESETS

KNOWN = [command.id for command in EDITING]


def test_every_command_stands_in_the_menu_once():
    assert sorted(ids_in(EDITING_MENU)) == sorted(KNOWN)


def test_every_ready_selection_has_a_command():
    assert list(FREEZE_READY) == list(PRESETS)
    assert all(command.text.endswith("…") for command in FREEZE_READY.values())


def blocked(**more) -> dict[str, str]:
    return {name: why for name, why in reasons(Situation(**more)).items() if name in KNOWN}


def test_what_needs_a_selection_waits_for_one():
    alone = blocked(is_open=True)
    for name in ("edit.freeze", "edit.hold", "edit.release", "edit.initialize"):
        assert "Select rows" in alone[name]
        assert not blocked(is_open=True, selected=1)[name]
    for name in ("edit.freeze_pattern", "edit.freeze_norms"):
        assert not alone[name]


def test_what_is_still_initial_needs_a_checkpoint_that_left_some():
    for name in ("edit.initialize_initial", "edit.freeze_initial"):
        assert "No checkpoint" in blocked(is_open=True)[name]
        assert not blocked(is_open=True, initial=3)[name]


def test_a_checkpoint_and_a_lost_process_tell_their_reasons():
    disabled = {"freeze": "A checkpoint has no modules.", "initialize": "It is only read."}
    told = blocked(is_open=True, selected=1, initial=1, disabled=disabled)
    assert told["edit.hold"] == told["edit.freeze_biases"] == "A checkpoint has no modules."
    assert told["edit.initialize_initial"] == "It is only read."
    assert all("restart" in why for why in blocked(is_open=True, is_lost=True, selected=1).values())
