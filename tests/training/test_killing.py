"""Windows and trainers that die: the one's end changes nothing, the other's end is seen."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector_app.protocol import messages as m
from inspector_app.sessions import running_sessions, token_of
from tests.training.conftest import ROOT
from tests.training.test_gate import until

TRAINS = """
import contextlib, json, sys, threading, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
steps = int(sys.argv[1])
told = threading.Event()
session = contextlib.nullcontext()
if not steps:
    session = inspector_app.watch(model, optimizer, budget=None, window=False)
    threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
losses = []
with session:
    print("ready", flush=True)
    while len(losses) < steps or not (steps or told.is_set()):
        optimizer.zero_grad()
        loss = model(torch.randn(64, 16)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item().hex())
print(json.dumps(losses), flush=True)
"""

WATCHES = """
import sys
from inspector_app.protocol import messages as m
from tests.backend.wire import Peer
with Peer(sys.argv[1], bytes.fromhex(sys.stdin.readline())) as peer:
    opened = peer.result(m.Attach())
    rows = [int(row) for row in opened.table.ids]
    since = 0
    while True:
        found = peer.result(m.GetRecords(since=since))
        since = found.next
        print(found.training.step, flush=True)
        peer.ask(m.GetProbeStates())
        if sys.argv[2] == "pausing":
            peer.ask(m.Pause())
            peer.ask(m.StepOnce())
        peer.ask(m.Watch(rows=rows[1:2], kinds=("output", "input")))
"""


def watcher(address: str, how: str) -> subprocess.Popen[str]:
    """A peer in a process of its own, which polls without a break."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHES, address, how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(token_of(address) + "\n")
    process.stdin.flush()
    return process


@pytest.mark.slow
def test_a_window_killed_at_any_moment_changes_no_loss(program):
    chance = random.Random(0)
    with program(TRAINS, "0") as trainer:
        assert trainer.stdout.readline() == "ready\n"
        (entry,) = running_sessions()
        for how in ("watching", "pausing", "pausing"):
            with watcher(entry.address, how) as peer:
                for _ in range(chance.randrange(1, 40)):
                    assert peer.stdout.readline()
                time.sleep(chance.random() / 50)  # in the middle of whatever it does then
                peer.kill()
        said, _ = trainer.communicate("end\n")
        assert trainer.returncode == 0
    losses = json.loads(said)
    with program(TRAINS, str(len(losses))) as alone:
        assert alone.stdout.readline() == "ready\n"
        said, _ = alone.communicate()
    assert losses == json.loads(said)


def test_a_peer_sees_the_end_of_a_trainer_that_is_killed(program, joined):
    with program(TRAINS, "0") as trainer:
        assert trainer.stdout.readline() == "ready\n"
        (entry,) = running_sessions()
        with joined(entry) as peer:
            until(lambda: len(peer.result(m.GetRecords()).sequence) > 100, 60)
            peer.socket.settimeout(10)
            trainer.kill()
            trainer.wait()
            assert peer.closed()
    assert running_sessions() == []
    assert not Path(entry.folder).exists()


def test_who_comes_back_finds_the_history(program, joined):
    with program(TRAINS, "0") as trainer:
        assert trainer.stdout.readline() == "ready\n"
        (entry,) = running_sessions()
        with joined(entry) as peer:
            until(lambda: len(peer.result(m.GetRecords()).sequence) > 50, 60)
            seen = peer.result(m.GetRecords(limit=50))
        with joined(entry) as peer:
            peer.result(m.Attach())
            again = peer.result(m.GetRecords(limit=50))
            assert again.first == 0
            for name in ("sequence", "step", "key", "minimum", "mean", "counts"):
                assert getattr(again, name).tolist() == getattr(seen, name).tolist()
            assert [series.row for series in again.series][: len(seen.series)] == [
                series.row for series in seen.series
            ]
            later = peer.result(m.GetRecords(since=again.next))
            assert later.sequence[0] == again.next  # no gap between the two
        trainer.communicate("end\n")
