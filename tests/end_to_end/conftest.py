"""The screen on which the real program is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import display as screens


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[screens.Screen]:
    """A screen with a window manager, for all end-to-end tests."""
    if missing := screens.missing():
        reason = f"not installed: {', '.join(missing)} (make test says how)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with screens.open_screen(tmp_path_factory.mktemp("screen")) as screen:
        yield screen


@pytest.fixture
def pictures(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where pictures go: INSPECTOR_PICTURES where it is set, so that they can be looked at."""
    folder = os.environ.get("INSPECTOR_PICTURES")
    return Path(folder) / request.node.name if folder else tmp_path / "pictures"
