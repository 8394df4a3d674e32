"""Memory of a long training that is watched all the time, on both sides.

A process trains a small model (under 2 ms a step) with every leaf module watched at every step; a
peer polls its records as the window does, 30 times a second, and keeps them in the same store.
Printed are the resident memory of both once the ring and the peer's store are full, and at the end;
it may grow by less than 2 %.  Run it as ``python -m tests.benchmarks.soak [STEPS]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inspector_app.gui.client.records import MOST
from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.protocol import messages as m
from inspector_app.sessions import running_sessions, token_of
from tests.backend.wire import Peer

STEPS = 100_000
WARM_UP = 0.3  # share of the steps after which all that is bounded should be full
INTERVAL = 0.033  # seconds between two requests
LIMIT = 1.02

TRAIN = """
import sys, time, torch, inspector_app
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
inputs = torch.randn(16, 32)

def step():
    optimizer.zero_grad()
    loss = model(inputs).square().mean()
    loss.backward()
    optimizer.step()
    return loss

start = time.perf_counter()
for _ in range(200):
    step()
print((time.perf_counter() - start) / 200, flush=True)
with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
    print("ready", flush=True)
    for _ in range(int(sys.argv[1])):
        session.log(loss=step())
    sys.stdin.readline()
"""


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS:"))


def watch(peer: Peer, trainer: int, steps: int) -> tuple[list[tuple[float, float]], int, int]:
    """Memory of trainer and peer, warm and at the end; records seen and missed."""
    store = RecordsStore()
    seen = missed = 0
    memory: list[tuple[float, float]] = []
    marks = iter([WARM_UP, 0.5, 0.75])
    mark = next(marks)
    peer.result(m.Attach())
    while True:
        found: m.Records = peer.result(m.GetRecords(since=store.next, limit=MOST))
        missed += max(0, found.first - store.next)
        seen += len(found.sequence)
        store.add(found)
        assert found.training is not None
        done = (found.training.step - 1) / steps
        ended = done >= 1 and not len(found.sequence)
        if done >= mark or ended:
            memory.append((resident(trainer), resident(os.getpid())))
            told = " and ".join(f"{size:.1f} MB" for size in memory[-1])
            print(f"{done:4.0%}: trainer and peer hold {told}", flush=True)
            mark = next(marks, 2.0)
        if ended:
            return memory, seen, missed
        if len(found.sequence) < MOST:
            time.sleep(INTERVAL)


def main(steps: int) -> int:
    """Measure; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        trainer = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert trainer.stdout is not None
        assert trainer.stdin is not None
        with trainer:
            try:
                bare = float(trainer.stdout.readline())
                assert trainer.stdout.readline() == "ready\n"
                (entry,) = running_sessions()
                start = time.perf_counter()
                with Peer(entry.address, bytes.fromhex(token_of(entry.address))) as peer:
                    memory, seen, missed = watch(peer, trainer.pid, steps)
                seconds = time.perf_counter() - start
                trainer.communicate("end\n")
            finally:
                trainer.kill()
    print(f"bare step {bare * 1e3:.2f} ms; {steps:,} watched steps in {seconds:.0f} s")
    print(f"records seen {seen:,}, missed {missed:,}")
    good = True
    for name, sizes in zip(("trainer", "peer"), zip(*memory, strict=True), strict=True):
        growth = sizes[-1] / sizes[0]
        good = good and growth < LIMIT
        print(f"{name}: {growth:.3f}x since it was warm (limit {LIMIT}x)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS))
