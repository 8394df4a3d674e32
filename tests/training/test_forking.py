"""The child of a fork is not watched: it lives by itself, and windows see only the parent."""

from __future__ import annotations

import pytest

from inspector_app.protocol import messages as m
from inspector_app.sessions import running_sessions

FORKS = """
import os, select, sys, torch, inspector_app
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
open_session = {"watch": inspector_app.watch, "inspect": inspector_app.inspect}[sys.argv[1]]
session = open_session(model, window=False)
print("ready", flush=True)
sys.stdin.readline()  # a peer has come, and has had answers
probes = session._session.probes
locks = [probes._lock, probes._batch_lock, probes.captures._lock]
probes.captures.waiting = True
for lock in locks:  # as if the server's thread held them at that moment
    lock.acquire()
child = os.fork()
if child == 0:
    model(torch.ones(1, 2)).sum().backward()
    if sys.argv[1] == "watch":
        session.step()
        session.log(loss=1.0)
    session.close()
    hooks = [hook for one in model.modules() for hook in one._forward_hooks]
    with open_session(model, window=False) as own:
        mine = own.address != session.address
        model(torch.ones(1, 2))
    print("child", len(hooks), mine, flush=True)
    # Outlives the parent, as a worker of a data loader may, and leaves it what it is told to read.
    hung_up = select.poll()
    hung_up.register(0, 0)
    hung_up.poll()
    os._exit(0)
for lock in locks:
    lock.release()
print("parent", child, flush=True)
sys.stdin.readline()
os._exit(0)
"""


@pytest.mark.parametrize("way", ["watch", "inspect"])
def test_a_child_lives_by_itself(program, joined, way):
    with program(FORKS, way) as process:
        assert process.stdout.readline() == "ready\n"
        (entry,) = running_sessions()
        with joined(entry) as peer:
            peer.result(m.Attach())
            process.stdin.write("fork\n")
            process.stdin.flush()
            said = sorted(process.stdout.readline().split() for _ in range(2))
            assert said[0] == ["child", "0", "True"]
            peer.result(m.Attach())  # the parent still answers
            process.stdin.write("end\n")
            process.stdin.flush()
            assert peer.closed()  # though the child still runs
        process.stdin.close()
