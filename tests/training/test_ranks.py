"""Two processes that train together with DistributedDataParallel (gloo): a session for each."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import pytest

from inspector_app.protocol import messages as m
from inspector_app.protocol.merging import RankRecords, merge_ranks
from inspector_app.sessions import running_sessions
from tests.training.test_gate import until

REFUSED = "This model is trained by several processes"

RANK = """
import contextlib, json, sys, torch, inspector_app
from torch import nn
from torch.nn.parallel import DistributedDataParallel
rank, port = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
)

def run(watching):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = DistributedDataParallel(inner)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    session = contextlib.nullcontext()
    if watching:
        session = inspector_app.watch(model, optimizer, budget=None, window=False)
    random = torch.Generator().manual_seed(rank)
    losses = []
    with session:
        for _ in range(6):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 4, generator=random)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if watching:
                session.log(loss=loss)
        print(json.dumps(losses), flush=True)
        if watching:
            sys.stdin.readline()

run(False)
run(True)
torch.distributed.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_losses_edits_and_statistics_of_two_ranks(program, joined):
    port = str(free_port())
    with ExitStack() as stack:
        ranks = [stack.enter_context(program(RANK, str(rank), port)) for rank in range(2)]
        bare = [json.loads(process.stdout.readline()) for process in ranks]
        assert [json.loads(process.stdout.readline()) for process in ranks] == bare
        until(lambda: len(running_sessions()) == 2, 60)
        entries = sorted(running_sessions(), key=lambda entry: entry.rank)
        assert [(one.rank, one.ranks, one.title) for one in entries] == [
            (0, 2, "Sequential"),
            (1, 2, "Sequential"),
        ]
        peers = [stack.enter_context(joined(entry)) for entry in entries]
        opened = [peer.result(m.Attach()) for peer in peers]
        assert [one.title for one in opened] == [
            "Sequential (rank 0 of 2)",
            "Sequential (rank 1 of 2)",
        ]
        for peer, one in zip(peers, opened, strict=True):
            for refused in (m.Pause(), m.StepOnce()):
                answer = peer.answer(peer.ask(refused))
                assert (answer.kind, answer.sentence[: len(REFUSED)]) == ("request", REFUSED)
            assert {one.disabled[name] for name in ("freeze", "initialize", "load", "pause")} == {
                one.disabled["pause"]
            }
        found = [peer.result(m.GetRecords()) for peer in peers]
        # Edits wait for a safe point, and there is none any more: the loop's end answers them.
        edits = [peer.ask(m.Freeze(selection=m.Selection(patterns=["*"]))) for peer in peers]
        for peer in peers:
            peer.result(m.GetRecords(limit=0))  # what was asked before has come in
        for process in ranks:
            process.stdin.write("end\n")
            process.stdin.flush()
        for peer, edit in zip(peers, edits, strict=True):
            assert isinstance(peer.answer(edit), m.Failure)
        for process in ranks:
            process.communicate()
            assert process.returncode == 0
    paths = [
        {int(one.table.ids[at]): one.table.path(at) for at in range(len(one.table))}
        for one in opened
    ]
    given = [RankRecords(*pair) for pair in zip(found, paths, strict=True)]
    merged, number = merge_ranks(given)
    assert set(number.tolist()) == {2}
    assert len(merged.sequence) == len(found[0].sequence)
    (loss,) = [series.key for series in merged.series if series.kind == "scalar"]
    rows = merged.key == loss
    assert merged.minimum[rows].tolist() == list(map(min, *bare))
    assert merged.maximum[rows].tolist() == list(map(max, *bare))
