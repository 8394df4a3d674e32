"""Models with every kind of tensor that an edit must be careful with, and exact looks at them."""

import numpy as np
import torch
from torch import Tensor, nn

from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol.table import Int32


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
