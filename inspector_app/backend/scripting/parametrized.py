"""Blocks of a script that set a weight which parametrizations compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils import parametrizations

from inspector_app.backend.init_targets import Target
from inspector_app.backend.scripting.loops import Loops
from inspector_app.backend.scripting.seeding import seeded_lines
from inspector_app.backend.scripting.source import Script, call
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag

_OF_TORCH = (parametrizations._WeightNorm, parametrizations._Orthogonal)

_ASSIGN = '''\
def take_over(parametrizations, tried):
    """Write what a copy of parametrizations holds into their own tensors."""
    values = {**dict(tried.named_parameters()), **dict(tried.named_buffers())}
    own = {**dict(parametrizations.named_parameters()), **dict(parametrizations.named_buffers())}
    for name, tensor in own.items():
        tensor.copy_(values[name])
'''


def is_contiguous(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether strides are those of a tensor that ``torch.empty`` makes."""
    return tuple(stride) == torch.empty(tuple(shape), device="meta").stride()


def is_simple(tree: Tree, target: Target) -> bool:
    """Whether ``module.weight = values`` does it.

    It gives the tensors other memory, so nothing else may share it, and a parametrization of one's
    own might do something else in train mode.
    """
    assert target.computed is not None
    shared = any(
        tree.table.tie[row] >= 0 or tree.table.has(row, Flag.OVERLAPS) for row in target.rows
    )
    parts = tree.objects[target.computed.row]
    known = all(type(part) in _OF_TORCH for part in parts)
    return known and not shared and not target.padding and target.computed.owner is not None


def simple_lines(
    tree: Tree, target: Target, filled: Sequence[str], seed: int, loops: Loops, script: Script
) -> list[str]:
    """Fill a weight and assign it."""
    assert target.computed is not None
    table = tree.table
    owner = int(table.parent[table.parent[target.computed.row]])
    module = loops.addresses.expression(owner)
    assign = f"{module}.{target.computed.name} = weight"
    parts = tree.objects[target.computed.row]
    draws = any(type(part) is parametrizations._Orthogonal for part in parts)
    last = seeded_lines([assign], seed, script, torch_alone=True) if draws else [assign]
    return [_new_weight(target, script), *filled, *last]


def staged_lines(
    tree: Tree, target: Target, filled: Sequence[str], seed: int, loops: Loops, script: Script
) -> list[str]:
    """The same on a copy in eval mode, whose values the model's own tensors then take over."""
    assert target.computed is not None
    script.imports.add("copy")
    script.helpers["take_over"] = _ASSIGN
    lines = ["tried = copy.deepcopy(parametrizations).eval()", "old = tried()"]
    lines += ["weight = torch.empty_like(old)", *filled]
    lines += [f"weight[{row}] = old[{row}]  # padding" for row in sorted(set(target.padding))]
    lines.append("tried.right_inverse(weight)")
    return [
        f"parametrizations = {loops.addresses.expression(target.computed.row)}",
        *seeded_lines(lines, seed, script, torch_alone=False),
        "take_over(parametrizations, tried)",
    ]


def _new_weight(target: Target, script: Script) -> str:
    """An empty tensor like the computed weight, which is not read: that would run its code."""
    script.imports.add("torch")
    assert target.dtype is not None
    device = target.tensors[0].device
    more = [f"dtype={target.dtype}"]
    if device.type != "cpu":
        more.append(f'device="{device}"')
    if is_contiguous(target.shape, target.stride):
        return call("weight = torch.empty", [str(target.shape), *more])
    return call("weight = torch.empty_strided", [str(target.shape), str(target.stride), *more])
