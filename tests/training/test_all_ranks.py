"""The window shows all ranks of a real training with gloo, over real sockets, merged."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from inspector_app.gui.main_window import MainWindow
from inspector_app.protocol.messages import BINS, Attach
from inspector_app.protocol.ranges import bin_ranges
from inspector_app.sessions import running_sessions, token_of
from tests.gui.windows import real_window
from tests.training.test_gate import until
from tests.training.test_ranks import free_port

STEPS = 6
RANK = """
import sys, numpy, torch, inspector_app
from torch import nn
from torch.nn.parallel import DistributedDataParallel
rank, port, place = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
)
torch.manual_seed(0)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        if rank == 1:
            self.only_here = nn.Identity()  # so ids of rows differ
        self.inner = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    def forward(self, x):
        return self.inner(x)
net = Net()
model = DistributedDataParallel(net)
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
seen = {}
def keep(name):
    def hook(module, inputs, output):
        seen[f"{step} {name} output"] = output.detach().numpy().copy()
        output.register_hook(lambda g: seen.update({f"{step} {name} gradient": g.numpy().copy()}))
    return hook
for name, module in net.inner.named_children():
    module.register_forward_hook(keep(f"module.inner.{name}"))
random = torch.Generator().manual_seed(rank)
with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
    for step in range(1, 7):
        optimizer.zero_grad()
        data = torch.randn(16 + 8 * rank, 4, generator=random) * (1 + 3 * rank) + rank
        model(data).square().mean().backward()
        if rank == 0:
            session.log(answer=42.0)
        optimizer.step()
    numpy.savez(place, **seen)
    print("done", flush=True)
    sys.stdin.readline()
torch.distributed.destroy_process_group()
"""


@pytest.fixture
def window(qtbot, qapp, tmp_path):
    with real_window(qtbot, qapp, tmp_path) as window:
        yield window


def choose(window: MainWindow, text: str) -> None:
    box = window.live_panel.training.rank
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def row_of_last(joined, entry) -> int:
    """Id of the row of the last layer in one rank."""
    with joined(entry) as peer:
        table = peer.result(Attach()).table
    return int(table.ids[table.paths.index("module.inner.2")])


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1])
def test_merged_statistics_are_those_of_both_ranks_tensors(
    qtbot, window, program, joined, tmp_path, dies
):
    port, places = str(free_port()), [str(tmp_path / f"{rank}.npz") for rank in range(2)]
    views, bar = window.live_panel.views, window.live_panel.training
    with ExitStack() as stack:
        ranks = [
            stack.enter_context(program(RANK, str(rank), port, places[rank])) for rank in range(2)
        ]
        for process in ranks:
            assert process.stdout.readline() == "done\n"
        until(lambda: len(running_sessions()) == 2, 60)
        entries = sorted(running_sessions(), key=lambda entry: entry.rank)
        assert len({row_of_last(joined, entry) for entry in entries}) == 2
        first = entries[0]
        window.session.attach(first.address, token_of(first.address))
        qtbot.waitUntil(lambda: bar.rank.count() == 3)
        qtbot.waitUntil(lambda: views.store.size == STEPS * 7)
        choose(window, "All ranks")
        qtbot.waitUntil(lambda: bar.line.text().startswith("all 2 ranks · step 7"))
        qtbot.waitUntil(lambda: views.store.size == STEPS * 7)
        compare(window, [np.load(place) for place in places])
        choose(window, "rank 0")
        qtbot.waitUntil(lambda: bar.line.text().startswith("step 7"))
        qtbot.waitUntil(lambda: views.store.size == STEPS * 7)
        choose(window, "All ranks")
        qtbot.waitUntil(lambda: bar.line.text().startswith("all 2 ranks · step 7"))
        qtbot.waitUntil(lambda: views.store.size == STEPS * 7)
        ranks[dies].kill()
        ranks[dies].wait()
        qtbot.waitUntil(lambda: "The training process has ended" in window.notices.text)
        assert window.notices.text.startswith("Rank 1 is merged no more.") == (dies == 1)
        assert window.live.ranks.merging == (dies == 1)
        assert views.store.size == STEPS * 7
        window.close_now()  # with the other one alive


def compare(window: MainWindow, tensors) -> None:
    """Each merged record with the tensors of both ranks, put together in float64."""
    store, table = window.live_panel.views.store, window.tree_model.table
    told = 0
    for part in store.answers:
        for at, key in enumerate(part.key.tolist()):
            series = store.series[key]
            if series.kind == "scalar":
                assert (part.mean[at], part.count[at]) == (42.0, 1)
                continue
            name = f"{part.step[at]} {table.path(table.position(series.row))} {series.kind}"
            whole = np.concatenate([one[name].ravel() for one in tensors]).astype(np.float64)
            assert (part.count[at], part.sampled[at]) == (len(whole), len(whole))
            assert (part.minimum[at], part.maximum[at]) == (whole.min(), whole.max())
            scale = np.abs(whole).max()
            for found, expected in (
                (part.mean[at], whole.mean()),
                (part.deviation[at], whole.std()),
                (part.norm[at], np.linalg.norm(whole)),
            ):
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * scale)
            one = slice(at, at + 1)
            (low,), (high,) = bin_ranges(part.low[one], part.exponent[one], part.octaves[one], BINS)
            edges = np.linspace(low, high, BINS + 1)  # powers of two apart: exact
            counts = np.histogram(whole, edges)[0]
            np.testing.assert_array_equal(part.counts[at], counts, name)
            told += 1
    assert told == STEPS * 6
