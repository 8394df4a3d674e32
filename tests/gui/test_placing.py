from __future__ import annotations

import pytest
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from inspector_app.gui.panels.placing import keep_on_screen, show_below_notices


@pytest.fixture
def window(qtbot) -> QWidget:
    window = QWidget()
    bar = QWidget()
    bar.setObjectName("targetLine")
    bar.setFixedHeight(40)
    column = QVBoxLayout(window)
    column.addWidget(bar)
    column.addStretch(1)
    window.setGeometry(50, 50, 500, 300)
    qtbot.addWidget(window)
    window.show()
    return window


def notices_end(window) -> int:
    bar = window.findChild(QWidget, "targetLine")
    return bar.mapToGlobal(bar.rect().bottomLeft()).y()


def test_a_dialog_leaves_the_notices_free(window):
    dialog = QDialog(window)
    dialog.resize(200, 150)
    show_below_notices(dialog, window)
    assert dialog.isVisible()
    assert dialog.frameGeometry().top() > notices_end(window)
    centre = window.frameGeometry().center().x()
    assert abs(dialog.frameGeometry().center().x() - centre) < 4


def test_a_high_dialog_stays_on_the_screen(window):
    dialog = QDialog(window)
    room = dialog.screen().availableGeometry()
    dialog.resize(200, room.height() - 60)
    show_below_notices(dialog, window)
    assert room.top() <= dialog.frameGeometry().top() < notices_end(window)
    assert dialog.frameGeometry().bottom() <= room.bottom()


def test_what_grows_beyond_the_bottom_moves_up(qtbot, window):
    dialog = QDialog(window)
    dialog.resize(200, 100)
    dialog.show()
    room = dialog.screen().availableGeometry()
    dialog.move(50, room.bottom() - 120)
    keep_on_screen(dialog)
    assert dialog.frameGeometry().top() == room.bottom() - 120
    dialog.resize(200, 400)
    keep_on_screen(dialog)
    assert dialog.frameGeometry().bottom() <= room.bottom()
