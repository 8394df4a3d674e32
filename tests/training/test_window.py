"""The window that a training process starts: a process of its own, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspector_app.backend.training import window
from inspector_app.sessions import TOKEN_VARIABLE
from inspector_app.starting import python_command

TOKEN = "ab" * 32
ADDRESS = "unix:/nowhere/socket"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that looks like a display."""
    monkeypatch.setenv("DISPLAY", ":0")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of Python: writes down how it was called, then waits for its stdin to end."""
    told = tmp_path / "told.json"
    path = tmp_path / "python"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"draft = {str(told)!r} + '.draft'\n"
        f"token = os.environ.get({TOKEN_VARIABLE!r})\n"
        "same = os.getsid(0) == os.getpid()\n"
        "seen = {'words': sys.argv, 'token': token, 'own': same, 'stdin': sys.stdin.read()}\n"
        "json.dump(seen, open(draft, 'w'))\n"
        f"os.rename(draft, {str(told)!r})\n"
    )
    path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(path))
    return told


def test_it_starts_attach_with_the_token_in_the_environment(screen, program):
    started = window.open_window(ADDRESS, TOKEN)
    assert started is not None
    started.wait(60)
    seen = json.loads(program.read_text())
    assert seen["words"][-3:-1] == ["attach", ADDRESS]
    assert not any(TOKEN in word for word in seen["words"])
    assert (seen["token"], seen["own"], seen["stdin"]) == (TOKEN, True, "")
    assert TOKEN_VARIABLE not in os.environ


def test_the_process_is_the_command_line(screen, tmp_path, monkeypatch):
    """What is started is ours, from any folder, and no module there stands in for Python's own."""
    (tmp_path / "json.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = python_command(window._ATTACH, "attach", "nonsense")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("inspector-app: 'nonsense' is no address")


def test_without_a_display_it_says_how_to_attach(program, capsys, monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert window.open_window(ADDRESS, TOKEN) is None
    said = capsys.readouterr().err
    assert said.endswith(f"inspector-app attach {ADDRESS}\n")
    assert TOKEN not in said
    assert not program.exists()


def test_a_program_that_cannot_be_started_is_told(screen, capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert window.open_window(ADDRESS, TOKEN) is None
    assert "Training goes on" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [True, False])
def test_nobody_hears_it(closed, monkeypatch, capsys):
    class Closed:
        def write(self, text: str) -> None:
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(sys, "stderr", Closed() if closed else None)
    monkeypatch.setattr(window, "has_display", lambda: False)
    assert window.open_window(ADDRESS, TOKEN) is None


def test_training_goes_on_whatever_becomes_of_the_window(tmp_path):
    """A real script with a window that dies at once: nothing on its stdout, its exit code 0."""
    script = (
        "import sys, torch, inspector_app\n"
        "sys.executable = '/bin/false'\n"
        "model = torch.nn.Linear(2, 2)\n"
        "with inspector_app.watch(model) as session:\n"
        "    for _ in range(3):\n"
        "        model(torch.ones(1, 2)); session.step()\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DISPLAY": ":0", "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("executable", ["/the/frozen/program", None])
def test_a_frozen_program_does_not_begin_once_more(screen, monkeypatch, capsys, executable):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", executable)
    assert window.open_window(ADDRESS, TOKEN) is None
    told = capsys.readouterr().err
    assert "no Python interpreter" in told
    assert f"inspector-app attach {ADDRESS}" in told


def test_what_an_isolated_python_starts_is_isolated(tmp_path):
    """What the environment puts on the path is left aside there, too."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import subprocess\n"
        "from inspector_app.starting import python_command\n"
        "told = 'import sys; print(sys.flags.isolated, sys.argv[1])'\n"
        "sys.exit(subprocess.run(python_command(told, 'word')).returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "word"]
