from PySide6.QtCore import Qt

from widgets.suggest_line import Suggestion, SuggestLine


def make(qtbot) -> SuggestLine:
    line = SuggestLine([Suggestion("One file", ""), Suggestion("Two", "2 GB", "More of it")])
    qtbot.addWidget(line)
    line.show()
    return line


def test_what_is_taken_replaces_the_text(qtbot):
    line = make(qtbot)
    line.setText("typed")
    with qtbot.waitSignal(line.suggested) as suggested:
        line.menu.actions()[1].trigger()
    assert suggested.args == ["2 GB"]
    assert line.text() == "2 GB"
    line.menu.actions()[0].trigger()
    assert line.text() == ""
    assert line.menu.actions()[1].toolTip() == "More of it"


def test_down_opens_the_menu_and_other_keys_type(qtbot):
    line = make(qtbot)
    qtbot.keyClicks(line, "5 MB")
    assert line.text() == "5 MB"
    assert not line.menu.isVisible()
    qtbot.keyClick(line, Qt.Key.Key_Down)
    assert line.menu.isVisible()
    line.menu.close()
