"""Fixtures for tests of the window, without torch and without a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector_app.gui.main_window import MainWindow
from inspector_app.protocol.table import RowTable
from tests.gui.fake_session import FakeSession
from tests.gui.tables import small_table
from tests.gui.windows import TOKEN, shown_window


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
    with shown_window(qtbot, qapp, tmp_path, fake_session) as window:
        window.resize(1200, 800)
        yield window


@pytest.fixture
def joined(qtbot, window) -> MainWindow:
    """The main window, joined to a training in which rows 1 and 3 are watched."""
    window.session.backend.watched = [1, 3]
    window.session.attach("unix:/nowhere/socket", TOKEN)
    qtbot.waitUntil(lambda: window.training.state is not None)
    return window
