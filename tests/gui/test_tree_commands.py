from __future__ import annotations

from inspector_app.gui.commands import ids_in
from inspector_app.gui.models.columns import Column
from inspector_app.gui.tree_commands import (
    COLUMNS_MENU,
    COPY_MENU,
    COPYING,
    FINDING,
    HEADER_MENU,
    SHOWING,
    SORT_MENU,
    SORTING,
    TREE_KEYS,
    tree_reasons,
)


def test_every_column_can_be_sorted_by_and_all_but_the_names_hidden():
    assert set(SORTING) == set(Column)
    assert set(SHOWING) == set(Column) - {Column.NAME}
    assert set(ids_in(SORT_MENU.entries)) >= {command.id for command in SORTING.values()}
    assert set(ids_in(COLUMNS_MENU.entries)) >= {command.id for command in SHOWING.values()}
    assert set(ids_in(HEADER_MENU)) == {*ids_in(SORT_MENU.entries), *ids_in(COLUMNS_MENU.entries)}


def test_every_command_of_the_tree_knows_when_it_can_be_carried_out():
    commands = [*COPYING, *FINDING, *SHOWING.values(), *SORTING.values()]
    blocked = tree_reasons("Nothing is open.", 0, 0)
    assert all(blocked[command.id] == "Nothing is open." for command in commands)
    blocked = tree_reasons("", 0, 0)
    assert all("Select rows" in blocked[name] for name in ids_in(COPY_MENU.entries))
    assert blocked["edit.find_next"] == "The filter found no row to go to."
    assert not blocked["edit.find"]
    assert not any(tree_reasons("", 1, 1).values())


def test_keys_of_the_tree_are_told():
    assert all(line.keys and line.help.endswith(".") for line in TREE_KEYS)
    assert {line.section for line in TREE_KEYS} == {"In the tree"}
