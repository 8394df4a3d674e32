from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow

from inspector_app.gui.commands import SEPARATOR, Command, CommandRegistry, Submenu, ids_in

OPEN = Command("file.open", "&Open…", "open", "Ctrl+O", "Open a model or a checkpoint.")
FREEZE = Command("edit.freeze", "&Freeze && hold", "freeze", "F; Ctrl+Shift+F", "Freeze rows.")
DARK = Command("view.dark", "&Dark", help="Dark colours.", checkable=True)


@pytest.fixture
def window(qtbot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


@pytest.fixture
def registry(window) -> CommandRegistry:
    registry = CommandRegistry(window)
    registry.done = []
    registry.register(OPEN, lambda: registry.done.append("open"))
    registry.register(FREEZE, lambda: registry.done.append("freeze"))
    registry.register(DARK, lambda checked: registry.done.append(("dark", checked)))
    return registry


def test_a_command_runs_from_its_action(registry):
    registry.action("file.open").trigger()
    registry.action("view.dark").trigger()
    registry.action("view.dark").trigger()
    assert registry.done == ["open", ("dark", True), ("dark", False)]


def test_a_check_mark_set_from_elsewhere_runs_nothing(registry):
    registry.set_checked("view.dark", True)
    assert registry.action("view.dark").isChecked()
    assert registry.done == []


def test_keys_run_commands_wherever_the_focus_is(qtbot, window, registry):
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(window, Qt.Key.Key_F)
    assert registry.done == ["open", "freeze"]


def test_a_disabled_command_says_why(registry):
    registry.set_enabled("edit.freeze", False, "A checkpoint has nothing to train.")
    action = registry.action("edit.freeze")
    assert not action.isEnabled()
    assert action.toolTip().splitlines()[-1] == "A checkpoint has nothing to train."
    assert action.statusTip() == "A checkpoint has nothing to train."
    registry.set_enabled("edit.freeze", True, "not told")
    assert action.isEnabled()
    assert action.toolTip().splitlines() == [
        "Freeze & hold (F; Ctrl+Shift+F)",
        "Freeze rows.",
    ]


def test_a_command_is_registered_once(registry):
    with pytest.raises(ValueError, match="registered twice"):
        registry.register(OPEN, lambda: None)
    with pytest.raises(ValueError, match="edit"):
        registry.register(Command("edit.other", "Other", shortcut="Ctrl+Shift+F"), lambda: None)


def test_an_unknown_command_is_an_error(registry):
    with pytest.raises(KeyError):
        registry.action("file.nothing")
    with pytest.raises(KeyError):
        registry.menu("Menu", ["file.nothing"])


def test_menus_and_toolbars_come_from_ids(window, registry):
    ids = ["file.open", SEPARATOR, "edit.freeze"]
    bar = window.addToolBar("Main")
    registry.fill(bar, ids)
    menus = registry.menu_bar(window.menuBar(), {"&File": ids, "&View": ["view.dark"]})
    for actions in (bar.actions(), menus[0].actions()):
        assert [action.objectName() for action in actions] == ["file.open", "", "edit.freeze"]
        assert actions[1].isSeparator()
    assert [action.text() for action in window.menuBar().actions()] == ["&File", "&View"]
    assert menus[0].actions()[0] is registry.action("file.open")
    assert menus[0].toolTipsVisible()


def test_menus_hold_menus(window, registry):
    copy = Submenu("&Freezing", "freeze", ("edit.freeze", SEPARATOR, "view.dark"))
    menu = registry.menu("Menu", ["file.open", copy])
    below = menu.actions()[1].menu()
    assert below.title() == "&Freezing"
    assert [action.objectName() for action in below.actions()] == ["edit.freeze", "", "view.dark"]
    assert ids_in(["file.open", copy, SEPARATOR]) == ["file.open", "edit.freeze", "view.dark"]


def test_the_help_page_lists_all_keys(registry):
    assert registry.shortcuts() == [
        ("File", "Open", "Ctrl+O", "Open a model or a checkpoint."),
        ("Edit", "Freeze & hold", "F; Ctrl+Shift+F", "Freeze rows."),
    ]
    assert [command.id for command in registry.commands] == [
        "file.open",
        "edit.freeze",
        "view.dark",
    ]
