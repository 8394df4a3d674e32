from __future__ import annotations

import pytest

from inspector_app.gui.command_list import Situation, reasons
from inspector_app.gui.commands import ids_in
from inspector_app.gui.watch_commands import WATCHING, WATCHING_CONTEXT, WATCHING_MENU

KNOWN = [command.id for command in WATCHING]


def blocked(**more) -> dict[str, str]:
    return {name: why for name, why in reasons(Situation(**more)).items() if name in KNOWN}


def test_every_command_stands_in_the_menu_once_and_says_when_it_can_be_used():
    assert sorted(ids_in(WATCHING_MENU)) == sorted(KNOWN) == sorted(blocked())
    assert set(ids_in(WATCHING_CONTEXT)) < set(KNOWN)


@pytest.mark.parametrize("name", ["watch_all_leaves", "watch_pattern"])
def test_what_is_chosen_of_the_whole_model_needs_no_selection(name):
    assert not blocked(is_open=True)[f"model.{name}"]
    refused = blocked(is_open=True, disabled={"watch": "A checkpoint has no modules."})
    assert refused[f"model.{name}"] == "A checkpoint has no modules."


def test_the_others_need_what_they_speak_of():
    alone = blocked(is_open=True, selected=1)
    assert "module" in alone["model.watch_class"]
    assert not blocked(is_open=True, selected=1, selected_modules=1)["model.watch_class"]
    assert "Select rows" in blocked(is_open=True)["model.watch_below"]
    assert not alone["model.watch_below"]
    assert "filter" in alone["model.watch_found"]
    assert not blocked(is_open=True, matches=2)["model.watch_found"]
    assert "Watch it first" in alone["model.exact"]
    assert not blocked(is_open=True, selected=1, selected_watched=1)["model.exact"]
