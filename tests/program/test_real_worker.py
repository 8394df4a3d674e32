"""The whole program with a real worker that is killed, hangs or exits: the window lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector_app.protocol.messages import (
    Export,
    Freeze,
    Initialize,
    Run,
    Scheme,
    Selection,
    Verify,
    Watch,
)
from tests.program.working import answer, kill, lost, opened, restarted, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ALL = Selection(patterns=[""])


def edited(qtbot, window):
    """Two edits, and the journal after them."""
    answer(qtbot, window, Freeze(selection=Selection(patterns=["0"])))
    scheme = Scheme(name="normal_", arguments={"std": 0.5})
    answer(qtbot, window, Initialize(selection=Selection(patterns=["1"]), scheme=scheme, seed=4))
    return list(window.session.journal)


def test_killed_while_it_opens(qtbot, window, place):
    opened(qtbot, window, place)
    place.wait_open.touch()
    first = window.session.process_id
    errors: list = []
    window.session.open_failed.connect(errors.append)
    window.opening.open(place.target)
    until(qtbot, lambda: window.session._next is not None)
    until(qtbot, lambda: window.session._next.link.process_id > 0)
    assert window.session._next.link.process_id != first
    os.kill(window.session._next.link.process_id, signal.SIGKILL)
    until(qtbot, lambda: bool(errors))
    assert "SIGKILL" in errors[0].sentence
    # What was open before is untouched.
    assert window.session.state == "ready"
    assert answer(qtbot, window, Freeze(selection=ALL)).totals.trainable == 0


@pytest.mark.parametrize("doing", ["freeze", "run", "export"])
def test_killed_while_it_works(qtbot, window, place, doing, tmp_path):
    opened(qtbot, window, place)
    journal = edited(qtbot, window)
    out = tmp_path / "out.safetensors"
    before = answer(qtbot, window, Export(path=str(tmp_path / "before.safetensors")))
    window.live.watch([0])
    until(qtbot, lambda: window.live.watched == {0})
    request = {"freeze": Freeze(selection=ALL), "run": Run(), "export": Export(path=str(out))}[
        doing
    ]
    if doing == "run":
        place.wait.touch()
    else:  # stopped, so that it certainly has the request and no answer
        os.kill(window.session.process_id, signal.SIGSTOP)
    errors: list = []
    window.session.request(request, errors.append, errors.append)
    qtbot.wait(100)
    assert not errors
    kill(window)
    lost(qtbot, window)
    assert errors[0].kind == "lost"
    place.wait.unlink(missing_ok=True)
    assert not out.exists()
    restarted(qtbot, window)
    assert [entry.title for entry in window.session.journal] == [e.title for e in journal]
    verified = answer(qtbot, window, Verify(path=before.path, against="."))
    assert verified.ok, verified.differences
    until(qtbot, lambda: window.live.watched == {0})
    frozen = window.tree_model.sums.freeze_state
    table = window.tree_model.table
    assert frozen(table.paths.index("0")) is True
    assert frozen(table.paths.index("1")) is False


def test_an_export_killed_at_any_moment_leaves_a_whole_file(qtbot, window, place, tmp_path):
    out = tmp_path / "out.safetensors"
    old = {"old": torch.arange(10)}
    new = old_seen = 0
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        save_file(old, str(out))
        opened(qtbot, window, place, width=1024, layers=16)  # 67 MB
        window.session.request(Export(path=str(out)), lambda _: None, lambda _: None)
        qtbot.wait(max(1, int(1000 * delay)))
        kill(window)
        until(qtbot, lambda: window.session.state == "lost")
        loaded = load_file(str(out))
        if loaded.keys() == old.keys():
            old_seen += 1
            assert torch.equal(loaded["old"], old["old"])
        else:
            new += 1
            assert len(loaded) == 32
    assert old_seen
    assert old_seen + new == 6


def test_a_forward_that_hangs_can_only_be_ended(qtbot, window, place):
    opened(qtbot, window, place)
    edited(qtbot, window)
    place.wait.touch()
    window.live.run(1)
    until(qtbot, lambda: window.live.running)
    qtbot.wait(300)
    window.live.stop()
    until(qtbot, lambda: "does not stop" in window.notices.text)
    window.session.end_worker()
    until(qtbot, lambda: window.session.state == "lost")
    place.wait.unlink()
    restarted(qtbot, window)
    assert len(window.session.journal) == 2
    window.live.run(3)
    until(qtbot, lambda: not window.live.running)


def test_no_hook_and_no_process_stays_behind(qtbot, window, place):
    opened(qtbot, window, place)
    process = window.session.process_id
    answer(qtbot, window, Watch(rows=[0, 1]))
    window.live.run(0)
    qtbot.wait(200)
    window.close()
    end = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{process}").exists()


def test_the_worker_goes_when_the_window_is_killed(place, tmp_path):
    pids = tmp_path / "pid"
    place.wait_open.touch()
    place.file.write_text(
        f"import os\nopen({str(pids)!r}, 'w').write(str(os.getpid()))\n" + place.file.read_text()
    )
    window = subprocess.Popen(
        [sys.executable, "-m", "inspector_app", place.target],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
    )
    try:
        end = time.monotonic() + 60
        while not (pids.exists() and pids.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        worker = int(pids.read_text())
    finally:
        window.kill()
        window.wait()
    end = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}").exists()


def test_what_the_model_prints_is_shown_apart(qtbot, window, place):
    lines: list = []
    window.session.output.connect(lines.append)
    opened(qtbot, window, place)
    until(qtbot, lambda: any("a word from the model" in line for line in lines))
