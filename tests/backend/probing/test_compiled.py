"""Loops that another process compiles, and what happens where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inspector_app.backend.probing import compiled
from inspector_app.backend.probing.compiled import prepare  # what conftest.py leaves out
from inspector_app.protocol.messages import BINS


@pytest.fixture(autouse=True)
def unprepared(monkeypatch):
    monkeypatch.setattr(compiled, "_thread", None)
    monkeypatch.setattr(compiled, "_ready", None)


def test_they_are_compiled_elsewhere_and_read():
    assert compiled.loops() is None
    thread = prepare()
    assert prepare() is thread
    thread.join()
    loops = compiled.loops()
    assert loops is not None
    counts = np.zeros(BINS, np.int64)
    values, one, first = np.array([3.0, 0.0, 5.5], np.float32), np.float32(1), np.int32(0)
    pair, single, words = values[:2], values[2:], np.empty(0, np.int32)
    found = loops.measure(pair, words, single, loops.FLOAT32, one, first, np.float32(0), counts)
    assert found == (0.0, 8.5, 39.25, 1)
    assert np.flatnonzero(counts).tolist() == [0, 3, 5]


def test_nothing_is_compiled_in_this_process(tmp_path):
    """What was compiled elsewhere is read from files, in a process that has nothing yet."""
    program = """
from inspector_app.backend.probing import compiled
compiled.prepare().join()
stats = [f.stats for f in (compiled.loops().measure, compiled.loops().ends)]
print([sum(s.cache_hits.values()) for s in stats], [sum(s.cache_misses.values()) for s in stats])
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.split("\n")[0] == "[1, 1] [0, 0]"
    assert list(tmp_path.rglob("*.nbc"))


@pytest.mark.skipif(sys.platform == "win32", reason="has no sessions")
def test_the_process_hears_nothing_of_ctrl_c(monkeypatch):
    alone = "import os, sys; sys.exit(os.getsid(0) != os.getpid())"
    monkeypatch.setattr(compiled, "_COMPILE", alone)
    assert compiled._compiled_elsewhere()


def test_a_script_without_a_guard_runs_once(tmp_path):
    """What runs is our own program, in a process that knows nothing of the script."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('begins')\n"
        "from inspector_app.backend.probing import compiled\n"
        "compiled.prepare().join()\n"
        "print(compiled.loops() is not None)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["begins", "True"]
    assert done.stderr == ""


def fails(*args, **kwargs):
    raise OSError("no process to be had")


REASONS = (
    "no numba",
    "numba is a stub",
    "no process",
    "the process failed",
    "the process takes too long",
    "a frozen program",
    "no interpreter",
    "broken",
    "numba is told not to compile",
)


@pytest.mark.parametrize("reason", REASONS)
def test_where_it_fails_numpy_goes_on(monkeypatch, reason):
    if reason == "no numba":
        monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None)
    elif reason == "no process":
        monkeypatch.setattr(subprocess, "run", fails)
    elif reason == "the process failed":
        monkeypatch.setattr(compiled, "_COMPILE", "raise SystemExit(3)")
    elif reason == "the process takes too long":
        monkeypatch.setattr(compiled, "_LONGEST", 0.001)
        monkeypatch.setattr(compiled, "_COMPILE", compiled._COMPILE + "import time; time.sleep(99)")
    elif reason == "numba is a stub":
        monkeypatch.setitem(sys.modules, "numba", None)
    elif reason == "a frozen program":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif reason == "no interpreter":
        monkeypatch.setattr(sys, "executable", None)
    elif reason == "numba is told not to compile":
        monkeypatch.setattr(compiled, "_compiled_elsewhere", lambda: True)
        monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    else:
        monkeypatch.setattr(compiled, "_compiled_elsewhere", lambda: True)
        monkeypatch.setattr(compiled, "_LOOPS", "inspector_app.there_is_none")
    prepare().join()
    assert compiled.loops() is None


def test_where_nothing_can_be_written_nothing_is_compiled(tmp_path):
    """Our own folder and the person's caches are read-only, as in a container."""
    program = """
import numba.core.caching as caching
def refuse(self):
    raise PermissionError("read-only")
caching._CacheLocator.ensure_cache_path = refuse
try:
    import inspector_app.backend.probing.loops
except RuntimeError as error:
    print("refused", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.startswith("refused cannot cache function")
