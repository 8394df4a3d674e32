"""What holds for every test: no leaks, no screen, no settings of the person who runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import hypothesis
import pytest
from pytestqt.qtbot import QtBot

from inspector_app.backend.probing import compiled
from tests import leaks

# Only the end-to-end tests have a screen, and they give it to the program they start.
os.environ["QT_QPA_PLATFORM"] = "offscreen"

hypothesis.settings.register_profile(
    "ci",
    deadline=None,  # times differ from machine to machine
    derandomize=True,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_PATIENCE = 60_000  # milliseconds
_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings and caches that tests write stay out of the person's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        os.environ[variable] = str(tmp_path_factory.mktemp(variable.lower()))


@pytest.fixture(scope="session", autouse=True)
def _nothing_compiled() -> Iterator[None]:
    """No test begins to compile by the way: which loops ran would be a matter of time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "prepare", lambda: None)
        yield


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something running or open, and name it."""
    before = leaks.snapshot()
    with leaks.watch_starts() as started:
        yield
    # A test that failed is reported for that; its traceback keeps things alive.
    if not request.node.stash.get(_failed, False):
        found = leaks.leaks(before, started)
        if found:
            pytest.fail("The test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture
def qtbot(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> QtBot:
    """Waits longer than pytest-qt's 5 s, which a loaded machine may take to start a worker."""
    for name in ("waitUntil", "waitSignal", "waitSignals", "waitCallback", "waitExposed"):
        monkeypatch.setattr(qtbot, name, partial(getattr(qtbot, name), timeout=_PATIENCE))
    return qtbot


@pytest.fixture
def hook_guard() -> Iterator[Callable[[Any], Any]]:
    """Takes a model and gives it back; at the end no hook may stay that was not there."""
    guarded: list[tuple[Any, list[str]]] = []

    def guard(model: Any) -> Any:
        guarded.append((model, leaks.hooks(model)))
        return model

    yield guard
    for model, before in guarded:
        after = leaks.hooks(model)
        assert after == before, "hooks stayed on the model"
