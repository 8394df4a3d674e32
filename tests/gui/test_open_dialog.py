from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.open_dialog import OpenDialog, kind_of


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def make(hidden): ...\ndef build_model(): ...\n")
    return file


@pytest.fixture
def open_dialog(qtbot):
    def make(path: str = "") -> OpenDialog:
        dialog = OpenDialog(path=path)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: not dialog.factory.reading)
        return dialog

    return make


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("", "nothing"),
        ("model.py", "python"),
        ("/some/where/model.py:make", "python"),
        ("package.module", "python"),
        ("package:make", "python"),
        ("sample:mlp", "sample"),
        ("weights.safetensors", "checkpoint"),
        ("weights.pt", "checkpoint"),
        ("/some/where/file", "checkpoint"),
        ("model.safetensors.index.json", "index"),
        (".", "folder"),
    ],
)
def test_targets_by_their_spelling(target, kind):
    assert kind_of(target) == kind


def test_nothing_can_be_opened_at_first(open_dialog):
    dialog = open_dialog()
    assert not dialog.open_button.isEnabled()
    assert "drop one onto the window" in dialog.hint.text() or (
        "drop one onto the window" in dialog.about.sentence
    )


def test_the_dialog_makes_a_target(qtbot, open_dialog, file, tmp_path):
    dialog = open_dialog(str(file))
    assert dialog.open_button.isEnabled()
    assert dialog.choice.target == f"{file}:build_model"
    dialog.factory.line.setText("make")
    assert not dialog.open_button.isEnabled()
    assert dialog.hint.text() == "hidden is required: type its value."
    dialog.factory.form.fields["hidden"].setText("32")
    dialog.device.setCurrentIndex(1)
    dialog.seed.setValue(7)
    dialog.state.setText(str(tmp_path / "missing.pt"))
    assert not dialog.open_button.isEnabled()
    assert "no checkpoint" in dialog.hint.text()
    (tmp_path / "w.pt").write_bytes(b"")
    dialog.state.setText(str(tmp_path / "w.pt"))
    assert dialog.open_button.isEnabled()
    qtbot.keyClick(dialog.state, Qt.Key.Key_Return)
    choice = dialog.choice
    assert (choice.target, choice.arguments) == (f"{file}:make", {"hidden": 32})
    assert (choice.device, choice.seed) == ("meta", 7)
    assert choice.state == str(tmp_path / "w.pt")
    assert dialog.result() == OpenDialog.DialogCode.Accepted


def test_a_factory_in_the_path_is_taken(open_dialog, file):
    dialog = open_dialog(f"{file}:make")
    assert dialog.factory.line.text() == "make"
    dialog.factory.form.fields["hidden"].setText("1")
    assert dialog.choice.target == f"{file}:make"


def test_another_file_has_other_factories(qtbot, open_dialog, file, tmp_path):
    dialog = open_dialog(str(file))
    other = tmp_path / "other.py"
    other.write_text("def get_net(): ...\n")
    dialog.path.setText(str(other))
    assert not dialog.open_button.isEnabled()  # it has not been read yet
    qtbot.waitUntil(dialog.open_button.isEnabled)
    assert dialog.choice.target == f"{other}:get_net"


def test_a_checkpoint_asks_for_no_factory(open_dialog, tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"")
    dialog = open_dialog(str(weights))
    assert dialog.pages.currentWidget() is dialog.about
    assert not dialog.state.isEnabled()
    assert not dialog.device.isEnabled()
    assert dialog.choice.target == str(weights)
    assert dialog.open_button.isEnabled()


def test_a_folder_can_have_a_state(open_dialog, tmp_path):
    dialog = open_dialog(str(tmp_path))
    assert "Hugging Face" in dialog.about.sentence
    assert dialog.state.isEnabled()
    assert dialog.open_button.isEnabled()


def test_what_is_not_there_is_told(open_dialog, tmp_path):
    for name in ("missing.py", "missing.pt"):
        dialog = open_dialog(str(tmp_path / name))
        assert dialog.hint.text() == f"There is no file {tmp_path / name}."
        assert not dialog.open_button.isEnabled()


def test_a_sample_shows_its_arguments(open_dialog):
    dialog = open_dialog("sample:mlp")
    assert dialog.factory.list.topLevelItemCount() > 0
    assert dialog.choice.target == "sample:mlp"
    assert dialog.open_button.isEnabled()


def test_tab_goes_from_the_factories_to_their_arguments(qtbot, open_dialog, file):
    dialog = open_dialog(str(file))
    dialog.factory.list.setFocus()
    qtbot.keyClick(dialog.factory.list, Qt.Key.Key_Down)
    assert dialog.factory.name == "make"
    qtbot.keyClick(dialog.factory.list, Qt.Key.Key_Tab)
    assert dialog.focusWidget() is dialog.factory.form.fields["hidden"]
    qtbot.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
    assert dialog.focusWidget() is dialog.device
