import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QTextEdit, QToolButton

from tests.widgets.conftest import image_of
from widgets.facts_view import FactLine, FactsView
from widgets.theme import DARK, LIGHT


@pytest.fixture
def view(qtbot):
    view = FactsView()
    qtbot.addWidget(view)
    view.resize(300, 200)
    view.show()
    return view


SECTIONS = [
    ("Tensor", [FactLine("Bytes", "4.2 MB", "4,194,304 bytes"), FactLine("Dtype", "float32")]),
    ("Saved", [FactLine("state_dict", "No, it is left out", tone="warning")]),
]


def colour_of(view, words):
    document = view.findChild(QTextEdit).document()
    return document.find(words).charFormat().foreground().color()


def test_everything_is_in_the_text(view):
    view.set_sections("fc1.weight", SECTIONS)
    shown = view.findChild(QTextEdit).toPlainText()
    for word in ("fc1.weight", "Tensor", "Bytes", "4.2 MB", "float32", "No, it is left out"):
        assert word in shown


def test_copying_gives_exact_values(view, qtbot):
    view.set_sections("fc1.weight", SECTIONS)
    view.findChild(QToolButton).click()
    assert QGuiApplication.clipboard().text() == (
        "fc1.weight\n\nTensor\nBytes: 4,194,304 bytes\nDtype: float32\n\n"
        "Saved\nstate_dict: No, it is left out"
    )
    QGuiApplication.clipboard().clear()


def test_exact_values_are_tooltips(view):
    view.set_sections("fc1.weight", SECTIONS)
    document = view.findChild(QTextEdit).document()
    found = document.find("4.2 MB")
    assert found.charFormat().toolTip() == "4,194,304 bytes"


def test_tones_follow_the_theme(view, manager):
    view.set_sections("fc1.weight", SECTIONS)
    assert colour_of(view, "left out") == LIGHT.warning
    assert colour_of(view, "float32") == LIGHT.text
    manager.choose("dark")
    assert colour_of(view, "left out") == DARK.warning
    assert colour_of(view, "float32") == DARK.text


def test_markup_is_text(view):
    view.set_sections("<b>x</b>", [("", [FactLine("<i>", "<img src=x>")])])
    shown = view.findChild(QTextEdit).toPlainText()
    assert "<b>x</b>" in shown
    assert "<img src=x>" in shown


def test_the_same_title_keeps_its_place(view):
    many = [("Many", [FactLine(f"line {number}", str(number)) for number in range(60)])]
    view.set_sections("a", many)
    image_of(view)
    bar = view.findChild(QTextEdit).verticalScrollBar()
    bar.setValue(200)
    view.set_sections("a", many)
    assert bar.value() == 200
    view.set_sections("b", many)
    assert bar.value() == 0


def test_a_long_word_never_needs_a_sideways_scroll(view):
    view.set_sections("a" * 400, [("Ties", [FactLine("Tied to", "decoder." * 60)])])
    image_of(view)
    assert view.findChild(QTextEdit).horizontalScrollBar().maximum() == 0


def test_clearing_hides_the_copy_button(view):
    view.set_sections("fc1.weight", SECTIONS)
    assert view.findChild(QToolButton).isVisible()
    view.clear()
    assert not view.findChild(QToolButton).isVisible()
    assert view.text() == ""


def test_what_was_written_while_hidden_is_shown_from_the_top(qtbot):
    view = FactsView()
    qtbot.addWidget(view)
    view.resize(300, 100)
    view.set_sections("a", [("Many", [FactLine(str(number), "x") for number in range(40)])])
    view.show()
    image_of(view)
    view.resize(260, 120)
    image_of(view)
    assert view.findChild(QTextEdit).verticalScrollBar().value() == 0
