"""A command whose process ends without a word, without the weight of torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector_app import cli

HEAD = """
import os, signal, sys, time
from inspector_app.cli.guarding import guarded
def work():
    {}
sys.exit(guarded(work, "net.py:make"))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}


def started(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD.format(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def ended(body: str) -> tuple[int, str, str]:
    with started(body) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_an_exit_code_is_passed_on(code: int) -> None:
    assert ended(f"print('done'); return {code}") == (code, "done\n", "")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os._exit(0)", "without a word (exit code 0, as os._exit does): let it return the model"),
        ("os._exit(7)", "without a word (exit code 7"),
        ("os.abort()", "by the signal SIGABRT: code in C gave up."),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "by the signal SIGSEGV: code in C crashed."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "by the signal SIGKILL: perhaps the machine ran"),
        ("os.kill(os.getpid(), signal.SIGUSR1)", "by the signal SIGUSR1."),
    ],
)
def test_a_process_that_ends_leaves_one_line(body: str, said: str) -> None:
    code, out, err = ended(body)
    assert (code, out) == (cli.WRONG, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("inspector-app: net.py:make ended the program ")
    assert said in err


def test_a_crash_after_the_work_is_done_changes_nothing() -> None:
    body = "import atexit; atexit.register(os.abort); print('done', flush=True); return 1"
    assert ended(body) == (1, "done\n", "")


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    code, _, err = ended("raise ZeroDivisionError('ours')")
    assert code == 1
    assert "ZeroDivisionError: ours" in err
    assert "ended the program" not in err


def test_whoever_ends_the_command_ends_the_work() -> None:
    with started("print(os.getpid(), flush=True); time.sleep(60)") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
        out, err = process.communicate()
    assert (out, err) == ("", "")
    for _ in range(300):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
