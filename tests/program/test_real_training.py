"""The window and a training process: joined, paused, edited, left, joined again, killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector_app.protocol.messages import Freeze, Selection
from inspector_app.sessions import running_sessions, token_of
from tests.program.working import answer, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
LOOP = """
import contextlib, sys, threading, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
path, steps = sys.argv[1], int(sys.argv[2])
told = threading.Event()
session = contextlib.nullcontext()
if not steps:
    session = inspector_app.watch(model, optimizer, budget=None, window=False)
    threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
with session as watched, open(path, "w") as file:
    print("ready", flush=True)
    step = 0
    while step < steps or not (steps or told.is_set()):
        optimizer.zero_grad()
        loss = model(torch.randn(64, 16)).square().mean()
        loss.backward()
        optimizer.step()
        step += 1
        if watched is not None:
            watched.log(loss=loss.detach())
        print(loss.item().hex(), model[0].weight.requires_grad, file=file, flush=True)
        if not steps:
            told.wait(0.005)  # leaves the machine to the window
"""


class Trainer:
    """A training process and what it has written: a line for each step."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process = process
        self._path = path

    @property
    def lines(self) -> list[str]:
        return self._path.read_text().splitlines(keepends=True)

    @property
    def losses(self) -> list[str]:
        return [line.split()[0] for line in self.lines]

    def end(self) -> list[str]:
        """Let the loop end by itself; its losses."""
        self.process.communicate("end\n", timeout=60)
        assert self.process.returncode == 0
        return self.losses


@pytest.fixture
def run(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Trainer]]:
    """Start the loop: for some steps unwatched, or watched until it is told to end (0)."""
    folder = tmp_path_factory.mktemp("r")  # a short path: a socket's may not be long
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    started: list[subprocess.Popen[str]] = []

    def start(steps: int = 0) -> Trainer:
        path = folder / f"losses{len(started)}"
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", LOOP, str(path), str(steps)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return Trainer(process, path)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def join(qtbot, window) -> None:
    """Attach to the only session there is; records have arrived."""
    (entry,) = running_sessions()
    opened: list[object] = []
    window.session.opened.connect(opened.append)
    window.session.attach(entry.address, token_of(entry.address))
    until(qtbot, lambda: bool(opened))
    until(qtbot, lambda: window.training.state is not None)
    until(qtbot, lambda: window.live_panel.views.store.size > 0)


def leave(window) -> None:
    """Break the connection, as a window does that dies."""
    window.session._link.kill()


def frozen(window, path: str) -> bool:
    table = window.tree_model.table
    return bool(window.tree_model.sums.freeze_state(table.paths.index(path)))


def paused(qtbot, window) -> int:
    """Pause the loop and wait until it stands; the step it stands before."""
    window.registry.action("training.pause").trigger()
    until(qtbot, lambda: window.training.state.held)
    return window.training.state.step


def test_what_the_loop_does_is_seen(qtbot, window, run):
    run()
    join(qtbot, window)
    views = window.live_panel.views
    until(qtbot, lambda: len(views.store.series) == 9)  # 4 leaves twice, and the loss
    assert len(window.live.watched) == 4
    assert {one.title for one in views.series} >= {"0", "0  gradient", "3", "loss"}
    newest = views.store.next
    until(qtbot, lambda: views.store.next > newest)
    for number in range(views.tabs.count()):
        views.tabs.setCurrentIndex(number)
        assert not views.grab().isNull()


def test_it_stands_while_it_is_paused_and_makes_single_steps(qtbot, window, run):
    trainer = run()
    join(qtbot, window)
    paused(qtbot, window)
    stood = len(trainer.lines)
    for steps in (1, 2, 3):
        before = window.training.state.step
        window.registry.action("training.step").trigger()
        until(qtbot, lambda before=before: window.training.state.step == before + 1)
        until(qtbot, lambda: window.training.state.held)
        # The loop writes its line after the safe point, thus before the next one.
        assert len(trainer.lines) == stood + steps
    window.registry.action("training.pause").trigger()
    until(qtbot, lambda: len(trainer.lines) > stood + 10)
    assert not window.training.paused
    trainer.end()


def test_an_edit_changes_the_loops_own_parameter(qtbot, window, run):
    trainer = run()
    join(qtbot, window)
    assert trainer.lines[-1].endswith("True\n")
    answer(qtbot, window, Freeze(selection=Selection(patterns=["0"])))
    assert frozen(window, "0.weight")
    until(qtbot, lambda: trainer.lines[-1].endswith("False\n"))
    window.registry.action("edit.undo").trigger()
    until(qtbot, lambda: trainer.lines[-1].endswith("True\n"))
    until(qtbot, lambda: not frozen(window, "0.weight"))


def test_the_budget_is_changed(qtbot, window, run):
    run()
    join(qtbot, window)
    assert window.training.state.budget is None
    window.training.set_budget(0.01)
    until(qtbot, lambda: window.training.state.budget == 0.01)
    assert window.live_panel.training.budget.currentText() == "1% budget"


def test_who_leaves_and_comes_back_finds_history_and_journal(qtbot, window, run):
    trainer = run()
    join(qtbot, window)
    answer(qtbot, window, Freeze(selection=Selection(patterns=["0"])))
    store = window.live_panel.views.store
    until(qtbot, lambda: store.next > 200)
    leave(window)
    stood = len(trainer.lines)
    until(qtbot, lambda: len(trainer.lines) > stood + 10)  # nobody looks, and it goes on
    join(qtbot, window)
    until(qtbot, lambda: store.next > 200)
    assert store.answers[0].sequence[0] == 0
    assert not store.gaps
    assert [entry.title for entry in window.session.journal] == ["Freeze 0"]
    assert len(window.history_model.entries) == 1
    assert frozen(window, "0.weight")


def test_a_killed_trainer_is_told_of_and_what_was_drawn_stays(qtbot, window, run):
    trainer = run()
    join(qtbot, window)
    size = window.live_panel.views.store.size
    trainer.process.kill()
    until(qtbot, lambda: window.session.state == "lost")
    assert "has ended" in window.notices.text
    assert "What was drawn stays" in window.notices.text
    assert window.live_panel.views.store.size >= size
    assert window.live_panel.views.isVisible()
    assert not window.registry.action("training.pause").isEnabled()


def test_connections_that_break_at_random_change_no_loss(qtbot, window, run):
    chance = random.Random(0)
    trainer = run()
    for _ in range(4):
        join(qtbot, window)
        seen = window.live_panel.views.store.next + chance.randrange(1, 60)
        until(qtbot, lambda seen=seen: window.live_panel.views.store.next >= seen)
        if chance.random() < 0.5:
            window.registry.action("training.pause").trigger()
        leave(window)
    losses = trainer.end()
    alone = run(len(losses))
    assert alone.process.wait(timeout=60) == 0
    assert alone.losses == losses
