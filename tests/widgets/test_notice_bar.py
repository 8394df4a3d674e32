import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit, QPushButton, QToolButton, QVBoxLayout, QWidget

from tests.widgets.conftest import count_colour, image_of
from widgets.notice_bar import NoticeBar
from widgets.theme import DARK, LIGHT


@pytest.fixture
def bar(qtbot):
    bar = NoticeBar()
    qtbot.addWidget(bar)
    bar.resize(600, 40)
    return bar


def tool(bar, name):
    return next(b for b in bar.findChildren(QToolButton) if b.accessibleName() == name)


def test_hidden_until_there_is_something_to_say(bar):
    assert bar.isHidden()
    assert bar.text == ""
    bar.show_notice("Saved.", "good")
    assert not bar.isHidden()
    assert (bar.text, bar.tone) == ("Saved.", "good")
    bar.dismiss()
    assert bar.text == ""


def test_an_action_dismisses_and_is_carried_out(bar, qtbot):
    done = []
    bar.show_notice("Lost.", "danger", [("Restart", lambda: done.append("restart"))])
    bar.findChild(QPushButton).click()
    assert done == ["restart"]
    assert bar.isHidden()


def test_an_action_may_show_the_next_notice(bar):
    bar.show_notice("Lost.", "danger", [("Restart", lambda: bar.show_notice("Restarting."))])
    bar.findChild(QPushButton).click()
    assert bar.text == "Restarting."
    visible = [button for button in bar.findChildren(QPushButton) if button.isVisible()]
    assert visible == []


def test_a_new_notice_takes_the_place_of_the_old(bar, qtbot):
    bar.show_notice("One", "info", [("A", int), ("B", int)])
    bar.show_notice("Two", "warning", [("C", int)])
    qtbot.waitUntil(lambda: [b.text() for b in bar.findChildren(QPushButton)] == ["C"])


def test_details_can_be_copied(bar):
    bar.show_notice("Lost.", "danger", detail="Traceback")
    tool(bar, "Copy the details").click()
    assert QGuiApplication.clipboard().text() == "Traceback"
    bar.show_notice("Fine.", "good")
    assert tool(bar, "Copy the details").isHidden()
    QGuiApplication.clipboard().clear()


def test_escape_and_the_cross_dismiss(bar, qtbot):
    bar.show_notice("One")
    qtbot.keyClick(bar, Qt.Key.Key_Escape)
    assert bar.isHidden()
    bar.show_notice("Two")
    tool(bar, "Dismiss").click()
    assert bar.isHidden()


@pytest.mark.parametrize("tone", ["info", "good", "warning", "danger"])
def test_tones_are_painted_in_both_themes(bar, manager, tone):
    bar.show_notice("Text", tone)
    assert count_colour(image_of(bar), LIGHT.tone(tone).name()) >= 4 * bar.height()
    manager.choose("dark")
    assert count_colour(image_of(bar), DARK.tone(tone).name()) >= 4 * bar.height()


def test_markup_is_text(bar):
    bar.show_notice("<b>x</b> & y")
    assert bar.text == "<b>x</b> & y"


def test_a_long_notice_wraps(bar):
    bar.show_notice("word " * 100, "info", [("Go on", int)])
    assert bar.heightForWidth(300) > bar.heightForWidth(2000)


def test_a_question_takes_the_keyboard(bar, qtbot):
    bar.show_notice("Something happened.")
    bar.focus_action()  # there is none
    for words in ("first", "second"):
        bar.show_notice("Sure?", "warning", [(words, lambda: None), ("No", lambda: None)])
        bar.focus_action()
        assert bar.window().focusWidget().text() == words
    pressed = []
    bar.show_notice("Sure?", "warning", [("Yes", lambda: pressed.append("Yes"))])
    bar.focus_action()
    qtbot.keyClick(bar.window().focusWidget(), Qt.Key.Key_Return)
    assert pressed == ["Yes"]


def test_the_keyboard_stays_or_comes_back(qtbot):
    window = QWidget()
    column = QVBoxLayout(window)
    line, bar = QLineEdit(), NoticeBar()
    column.addWidget(line)
    column.addWidget(bar)
    qtbot.addWidget(window)
    window.show()
    line.setFocus()
    bar.show_notice("Sure?", "warning", [("Yes", lambda: None)])
    qtbot.mouseClick(bar.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert window.focusWidget() is line
    bar.show_notice("Sure?", "warning", [("Yes", lambda: None)])
    bar.focus_action()
    assert window.focusWidget() is not line
    qtbot.keyClick(bar, Qt.Key.Key_Escape)
    assert window.focusWidget() is line
