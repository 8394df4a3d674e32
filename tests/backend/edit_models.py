"""Models with every kind of tensor that an edit must be careful with, and exact looks at them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from inspector_app.backend.edits import InitializeEdit
from inspector_app.backend.initialization import initialize, plan_initialize
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol.messages import Planned
from inspector_app.protocol.schemes import parse_scheme
from inspector_app.protocol.table import Int32
from sample_models.batchnorm_lite import BatchNormLite


class Mixed(nn.Module):
    """Tied, overlapping, complex, 16-bit, integer and strided parameters beside buffers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 4, padding_idx=1)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4, bias=False))
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight
        self.twin = nn.Parameter(self.body[0].weight.detach())  # another object, the same memory
        self.part = nn.Parameter(self.body[2].weight.detach()[1:3])  # overlaps in part
        self.wave = nn.Parameter(torch.randn(3, 4, dtype=torch.complex64))
        self.lazy_wave = nn.Parameter(torch.randn(3, 4, dtype=torch.complex64).conj())
        self.float16 = nn.Parameter(torch.randn(3, 4, dtype=torch.float16))
        self.brain16 = nn.Parameter(torch.randn(3, 4, dtype=torch.bfloat16))
        self.columns = nn.Parameter(torch.randn(4, 6)[:, ::2])
        self.codes = nn.Parameter(torch.arange(6, dtype=torch.int8), requires_grad=False)
        self.odd = nn.Parameter(torch.tensor([-0.0, float("nan"), float("inf"), 1e-45]))
        self.register_buffer("seen", torch.arange(3.0))
        self.plain = torch.randn(2, 2)


class Computed(nn.Module):
    """Layers whose weights are computed, laid out in blocks, or that keep statistics."""

    def __init__(self):
        super().__init__()
        self.normed = weight_norm(nn.Linear(4, 4))
        self.square = orthogonal(nn.Linear(4, 4))
        self.spectral = spectral_norm(nn.Linear(4, 3))
        self.lstm = nn.LSTM(4, 4)
        self.up = nn.ConvTranspose1d(4, 4, 3, groups=2)
        self.padded = weight_norm(nn.Embedding(5, 4, padding_idx=2))
        self.statistics = nn.BatchNorm1d(4)
        self.own = BatchNormLite(4)


def everything(tree: Tree) -> Int32:
    """All positions."""
    return np.arange(len(tree.table), dtype=np.int32)


def at(tree: Tree, *paths: str) -> Int32:
    """Positions of rows and all below them."""
    found: set[int] = set()
    for path in paths:
        row = tree.table.paths.index(path)
        found.update(range(row, int(tree.table.end[row])))
    return np.asarray(sorted(found), np.int32)


def paths(tree: Tree, ids) -> list[str]:
    """Paths of ids."""
    return [tree.table.path(int(row)) for row in tree.table.positions(np.asarray(ids, np.int32))]


def raw(tensor: Tensor) -> bytes:
    """The memory of a tensor's elements, read by numpy."""
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()


def state(model: nn.Module) -> dict[str, object]:
    """All that an edit may change, exactly: values, flags, gradients and which objects they are."""
    found: dict[str, object] = {}
    for name, tensor in [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]:
        gradient = None if tensor.grad is None else (id(tensor.grad), raw(tensor.grad))
        found[name] = (id(tensor), tensor.requires_grad, raw(tensor), gradient)
    return found


def tree_of(model: nn.Module) -> Tree:
    """Its rows."""
    return build_tree(model)


def selected(tree: Tree, where) -> Int32:
    """Positions of the rows at these paths and below, all of them where none is given."""
    return at(tree, *where) if where else everything(tree)


def initialized(
    model: nn.Module, where, text: str, store: SnapshotStore, seed: int = 0
) -> InitializeEdit:
    """The edit after a scheme, written as text, was carried out at these paths."""
    tree = tree_of(model)
    return initialize(tree, selected(tree, where), parse_scheme(text), seed, store)


def init_plan(model: nn.Module, where, text: str, store: SnapshotStore) -> Planned:
    """What :func:`initialized` would do."""
    tree = tree_of(model)
    return plan_initialize(tree, selected(tree, where), parse_scheme(text), "", store)


def refused(told) -> dict[str, str]:
    """Reasons of what a plan or an edit leaves out, by path."""
    return {path: one.reason for one in told.refused for path in one.examples}
