"""Of which step to come a tensor is kept."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QSpinBox

from inspector_app.gui.panels.capture_dialog import CaptureDialog


def made(qtbot, *arguments) -> CaptureDialog:
    dialog = CaptureDialog(*arguments)
    qtbot.addWidget(dialog)
    return dialog


def test_what_was_chosen_comes_back(qtbot):
    dialog = made(qtbot, 2, 1_234, 1_300)
    assert (dialog.wanted, dialog.step) == ("output", 1_300)
    assert dialog.hint.text() == "Step 1,234 is the last so far. Of 2 rows, as a whole."
    dialog.findChild(QComboBox).setCurrentIndex(1)
    dialog.findChild(QSpinBox).setValue(1_400)
    dialog.accept()
    assert (dialog.wanted, dialog.step) == ("gradient", 1_400)


def test_a_step_that_is_over_cannot_be_chosen(qtbot):
    dialog = made(qtbot, 1, 0, 1)
    assert dialog.hint.text() == "No step has run so far. Of 1 row, as a whole."
    assert dialog.ok.isEnabled()
    dialog.tell(1)
    assert not dialog.ok.isEnabled()
    assert "choose one that is still to come" in dialog.hint.text()
    dialog.findChild(QSpinBox).setValue(2)
    assert dialog.ok.isEnabled()
