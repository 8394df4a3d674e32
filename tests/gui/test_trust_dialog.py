from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.trust_dialog import TrustDialog
from inspector_app.protocol.messages import Import, Trust

KNOWN = Import(name="torch.nn.modules.linear.Linear", known=True)
UNKNOWN = Import(name="my_models.Net", known=False)
SOURCE = "class Net(nn.Module):\n    pass\n"


@pytest.fixture
def dialog(qtbot):
    def make(trust: Trust) -> TrustDialog:
        dialog = TrustDialog("model.pt", trust)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


def test_neither_return_nor_escape_means_yes(qtbot, dialog):
    one = dialog(Trust(imports=[KNOWN]))
    assert not one.load_button.isEnabled()
    one.accept()
    assert one.isVisible()
    qtbot.keyClick(one, Qt.Key.Key_Return)
    assert not one.isVisible()
    assert one.result() == TrustDialog.DialogCode.Rejected
    one.show()
    one.trusted.setChecked(True)
    qtbot.keyClick(one.trusted, Qt.Key.Key_Return)  # still means cancel
    assert one.result() == TrustDialog.DialogCode.Rejected


def test_the_explicit_word(qtbot, dialog):
    one = dialog(Trust(imports=[KNOWN]))
    one.trusted.click()
    assert not one.load_button.isDefault()
    with qtbot.waitSignal(one.accepted):
        qtbot.mouseClick(one.load_button, Qt.MouseButton.LeftButton)


def test_unknown_imports_stand_first(dialog):
    one = dialog(Trust(imports=[KNOWN, UNKNOWN]))
    assert "1 name that is not known to be harmless" in one.summary.text()
    first, second = one.list.topLevelItem(0), one.list.topLevelItem(1)
    assert first.text(0) == "Not known to be harmless: 1"
    assert first.isExpanded()
    assert first.child(0).text(0) == "my_models.Net"
    assert second.child(0).text(0) == KNOWN.name
    assert "all of torch or Python" in dialog(Trust(imports=[KNOWN])).summary.text()


def test_the_source_a_file_carries_can_be_read(dialog):
    one = dialog(Trust(imports=[UNKNOWN], source={"my_models.Net": SOURCE}))
    assert one.code.text() == SOURCE
    assert one.code.isVisible()
