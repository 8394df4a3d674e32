"""Fixtures for tests of the backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inspector_app.backend.snapshots import SnapshotStore


@pytest.fixture
def store() -> Iterator[SnapshotStore]:
    """Where edits keep old values."""
    store = SnapshotStore()
    yield store
    store.close()
