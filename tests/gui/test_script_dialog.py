from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from inspector_app.gui.panels.script_dialog import ScriptDialog
from inspector_app.protocol.messages import Script


@pytest.fixture
def dialog(qtbot, tmp_path) -> ScriptDialog:
    script = Script(text="import torch\n", notes=["“Load w.pt” reads /x/w.pt."])
    dialog = ScriptDialog(script, str(tmp_path / "edits.py"))
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_it_is_shown_and_copied(qtbot, dialog):
    assert dialog.code.text() == "import torch\n"
    assert "reads /x/w.pt" in dialog.notes.text()
    QGuiApplication.clipboard().clear()
    qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "import torch\n"


def test_it_is_saved_wholly_or_not_at_all(dialog, tmp_path):
    path = tmp_path / "edits.py"
    dialog.save(str(path))
    assert path.read_text() == "import torch\n"
    assert dialog.summary.tone == "good"
    dialog.save(str(tmp_path / "nowhere" / "edits.py"))
    assert dialog.summary.tone == "danger"
    assert "cannot be written" in dialog.summary.text()
    assert [file.name for file in tmp_path.iterdir()] == ["edits.py"]
