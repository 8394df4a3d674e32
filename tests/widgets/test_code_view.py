import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QToolButton

from tests.widgets.conftest import image_of
from widgets.code_view import CodeView
from widgets.theme import DARK, LIGHT

SOURCE = '''@final
class Net(Module):
    """Two lines
    of if and 42."""

    def forward(self, x):  # if
        return "def" + f'{x}' * 0x1F or None
'''


@pytest.fixture
def view(qtbot):
    view = CodeView()
    qtbot.addWidget(view)
    view.resize(500, 260)
    view.show()
    view.set_source("net.py, line 95", SOURCE, 95)
    return view


def colour_of(view, word, line):
    """Colour of a word in a line counted from 0."""
    block = view.findChild(QPlainTextEdit).document().findBlockByNumber(line)
    start = block.text().index(word)
    for part in block.layout().formats():
        if part.start <= start < part.start + part.length:
            return part.format.foreground().color().name()
    return None


def test_words_have_their_colours(view):
    assert colour_of(view, "@final", 0) == LIGHT.attribute.name()
    assert colour_of(view, "class", 1) == LIGHT.module.name()
    assert colour_of(view, "Net", 1) == LIGHT.parameter.name()
    assert colour_of(view, "Module", 1) is None
    assert colour_of(view, "self", 5) == LIGHT.tensor.name()
    assert colour_of(view, "# if", 5) == LIGHT.muted.name()
    assert colour_of(view, '"def"', 6) == LIGHT.good.name()
    assert colour_of(view, "f'", 6) == LIGHT.good.name()
    assert colour_of(view, "0x1F", 6) == LIGHT.tensor.name()
    assert colour_of(view, "or", 6) == LIGHT.module.name()


def test_a_long_string_is_one_string(view):
    assert colour_of(view, "Two", 2) == LIGHT.good.name()
    assert colour_of(view, "if", 3) == LIGHT.good.name()
    assert colour_of(view, "42", 3) == LIGHT.good.name()
    assert colour_of(view, "def", 5) == LIGHT.module.name()


def test_colours_follow_the_theme(view, manager):
    manager.choose("dark")
    assert colour_of(view, "class", 1) == DARK.module.name()


def test_the_text_is_read_only_and_copied_whole(view):
    assert view.findChild(QPlainTextEdit).isReadOnly()
    view.findChild(QToolButton).click()
    assert QGuiApplication.clipboard().text() == SOURCE
    QGuiApplication.clipboard().clear()


def test_the_margin_fits_the_largest_number(view):
    margin = view.findChild(QPlainTextEdit).viewport().x()
    view.set_source("big.py", SOURCE, 12_345_678)
    assert view.findChild(QPlainTextEdit).viewport().x() > margin
    image_of(view)


def test_line_numbers_are_painted(view):
    before = image_of(view)
    view.set_source("net.py, line 95", SOURCE, 11)
    assert image_of(view) != before


def test_clearing(view):
    view.clear()
    assert view.text() == ""
    assert not view.findChild(QToolButton).isVisible()
