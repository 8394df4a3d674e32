from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.factories import Argument, Factory
from inspector_app.gui.panels.factory_form import FactoryForm, signature
from inspector_app.protocol.errors import RequestError

SOURCE = '''
import torch
raise SystemExit("never run")

class Net(torch.nn.Module):
    """A network."""
    def __init__(self, hidden, depth=2): ...

def build_model(width: int = 8):
    """The usual one.

    With more to say."""
'''


@pytest.fixture
def form(qtbot) -> FactoryForm:
    form = FactoryForm()
    qtbot.addWidget(form)
    form.show()
    return form


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    return str(path)


def read(qtbot, form, target, wanted="") -> None:
    form.read(target, wanted)
    assert form.reading
    qtbot.waitUntil(lambda: not form.reading)


def test_a_file_is_listed_without_being_run(qtbot, form, file):
    read(qtbot, form, file)
    items = [form.list.topLevelItem(at) for at in range(form.list.topLevelItemCount())]
    assert [(item.text(0), item.text(1)) for item in items] == [
        ("build_model(width=8)", "The usual one."),
        ("Net(hidden, depth=2)", "A network."),
    ]
    assert form.name == "build_model"  # the likeliest, though nothing was chosen
    assert list(form.form.fields) == ["width"]
    assert form.arguments == {}


def test_one_is_chosen_with_the_keyboard_or_by_its_name(qtbot, form, file):
    read(qtbot, form, file)
    form.list.setFocus()
    qtbot.keyClick(form.list, Qt.Key.Key_Down)
    assert form.line.text() == "Net"
    with pytest.raises(RequestError, match="hidden is required"):
        _ = form.arguments
    form.line.setText("build_model")
    assert form.list.currentItem().text(0).startswith("build_model")
    form.line.setText("made_elsewhere")
    assert form.list.currentItem() is None
    assert form.form.others.isVisible()
    form.form.others.setText("depth=3")
    assert (form.name, form.arguments) == ("made_elsewhere", {"depth": 3})
    form.line.setText("no name")
    with pytest.raises(RequestError, match="Name the function"):
        _ = form.name


def test_the_one_named_in_the_target_is_chosen(qtbot, form, file):
    read(qtbot, form, f"{file}:Net", "Net")
    assert form.name == "Net"
    assert "hidden" in form.form.fields


def test_a_file_that_cannot_be_read_says_why(qtbot, form, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def (")
    read(qtbot, form, str(broken))
    assert "SyntaxError" in form.problem.text()
    broken.write_text("x = 1")
    read(qtbot, form, str(broken))
    assert "type the name of one" in form.problem.text()
    form.forget()
    assert form.problem.text() == ""


def test_the_newest_file_wins(qtbot, form, file, tmp_path):
    form.read(str(tmp_path / "missing.py"))
    read(qtbot, form, file)
    assert form.list.topLevelItemCount() == 2
    assert form.problem.text() == ""


def test_signatures():
    arguments = (
        Argument(name="a"),
        Argument(name="b", default="1", required=False, keyword_only=True),
        Argument(name="c", keyword_only=True),
    )
    assert signature(Factory(name="f", kind="function", arguments=arguments, more=True)) == (
        "f(a, *, b=1, c, **)"
    )
