from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QDialogButtonBox

from inspector_app.gui.panels.open_dialog import (
    OpenDialog,
    factories_in,
    needs_factory,
    parse_arguments,
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}x", fullmatch=True), plain, max_size=4))
def test_arguments_are_read_as_python_writes_them(arguments):
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    assert parse_arguments(text) == arguments


@pytest.mark.parametrize(
    "text", ["5", "hidden", "hidden=f()", "**{}", "a=1)(b=2", "a=b'x'", "a={1: 2}", "a=1 b=2"]
)
def test_arguments_that_are_none_are_told(text):
    with pytest.raises(ValueError, match=r"[.]$"):
        parse_arguments(text)


def test_factories_are_read_without_running_the_file(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "raise SystemExit\ndef build_model(): ...\nclass Net: ...\ndef _hidden(): ...\n"
    )
    assert factories_in(file) == ["build_model", "Net"]
    file.write_text("def (")
    assert factories_in(file) == []


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("model.py", True),
        ("/some/where/model.py", True),
        ("package.module", True),
        ("package", True),
        ("weights.safetensors", False),
        ("/some/where/file", False),
        ("sample:mlp", False),
    ],
)
def test_only_code_has_a_factory(target, code):
    assert needs_factory(target) is code


def test_the_dialog_makes_a_target(qtbot, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def make(hidden): ...\n")
    dialog = OpenDialog(path=str(file))
    qtbot.addWidget(dialog)
    button = dialog.buttons.button(QDialogButtonBox.StandardButton.Open)
    assert dialog.factory.findText("make") >= 0
    dialog.factory.setCurrentText("make")
    dialog.arguments.setText("hidden=")
    assert not button.isEnabled()
    assert dialog.hint.tone == "danger"
    dialog.arguments.setText("hidden=32")
    dialog.device.setCurrentIndex(1)
    dialog.seed.setValue(7)
    assert button.isEnabled()
    dialog.accept()
    choice = dialog.choice
    assert (choice.target, choice.arguments) == (f"{file}:make", {"hidden": 32})
    assert (choice.device, choice.seed) == ("meta", 7)


def test_a_checkpoint_asks_for_no_factory(qtbot, tmp_path):
    dialog = OpenDialog(path=str(tmp_path / "weights.safetensors"))
    qtbot.addWidget(dialog)
    assert not dialog.factory.isEnabled()
    assert dialog.choice.target == str(tmp_path / "weights.safetensors")
    dialog.path.setText(str(tmp_path / "missing.py"))
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Open).isEnabled()
    assert "There is no file" in dialog.hint.text()
