"""The real window, and a model that waits where it is told to."""

from __future__ import annotations

import pytest

from tests.gui.windows import real_window
from tests.program.working import Place


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def window(qtbot, qapp, tmp_path):
    with real_window(qtbot, qapp, tmp_path) as window:
        yield window
