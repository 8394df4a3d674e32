"""The real window, and a model that waits where it is told to."""

from __future__ import annotations

import pytest

from inspector_app.gui import app
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from tests.program.working import Place
from widgets.theme import ThemeManager


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def window(qtbot, qapp, tmp_path):
    app.make_application()
    before = qapp.palette(), qapp.styleSheet(), qapp.font()
    themes = ThemeManager(qapp, "light")
    window = MainWindow(ClientSession(), Settings(tmp_path / "settings.ini"), themes)
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close_now()
    themes.deleteLater()
    qapp.setPalette(before[0])
    qapp.setStyleSheet(before[1])
    qapp.setFont(before[2])
