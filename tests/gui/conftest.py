"""Fixtures for tests of the window, without torch and without a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector_app.gui import app
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from inspector_app.protocol.table import RowTable
from tests.gui.fake_session import FakeSession
from tests.gui.tables import small_table
from widgets.theme import ThemeManager


@pytest.fixture
def table() -> RowTable:
    """A small model with one of everything."""
    return small_table()


@pytest.fixture
def fake_session(qapp) -> Iterator[FakeSession]:
    """A session with nothing open; ``open_target`` opens the small model."""
    session = FakeSession()
    yield session
    session.shutdown()
    session.deleteLater()


@pytest.fixture
def opened_session(qtbot, fake_session) -> FakeSession:
    """A session in which the small model is open."""
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return fake_session


@pytest.fixture
def worker_command() -> list[str]:
    """Starts the worker of tests/gui/fake_worker.py, which has no torch to import."""
    return [sys.executable, "-m", "tests.gui.fake_worker"]


@pytest.fixture
def in_the_clone(monkeypatch) -> None:
    """Workers run in the current folder: let them find the tests there."""
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.fixture
def window(qtbot, qapp, fake_session, tmp_path) -> Iterator[MainWindow]:
    """The main window on a session with nothing open."""
    app.make_application()
    before = qapp.palette(), qapp.styleSheet(), qapp.font()
    themes = ThemeManager(qapp, "light")
    window = MainWindow(fake_session, Settings(tmp_path / "settings.ini"), themes)
    qtbot.addWidget(window)
    window.resize(1200, 800)
    window.show()
    yield window
    window.close_now()
    themes.deleteLater()
    qapp.setPalette(before[0])
    qapp.setStyleSheet(before[1])
    qapp.setFont(before[2])
