"""Flags of rows that tell of modes, hooks, parametrizations and quantized weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.nn.quantized import dynamic
from torch.nn.utils import parametrizations, prune

from inspector_app.backend.module_flags import LOOKED_AT, in_train_mode, module_flags
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.session import Session
from inspector_app.backend.tree import Tree, build_tree, refreshed
from inspector_app.protocol.messages import Selection
from inspector_app.protocol.table import Flag
from tests.backend.tree_models import flags_of, rows

pytestmark = pytest.mark.filterwarnings("ignore")  # of old weight_norm and quantized modules


def hook(*args: object) -> None:
    """A hook."""


def paths_with(tree: Tree, flag: Flag) -> set[str]:
    return {path for path, position in rows(tree).items() if tree.table.has(position, flag)}


def test_the_walk_says_what_a_look_says() -> None:
    model = nn.Sequential(
        nn.Linear(2, 2),
        nn.BatchNorm1d(2).eval(),
        parametrizations.orthogonal(nn.Linear(2, 2)),
        nn.utils.weight_norm(nn.Linear(2, 2)).eval(),
        dynamic.Linear(2, 2),
        nn.LazyLinear(2),
        torch.jit.script(nn.Linear(2, 2)),
        torch.jit.script(nn.Linear(2, 2)).eval(),
    )
    model[0].register_forward_hook(hook)
    tree = build_tree(model)
    modules = [p for p, held in enumerate(tree.objects) if isinstance(held, nn.Module)]
    assert len(modules) > 12
    for position in modules:
        told = int(tree.table.flags[position]) & LOOKED_AT
        assert told == module_flags(tree.objects[position]), tree.table.path(position)


def test_training() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    model[1].eval()
    assert paths_with(build_tree(model), Flag.TRAINING) == {"", "0"}
    assert in_train_mode(model) is True
    assert in_train_mode(torch.jit.script(nn.ReLU()).eval()) is False
    assert in_train_mode(nn.Module.__new__(nn.Module)) is None


@pytest.mark.parametrize(
    "method",
    [
        "register_forward_pre_hook",
        "register_forward_hook",
        "register_full_backward_pre_hook",
        "register_full_backward_hook",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "register_load_state_dict_pre_hook",
        "register_load_state_dict_post_hook",
    ],
)
def test_hooked(method: str) -> None:
    model = nn.Sequential(nn.ReLU(), nn.ReLU())
    handle = getattr(model[1], method)(hook)
    first = build_tree(model)
    assert paths_with(first, Flag.HOOKED) == {"1"}
    handle.remove()
    assert paths_with(build_tree(model, first), Flag.HOOKED) == set()


def test_probes_are_not_counted() -> None:
    model = nn.ReLU()
    with ProbeSet() as probes:
        probes.watch(0, model)
        assert paths_with(build_tree(model), Flag.HOOKED) == set()
        model.register_forward_hook(hook)
        assert paths_with(build_tree(model), Flag.HOOKED) == {""}


def test_parametrized() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)), nn.Linear(2, 2))
    base = "0.parametrizations.weight"
    assert paths_with(build_tree(model), Flag.PARAMETRIZED) == {
        *("0", base, f"{base}.original0", f"{base}.original1")
    }


def test_parametrized_in_the_old_style() -> None:
    model = nn.Sequential(
        nn.utils.weight_norm(nn.Linear(2, 2)), prune.identity(nn.Linear(2, 2), "bias")
    )
    assert paths_with(build_tree(model), Flag.PARAMETRIZED) == {
        *("0", "0.weight", "0.weight_g", "0.weight_v"),
        *("1", "1.bias", "1.bias_orig", "1.bias_mask"),
    }


def test_quantized() -> None:
    model = nn.Sequential(dynamic.Linear(2, 2), nn.Module(), nn.Linear(1, 1))
    model[1].codes = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    assert paths_with(build_tree(model), Flag.QUANTIZED) == {
        *("0", "0._packed_params", "1", "1.codes")
    }


def test_overlaps() -> None:
    base = torch.zeros(4, 6)
    model = nn.Module()
    model.left, model.right = nn.Parameter(base[:, :3]), nn.Parameter(base[:, 3:])
    tree = build_tree(model)
    assert paths_with(tree, Flag.OVERLAPS) == set()
    model.register_buffer("corner", base[:1, :4])
    tree = build_tree(model, tree)
    assert paths_with(tree, Flag.OVERLAPS) == {"left", "right", "corner"}


def test_refreshed_reads_modules_again() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), dynamic.Linear(2, 2))
    tree = build_tree(model)
    model[0].eval()
    model[1].register_forward_hook(hook)
    new, change = refreshed(tree, np.arange(len(tree.table), dtype=np.int32))
    assert np.array_equal(new.table.flags, build_tree(model).table.flags)
    assert sorted(change.changed.ids.tolist()) == [rows(tree)["0"], rows(tree)["1"]]
    assert Flag.QUANTIZED in flags_of(new, "1")


# -- through a session -----------------------------------------------------------------------------

FACTORY = """
import torch
from torch import nn

def hook(*args): pass

class Net(nn.Sequential):
    def forward(self, x):
        self.train(not self.training)
        self[0].register_forward_hook(hook)
        return super().forward(x)

def build_model(): return Net(nn.Linear(2, 2), nn.BatchNorm1d(2))
def example_inputs(): return torch.ones(3, 2)
"""


@pytest.fixture
def session(tmp_path) -> Iterator[Session]:
    (tmp_path / "net.py").write_text(FACTORY)
    with Session() as session:
        session.open(f"{tmp_path / 'net.py'}:build_model")
        yield session


def test_flags_follow_edits_runs_and_probes(session: Session) -> None:
    everything = {"", "0", "1"}
    assert paths_with(session.tree, Flag.TRAINING) == everything
    edited = session.hold_statistics(Selection(patterns=["1"]))
    assert edited.change.changed.ids.tolist() == [rows(session.tree)["1"]]
    assert paths_with(session.tree, Flag.TRAINING) == everything - {"1"}
    session.undo()
    assert paths_with(session.tree, Flag.TRAINING) == everything
    session.redo()
    session.watch([rows(session.tree)["0"]])
    assert paths_with(session.tree, Flag.HOOKED) == set()
    session.run()
    assert paths_with(session.tree, Flag.TRAINING) == everything - {"1"}  # as it was before
    assert paths_with(session.tree, Flag.HOOKED) == {"0"}  # the forward put a hook there
