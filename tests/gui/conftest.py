"""Fixtures for tests of the window, without torch and without a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inspector_app.protocol.table import RowTable
from tests.gui.fake_session import FakeSession
from tests.gui.tables import small_table


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
