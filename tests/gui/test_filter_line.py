from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.filter_line import FilterLine

Key = Qt.Key


@pytest.fixture
def line(qtbot, table):
    line = FilterLine(lambda: table)
    qtbot.addWidget(line)
    line.resize(400, 30)
    line.show()
    return line


def test_return_and_down_leave_for_the_tree(qtbot, line):
    for key in (Key.Key_Return, Key.Key_Down):
        with qtbot.waitSignal(line.left):
            qtbot.keyClick(line, key)
    with qtbot.waitSignal(line.escaped):
        qtbot.keyClick(line, Key.Key_Escape)
    with qtbot.waitSignal(line.help_asked):
        line.help_action.trigger()


def test_a_completion_that_is_chosen_is_taken_by_return(qtbot, line):
    qtbot.keyClicks(line, "class:Li")
    assert line.completions.isVisible()
    qtbot.keyClick(line.completions, Key.Key_Down)
    with qtbot.assertNotEmitted(line.left):
        qtbot.keyClick(line.completions, Key.Key_Return)
    assert line.text() == "class:Linear"
    assert not line.completions.isVisible()


def test_without_a_choice_return_leaves(qtbot, line):
    qtbot.keyClicks(line, "class:Li")
    with qtbot.waitSignal(line.left):
        qtbot.keyClick(line.completions, Key.Key_Return)
    assert not line.completions.isVisible()
    assert line.text() == "class:Li"


def test_escape_closes_the_completions_first(qtbot, line):
    qtbot.keyClicks(line, "tied:")
    with qtbot.assertNotEmitted(line.escaped):
        qtbot.keyClick(line.completions, Key.Key_Escape)
    assert not line.completions.isVisible()


def test_a_completion_replaces_what_was_typed_before_the_cursor(qtbot, line):
    qtbot.keyClicks(line, "dtype:fl bias")
    line.setCursorPosition(8)
    line._offer()
    line.completer_list.activated[str].emit("float32")
    assert line.text() == "dtype:float32 bias"
    assert line.cursorPosition() == len("dtype:float32")
