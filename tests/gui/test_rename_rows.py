from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.rename_rows import RenameRows
from inspector_app.protocol.messages import Rename


@pytest.fixture
def rows(qtbot) -> RenameRows:
    rows = RenameRows()
    qtbot.addWidget(rows)
    rows.show()
    return rows


def test_an_empty_row_says_nothing(qtbot, rows):
    assert rows.renames == []
    with qtbot.waitSignal(rows.changed):
        rows._rows[0].old.setText("module.")
    assert rows.renames == [Rename(old="module.", new="")]
    rows._rows[0].new.setText("module.")  # becomes what it is
    assert rows.renames == []


def test_rows_are_added_and_removed(qtbot, rows):
    first = rows._rows[0]
    first.old.setText("a.")
    qtbot.mouseClick(first.add_button, Qt.MouseButton.LeftButton)
    second = rows._rows[1]
    assert first.add_button.isHidden()
    second.new.setText("b.")
    assert rows.renames == [Rename(old="a."), Rename(old="", new="b.")]
    with qtbot.waitSignal(rows.changed):
        qtbot.mouseClick(first.remove_button, Qt.MouseButton.LeftButton)
    assert rows.renames == [Rename(old="", new="b.")]
    qtbot.mouseClick(second.remove_button, Qt.MouseButton.LeftButton)  # the last one is emptied
    assert rows.renames == []
    assert not second.add_button.isHidden()
