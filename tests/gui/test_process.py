from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inspector_app.gui.client import process as process_module
from inspector_app.gui.client.process import (
    BOOTSTRAP,
    KEPT_LINES,
    LONGEST_LINE,
    Lines,
    WorkerProcess,
    worker_command,
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def started(qtbot):
    """Starts workers and ends them with the test."""
    processes = []

    def start(code: str) -> WorkerProcess:
        process = WorkerProcess(command=python(code))
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.stop_and_wait()
        process.deleteLater()


READY = """
import json, sys
start = json.loads(sys.stdin.readline())
print("hello from an import")
print(json.dumps({"address": "unix:" + start["socket"], "version": "1"}))
"""


def test_the_token_goes_through_the_pipe_and_nowhere_else(qtbot, started):
    code = (
        "import json, os, sys; start = json.loads(sys.stdin.readline());"
        "hidden = start['token'] not in str(sys.argv) + str(dict(os.environ));"
        "print(len(start['token']), hidden)"
    )
    worker = started(code)
    said = []
    worker.output.connect(said.append)
    with qtbot.waitSignal(worker.ended):
        worker.start()
    assert said == ["64 True"]


def test_the_ready_line_is_told_apart_from_what_is_printed(qtbot, started):
    worker = started(READY + "sys.stdin.read()")
    said = []
    worker.output.connect(said.append)
    with qtbot.waitSignal(worker.ready) as ready:
        worker.start()
    assert ready.args[0].startswith("unix:")
    assert said == ["hello from an import"]


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
def test_the_folder_of_the_socket_is_private_and_goes_with_the_worker(qtbot, started):
    worker = started(READY + "sys.stdin.read()")
    with qtbot.waitSignal(worker.ready) as ready:
        worker.start()
    folder = Path(ready.args[0].removeprefix("unix:")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with qtbot.waitSignal(worker.ended):
        worker.stop()
    assert not folder.exists()


def test_a_long_temporary_folder_means_loopback(qtbot, started, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    worker = started(READY)
    with qtbot.waitSignal(worker.ready) as ready:
        worker.start()
    assert ready.args == ["unix:"]


def test_the_end_tells_code_and_last_lines(qtbot, started):
    worker = started(
        f"import sys\nfor n in range({KEPT_LINES + 5}): print('line', n, file=sys.stderr)\nexit(7)"
    )
    with qtbot.waitSignal(worker.ended) as ended:
        worker.start()
    code, crashed, last = ended.args
    assert (code, crashed) == (7, False)
    assert last.splitlines()[0] == "line 5"
    assert last.splitlines()[-1] == f"line {KEPT_LINES + 4}"
    assert not worker.running


def test_an_abort_is_a_crash_and_leaves_its_trace(qtbot, started):
    worker = started("import os\ndef deep(): os.abort()\ndeep()")
    with qtbot.waitSignal(worker.ended) as ended:
        worker.start()
    assert ended.args[1] is True
    assert "in deep" in ended.args[2]  # faulthandler's


def test_a_program_that_cannot_start_ends_at_once(qtbot):
    worker = WorkerProcess(command=["/nonexistent/python"])
    with qtbot.waitSignal(worker.ended) as ended:
        worker.start()
    assert ended.args[:2] == [-1, True]
    assert ended.args[2]
    worker.deleteLater()


def test_stop_closes_the_pipe_and_waits_for_a_clean_end(qtbot, started):
    worker = started(READY + "sys.stdin.read(); exit(0)")
    with qtbot.waitSignal(worker.ready):
        worker.start()
    with qtbot.waitSignal(worker.ended) as ended:
        worker.stop()
        worker.stop()
    assert ended.args[:2] == [0, False]


STUBBORN = READY + (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: print('no', file=sys.stderr))\n"
    "while True: time.sleep(60)"
)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_one_that_does_not_stop_is_told_then_made_to(qtbot, started, monkeypatch):
    monkeypatch.setattr(process_module, "PATIENCE", 50)
    worker = started(STUBBORN)
    with qtbot.waitSignal(worker.ready):
        worker.start()
    with qtbot.waitSignal(worker.ended) as ended:
        worker.stop()
    assert ended.args == [9, True, "no"]


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_at_the_exit_the_end_is_waited_for(qtbot, started, monkeypatch):
    monkeypatch.setattr(process_module, "PATIENCE", 50)
    worker = started(STUBBORN)
    with qtbot.waitSignal(worker.ready):
        worker.start()
    with qtbot.waitSignal(worker.ended):
        worker.stop_and_wait()
    assert not worker.running


def test_the_end_comes_once(qtbot, started):
    worker = started("import time; time.sleep(60)")
    ends = []
    worker.ended.connect(lambda *_: ends.append(1))
    with qtbot.waitSignal(worker.ended):
        worker.start()
        worker.kill()
    worker.kill()
    worker.stop()
    worker.stop_and_wait()
    assert ends == [1]


def test_lines_are_cut_wherever_the_bytes_break():
    lines = Lines()
    data = "Zeile ä\r\nzweite\n".encode()
    told = [line for at in range(len(data)) for line in lines.feed(data[at : at + 1])]
    assert told == ["Zeile ä", "zweite"]
    assert lines.feed(b"rest") == []
    assert lines.close() == ["rest"]
    assert lines.close() == []
    assert lines.feed(b"x" * (LONGEST_LINE + 1)) == ["x" * (LONGEST_LINE + 1)]


# -- the bootstrap ---------------------------------------------------------------------------------


def bootstrap(folder: Path, here: Path, python_path: str = "") -> str:
    """What the worker of a package in ``folder`` says when it is started ``here``."""
    environment = {**os.environ, "PYTHONPATH": python_path}
    command = [sys.executable, "-S", "-c", BOOTSTRAP, str(folder)]  # -S: nothing is installed
    run = subprocess.run(
        command, cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def package(folder: Path, name: str) -> Path:
    """A package of ours in ``folder`` whose worker says its name, its arguments and its path."""
    backend = folder / "inspector_app" / "backend"
    backend.mkdir(parents=True)
    (folder / "inspector_app" / "__init__.py").touch()
    (backend / "__init__.py").touch()
    (backend / "worker.py").write_text(
        "import json, os, sys\n"
        f"def main(): print(json.dumps([{name!r}, sys.argv, sys.path, os.getcwd()]))\n"
    )
    return folder


def test_the_command_leads_to_the_package_and_hides_nothing_in_it():
    command = worker_command()
    assert command[0] == sys.executable
    assert (Path(command[-1]) / "inspector_app" / "backend").is_dir()
    assert len(command) == 4


def test_a_clone_is_found_without_being_installed(tmp_path):
    clone, here = package(tmp_path / "clone", "clone"), tmp_path / "here"
    here.mkdir()
    name, arguments, path, cwd = bootstrap(clone, here)
    assert name == "clone"
    assert arguments == ["-c"]
    assert path[-1] == str(clone)
    assert Path(cwd) == here


def test_the_current_folder_cannot_shadow_the_package(tmp_path):
    clone, here = package(tmp_path / "clone", "clone"), package(tmp_path / "here", "shadow")
    for python_path in ("", str(here), "."):
        name, _, path, _ = bootstrap(clone, here, python_path)
        assert name == "clone"
        assert not {"", ".", str(here)} & set(path)


def test_an_installed_package_is_taken_from_where_it_is(tmp_path):
    installed, here = package(tmp_path / "site", "installed"), tmp_path / "here"
    here.mkdir()
    name, _, path, _ = bootstrap(installed, here, str(installed))
    assert name == "installed"
    assert path.count(str(installed)) == 1


def test_another_copy_on_the_path_does_not_win(tmp_path):
    clone, other = package(tmp_path / "clone", "clone"), package(tmp_path / "other", "other")
    here = tmp_path / "here"
    here.mkdir()
    assert bootstrap(clone, here, str(other))[0] == "clone"


def test_a_clone_started_in_its_own_folder_works(tmp_path):
    clone = package(tmp_path / "clone", "clone")
    assert bootstrap(clone, clone)[0] == "clone"
