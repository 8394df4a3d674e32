from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from widgets.disclosure import Disclosure


def make(qtbot, height: int = 200) -> Disclosure:
    content = QWidget()
    column = QVBoxLayout(content)
    label = QLabel("inside")
    label.setFixedHeight(height)
    column.addWidget(label)
    disclosure = Disclosure("More", content)
    qtbot.addWidget(disclosure)
    disclosure.show()
    return disclosure


def test_it_is_closed_until_it_is_asked_for(qtbot):
    disclosure = make(qtbot)
    assert not disclosure.content.isVisible()
    with qtbot.waitSignal(disclosure.toggled) as toggled:
        qtbot.mouseClick(disclosure.button, Qt.MouseButton.LeftButton)
    opened, height = toggled.args
    assert opened
    assert height >= 200
    assert disclosure.opened
    assert disclosure.content.isVisible()
    disclosure.open()  # is open already
    qtbot.keyClick(disclosure.button, Qt.Key.Key_Space)
    assert not disclosure.content.isVisible()


def test_where_there_is_little_room_it_scrolls(qtbot):
    disclosure = make(qtbot, height=600)
    disclosure.open()
    disclosure.resize(300, 200)
    assert disclosure.content.height() < 200
    assert disclosure.content.verticalScrollBar().maximum() > 0
    disclosure.resize(300, 900)
    assert disclosure.content.verticalScrollBar().maximum() == 0
    assert disclosure.content.height() < 700  # not more than it needs


def test_the_title_may_change(qtbot):
    disclosure = make(qtbot)
    disclosure.set_title("More (2 set)")
    assert disclosure.button.text() == "More (2 set)"
