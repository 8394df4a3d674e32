"""Quantized tensors, and the modules of torch that pack such tensors out of sight.

A dynamically quantized Linear has no parameters: its weight and bias are packed into an object that
only torch's kernels read.  What such an object holds is asked of torch's own methods, and only of
objects of torch's own classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.kinds import is_of_torch
from inspector_app.backend.walking import instance_dict, items_of

#: Data types whose elements stand for other numbers, by a scale and a zero point.
QUANTIZED_DTYPES = frozenset(
    getattr(torch, name)
    for name in ("qint8", "quint8", "qint32", "quint4x2", "quint2x4")
    if hasattr(torch, name)
)
_BASE: Any = torch._C.TensorBase
_ScriptObject: type = torch._C.ScriptObject
_OURS = tuple(f"__torch__.torch.classes.{home}." for home in ("quantized", "rnn", "sparse"))
_DEPTH = 4  # levels of modules and packed objects inside one quantized module


def may_pack(cls: type) -> bool:
    """Whether a class is one of torch's own for quantized layers."""
    home = cls.__dict__.get("__module__")
    return isinstance(home, str) and ".quantized" in home and is_of_torch(cls)


def packed_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors that a quantized module of torch holds packed; copies, made by unpacking.

    The names are those of the attributes, with what the packed object calls its parts behind them.
    """
    for name, packed in _packed(module, _DEPTH):
        yield from _unpacked(name, packed, _DEPTH)


def packs(module: nn.Module) -> bool:
    """Whether a module of torch holds anything packed, itself or in modules of its own."""
    return next(_packed(module, _DEPTH), None) is not None


def _packed(module: nn.Module, depth: int) -> Iterator[tuple[str, Any]]:
    if not may_pack(type(module)):
        return
    own = instance_dict(module)
    for name, value in tuple(own.items()):
        if type(value) in (_ScriptObject, torch.ScriptObject) and _is_of_torch(value):
            yield str(name), value
    children = list(items_of(own.get("_modules")))
    while children and depth:
        name, child = children.pop(0)
        if type(child) is nn.ModuleList:  # the layers of a recurrent module
            held = items_of(instance_dict(child).get("_modules"))
            children += [(f"{name}.{inner}", part) for inner, part in held]
        elif issubclass(type(child), nn.Module):
            inside = _packed(child, depth - 1)
            yield from ((f"{name}.{inner}", packed) for inner, packed in inside)


def _is_of_torch(packed: Any) -> bool:
    try:
        return str(packed._type().qualified_name()).startswith(_OURS)
    except RuntimeError:  # an object without a class
        return False


def _unpacked(name: str, packed: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a packed object; nothing where torch cannot unpack it."""
    try:
        methods = packed._method_names()
        if "unpack" in methods:
            parts = packed.unpack()
            parts = parts if isinstance(parts, tuple) else (parts,)
            named = list(zip(("weight", "bias"), parts, strict=False))
        else:  # of a recurrent layer: a list of tensors and packed objects
            flat = enumerate(_flat(packed.__getstate__()))
            named = [(str(number), value) for number, value in flat]
    except (RuntimeError, NotImplementedError, AttributeError):
        return
    for part, value in named:
        if isinstance(value, Tensor):
            yield f"{name}.{part}", value
        elif type(value) is type(packed) and depth:
            yield from _unpacked(f"{name}.{part}", value, depth - 1)


def _flat(state: Any) -> Iterator[Any]:
    if isinstance(state, (list, tuple)):
        for part in state:
            yield from _flat(part)
    else:
        yield state


def scheme_of(tensor: Tensor) -> dict[str, str]:
    """Scheme, scale and zero point of a quantized tensor, by name; empty for any other."""
    if _BASE.dtype.__get__(tensor) not in QUANTIZED_DTYPES:
        return {}
    try:
        scheme = str(_BASE.qscheme(tensor)).removeprefix("torch.").replace("_", " ")
        if scheme.startswith("per tensor"):
            scale, zero = _BASE.q_scale(tensor), _BASE.q_zero_point(tensor)
            return {"Scheme": scheme, "Scale": f"{scale:.6g}", "Zero point": str(zero)}
        axis = _BASE.q_per_channel_axis(tensor)
        return {
            "Scheme": f"{scheme}, along dimension {axis}",
            "Scale": _range(_BASE.q_per_channel_scales(tensor)),
            "Zero point": _range(_BASE.q_per_channel_zero_points(tensor)),
        }
    except (RuntimeError, NotImplementedError):
        return {}


def _range(values: Tensor) -> str:
    """The values of all channels in one line."""
    if not values.numel():
        return "none"
    low, high = values.min().item(), values.max().item()
    count = f" ({values.numel():,} channels)"
    return (f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}") + count
