"""Why a probe never fired, as far as the model itself tells, and what helps.

A fast path of ``TransformerEncoderLayer`` is no reason: it is left as soon as there is a hook.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.messages import ProbeKind

_EAGER = 'torch.compiler.set_stance("force_eager") runs it uncompiled'
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def why_never_fired(tree: Tree, position: int, kinds: frozenset[ProbeKind]) -> str:
    """A sentence about a row that is watched and whose probe has not fired in a whole step."""
    value = tree.objects[position]
    if not isinstance(value, nn.Module):
        return _why_no_parameter(value, kinds)
    if isinstance(value, _CONTAINERS):
        kind = type(value).__name__
        return f"A {kind} is never called itself: watch what stands in it."
    around = list(_around(tree, position))
    if any(_is_compiled(module) for module in (value, *around)):
        return f"It runs inside of torch.compile, where hooks have no place: {_EAGER}."
    parent = around[0] if around else None
    if isinstance(parent, nn.MultiheadAttention):
        return (
            "MultiheadAttention computes with the weights of this module and never calls it: "
            "watch the attention itself."
        )
    if parent is None:
        return f"No forward of the model was seen. If it runs compiled: {_EAGER}."
    return (
        "The model ran without calling it: it is not used in this forward, or by .forward() or "
        f"its weights alone, which run no hooks. If it runs compiled: {_EAGER}."
    )


def _why_no_parameter(parameter: torch.Tensor, kinds: frozenset[ProbeKind]) -> str:
    if not parameter.requires_grad and not kinds & {"value"}:
        return "It is frozen: it gets no gradient and no update."
    if kinds == {"parameter gradient"}:
        return "No backward has reached it: it is not used, or nothing was trained."
    return (
        "No optimizer has stepped: give it to watch(model, optimizer), or run train steps in "
        "the program."
    )


def _around(tree: Tree, position: int) -> Iterator[Any]:
    """Modules around a row, from its parent on."""
    above = int(tree.table.parent[position])
    while above >= 0:
        yield tree.objects[above]
        above = int(tree.table.parent[above])


def _is_compiled(module: nn.Module) -> bool:
    if instance_dict(module).get("_compiled_call_impl") is not None:
        return True  # by module.compile()
    kind = type(module)
    return kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch.")
