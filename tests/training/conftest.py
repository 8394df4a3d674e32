"""What tests of sessions in training processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inspector_app.sessions import token_of
from tests.backend.wire import Peer

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sessions of these tests stand apart; a short path, since that of a socket may not be long."""
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.delenv("INSPECTOR_TOKEN", raising=False)
    return folder


@pytest.fixture
def joined() -> Callable[[Any], Peer]:
    """A peer of a session of this process."""
    return lambda session: Peer(session.address, bytes.fromhex(token_of(session.address)))


@pytest.fixture
def program() -> Callable[..., Any]:
    """Run a Python program in a process of its own that is ended with the test."""

    @contextmanager
    def running(text: str, *words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", text, *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **more,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    return running
