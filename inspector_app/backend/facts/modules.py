"""Facts about a module, and about the plain containers and numbers that modules hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn

from inspector_app.backend.computed import Computed, computed_by, is_made_by_parametrize
from inspector_app.backend.facts.words import (
    bytes_fact,
    extents,
    full_class_name,
    listed,
    plain_text,
    read,
    times,
)
from inspector_app.backend.hooks import hooks_of
from inspector_app.backend.kinds import class_name, is_of_torch
from inspector_app.backend.module_flags import in_train_mode, is_half_constructed
from inspector_app.backend.quantization import packed_tensors, scheme_of
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.messages import Fact
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role, RowTable

_BUILT_IN = (list, tuple, dict, set, frozenset, deque)
_PACKAGES = ("_packed_params", "_packed_weight", "param")  # names that say nothing of a part
_LARGEST_MASK = 10**7  # elements of a pruning mask that are counted


def module_facts(tree: Tree, position: int, module: nn.Module) -> Iterator[Fact]:
    """All facts of a module."""
    table = tree.table
    cls = type(module)
    yield Fact(label="Class", value=class_name(cls), exact=full_class_name(cls))
    if is_half_constructed(module):
        value = "super().__init__() has not been called: nothing it holds is registered"
        yield Fact(label="Not initialised", value=value, tone="warning")
    described = _own_description(module)
    if described:
        yield Fact(label="Made with", value=described)
    yield from _mode_facts(tree, position, module)
    flags = Flag(int(table.flags[position]))
    if Flag.REFERENCE in flags:
        value = "This module stands inside itself, or was shown too often to be shown again."
        yield Fact(label="Reference", value=value, tone="warning")
    elif Flag.REPEATED in flags:
        yield Fact(label="Repeated", value="The same module stands further up as well.")
    yield from sum_facts(table, position)
    yield from _missing_facts(table, position)
    if Flag.PARAMETRIZED in flags:
        for computed in computed_by(module):
            yield _computed_fact(module, computed)
    if Flag.QUANTIZED in flags:
        yield from _packed_facts(module)
    yield from _hook_facts(module)
    yield from _values_of_torch(module)


def _own_description(module: nn.Module) -> str:
    """``extra_repr()`` of torch's own classes; any other's would be the person's code."""
    cls = type(module)
    if not is_of_torch(cls) or is_made_by_parametrize(cls) or "extra_repr" in instance_dict(module):
        return ""
    describe: Callable[[nn.Module], Any] = cls.extra_repr
    try:
        return str(describe(module))
    except Exception:  # noqa: BLE001 - it reads attributes that may have been changed
        return ""


def _mode_facts(tree: Tree, position: int, module: nn.Module) -> Iterator[Fact]:
    """Train or eval, and how many registered modules below are in the other mode."""
    mode = in_train_mode(module)
    if mode is None:
        return
    table = tree.table
    start, stop = position + 1, int(table.end[position])
    flags = table.flags[start:stop]
    below = table.role[start:stop] == Role.MODULE
    below &= (flags & (Flag.REPEATED | Flag.REFERENCE)) == 0
    differing = below & (((flags & Flag.TRAINING) != 0) != mode)
    rows = (start + np.flatnonzero(differing)).tolist()
    others = [row for row in rows if in_train_mode(tree.objects[row]) is (not mode)]
    value, other = ("train", "eval") if mode else ("eval", "train")
    if not others:
        yield Fact(label="Mode", value=value)
        return
    count = int(below.sum())
    value += f", {len(others):,} of {times(count, 'module')} below in {other}"
    paths = [table.path(row) for row in others[:100]]
    yield Fact(label="Mode", value=value, exact="\n".join(paths))


def sum_facts(table: RowTable, position: int) -> Iterator[Fact]:
    """What a row's subtree holds."""
    sums = SubtreeSums(table)
    parameters, trainable = sums.parameters(position), sums.trainable(position)
    if parameters:
        yield Fact(label="Parameters", value=f"{parameters:,}")
        yield Fact(
            label="Trainable",
            value=f"{trainable:,}" if trainable else "none: all are frozen",
            exact=f"{trainable / parameters:.1%} of the parameters",
        )
    stored = sums.bytes(position)
    if stored:
        yield bytes_fact("Size", stored)
    for label, names in (
        ("Data types", sums.dtypes(position)),
        ("Devices", sums.devices(position)),
    ):
        if names:
            yield Fact(label=label, value=", ".join(names))
    below = int(table.end[position]) - position - 1
    if below:
        yield Fact(label="Rows below", value=f"{below:,}", tone="quiet")


def _missing_facts(table: RowTable, position: int) -> Iterator[Fact]:
    """How many parameters and buffers at or below have no shape or no data yet."""
    part = slice(position, int(table.end[position]))
    flags = table.flags[part]
    tensors = np.isin(table.role[part], (Role.PARAMETER, Role.BUFFER))
    tensors &= (flags & (Flag.TENSOR | Flag.REPEATED)) == int(Flag.TENSOR)
    for label, flag, words in (
        ("Lazy", Flag.LAZY, "get their shape from the first forward"),
        ("Meta", Flag.META, "have a shape but no data"),
    ):
        count = int((tensors & ((flags & flag) != 0)).sum())
        if count:
            value = f"{count:,} of {times(int(tensors.sum()), 'tensor')} {words}"
            yield Fact(label=label, value=value)


def _computed_fact(module: nn.Module, computed: Computed) -> Fact:
    """What one tensor of a module is computed from."""
    by = " and ".join(computed.by)
    if computed.style == "parametrization":
        sources = listed(list(computed.sources), " and ")
        return Fact(label="Parametrized", value=f"{computed.name} by {by}", exact=f"from {sources}")
    sources = " and ".join(computed.sources[:2])
    value = f"{computed.name} by {by}, from {sources} before each forward"
    if computed.style == "pruning":
        return Fact(label="Pruned", value=value + _masked(module, computed))
    return Fact(label="Computed", value=value)


def _masked(module: nn.Module, computed: Computed) -> str:
    """How much of a pruned tensor its mask leaves out."""
    mask = (instance_dict(module).get("_buffers") or {}).get(computed.sources[1])
    if type(mask) is not Tensor or not 0 < mask.numel() <= _LARGEST_MASK or mask.is_meta:
        return ""
    return f"; {1 - int(mask.count_nonzero()) / mask.numel():.1%} masked"


def _packed_facts(module: nn.Module) -> Iterator[Fact]:
    """Quantized weights that are packed out of sight."""
    found = list(packed_tensors(module))
    for name, tensor in found:
        words = [extents(read("shape", tensor) or ()), str(read("dtype", tensor))]
        scheme = scheme_of(tensor)
        if scheme:
            words += [scheme.pop("Scheme"), *(f"{k.lower()} {v}" for k, v in scheme.items())]
        short = ".".join(part for part in name.split(".") if part not in _PACKAGES)
        value = f"{short}: {', '.join(words).replace('torch.', '')}"
        yield Fact(label="Packed", value=value, exact=name)
    if found:
        value = "packed tensors are no parameters: no optimizer sees them, and they stand in no row"
        yield Fact(label="Quantized", value=value)


def _hook_facts(module: nn.Module) -> Iterator[Fact]:
    """Hooks that are not probes of ours, with their names."""
    kinds: dict[str, list[str]] = {}
    for hook in hooks_of(module):
        kinds.setdefault(hook.kind, []).append(hook.name)
    if kinds:
        value = ", ".join(
            f"{times(len(names), kind)} ({listed(names)})" for kind, names in kinds.items()
        )
        exact = "\n".join(f"{kind}: {name}" for kind, names in kinds.items() for name in names)
        yield Fact(label="Hooks", value=value, exact=exact)


def _values_of_torch(module: nn.Module) -> Iterator[Fact]:
    """Numbers and None slots of torch's own classes, which are no rows."""
    if not is_of_torch(type(module)):
        return
    own = instance_dict(module)
    slots = [own] + [own.get(held) for held in ("_parameters", "_buffers", "_modules")]
    for held in slots:
        if type(held) is not dict:
            continue
        for name, value in tuple(held.items()):
            number = issubclass(type(value), (int, float, complex))
            if name not in ("training", "_is_full_backward_hook") and (number or value is None):
                yield Fact(label=str(name), value=plain_text(value), tone="quiet")


# -- what modules hold -----------------------------------------------------------------------------


def plain_facts(tree: Tree, position: int) -> Iterator[Fact]:
    """Of a container, a number or None, or a group of a checkpoint."""
    table, value = tree.table, tree.objects[position]
    if table.role[position] == Role.GROUP:
        tensors = int((table.role[position : int(table.end[position])] == Role.TENSOR).sum())
        yield Fact(label="Tensors", value=f"{tensors:,}")
        yield from sum_facts(table, position)
        return
    yield Fact(label="Class", value=class_name(type(value)), exact=full_class_name(type(value)))
    if table.has(position, Flag.CONTAINER):
        yield Fact(label="Items", value=f"{_length(value):,}")
        yield from sum_facts(table, position)
    else:
        yield Fact(label="Value", value=plain_text(value))


def _length(container: Any) -> int:
    """Number of items of a plain container, by the built-in type's own method."""
    for plain in _BUILT_IN:
        if issubclass(type(container), plain):
            return int(plain.__len__(container))
    raise TypeError(f"{class_name(type(container))} is no plain container")
