from __future__ import annotations

from PySide6.QtCore import Qt

from inspector_app.gui.panels.pattern_line import PatternLine
from inspector_app.protocol.presets import PRESETS


def test_ready_selections_are_added_to_what_is_typed(qtbot):
    line = PatternLine("pattern", "pattern of something")
    qtbot.addWidget(line)
    line.show()
    qtbot.keyClicks(line, "encoder.*")
    qtbot.keyClick(line, Qt.Key.Key_Down)
    assert line.menu.isVisible()
    titles = [action.text() for action in line.menu.actions()]
    assert titles == [info.title.capitalize() for info in PRESETS.values()]
    with qtbot.waitSignal(line.suggested):
        line.menu.actions()[0].trigger()
    line.menu.actions()[0].trigger()  # stands there already
    assert line.patterns == ["encoder.*", next(iter(PRESETS))]
    line.menu.close()
