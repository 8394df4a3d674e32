"""Facts about a tensor of a live model, and about an entry of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.computed import Computed, computed_by
from inspector_app.backend.facts.layouts import layout_facts
from inspector_app.backend.facts.memory import overlap_facts, size_facts, tie_facts
from inspector_app.backend.facts.words import (
    bytes_fact,
    extents,
    full_class_name,
    listed,
    read,
    times,
)
from inspector_app.backend.formats.torch_storages import StoredTensor
from inspector_app.backend.formats.values import PlainValue
from inspector_app.backend.hooks import hooks_of_tensor
from inspector_app.backend.tensors import layout_of
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Fact
from inspector_app.protocol.table import Flag, Role


def tensor_facts(tree: Tree, position: int, tensor: Tensor) -> Iterator[Fact]:
    """All facts of a tensor."""
    table = tree.table
    flags = Flag(int(table.flags[position]))
    yield Fact(label="Class", value=table.class_name(position), exact=full_class_name(type(tensor)))
    shape = table.shape(position)
    if Flag.LAZY in flags:
        value = "known after the first forward (lazy)"
        yield Fact(label="Shape", value=value, tone="quiet")
    elif shape is None:
        nested = layout_of(tensor) in ("nested", "jagged")
        value = "has no one shape (nested)" if nested else "unknown: the tensor does not tell"
        yield Fact(label="Shape", value=value, tone="quiet" if nested else "warning")
    else:
        yield Fact(label="Shape", value=extents(shape))
    dtype = table.dtype(position) or "unknown"
    yield Fact(label="Data type", value=dtype, exact=_numbers_of(dtype))
    data = " (shape only, no data)" if Flag.META in flags else ""
    yield Fact(label="Device", value=(table.device(position) or "unknown") + data)
    if Flag.LAZY not in flags:
        yield from size_facts(table, position, tensor)
    if Flag.INITIAL in flags:
        value = "still at their initial value: not among what was loaded"
        yield Fact(label="Values", value=value, tone="warning")
    yield from layout_facts(tensor)
    yield from _gradient_facts(tensor, Role(int(table.role[position])))
    yield from _computed_facts(tree, position)
    yield from tie_facts(table, position, tree.objects)
    yield from overlap_facts(tree, position)


def _numbers_of(dtype: str) -> str:
    """Extremes and resolution of a data type, for a tooltip."""
    known: Any = getattr(torch, dtype, None)
    if not isinstance(known, torch.dtype):
        return ""
    try:
        if known.is_floating_point or known.is_complex:
            about = torch.finfo(known)
            return f"up to {about.max:.6g}, relative step {about.eps:.3g}"
        whole = torch.iinfo(known)
        return f"from {whole.min:,} to {whole.max:,}"
    except (TypeError, RuntimeError):
        return ""


def _gradient_facts(tensor: Tensor, role: Role) -> Iterator[Fact]:
    requires = bool(read("requires_grad", tensor))
    yield Fact(
        label="Requires grad",
        value="yes" if requires else "no",
        tone="plain" if requires or role != Role.PARAMETER else "quiet",
    )
    if read("is_leaf", tensor) is False:
        value = "no: it is the result of an operation, so an optimizer refuses it"
        yield Fact(label="Leaf", value=value, tone="warning")
        return
    gradient = read("_grad", tensor)
    value = "none"
    if gradient is not None:
        shape = read("shape", gradient)
        value = "of shape " + " × ".join(map(str, shape)) if shape else "present"
    yield Fact(label="Gradient", value=value, tone="plain" if gradient is not None else "quiet")
    hooks: dict[str, list[str]] = {}
    for hook in hooks_of_tensor(tensor):
        hooks.setdefault(hook.kind, []).append(hook.name)
    if hooks:
        value = "; ".join(
            f"{times(len(names), kind)} ({listed(names)})" for kind, names in hooks.items()
        )
        yield Fact(label="Hooks", value=value)


def _computed_facts(tree: Tree, position: int) -> Iterator[Fact]:
    """What is computed from a tensor, or what it is computed from."""
    table = tree.table
    if not table.has(position, Flag.PARAMETRIZED):
        return
    name = table.name(position)
    owner = int(table.parent[position])
    for computed in _computed_at(tree, owner):
        by = " and ".join(computed.by)
        if name == computed.name:
            sources = listed(list(computed.sources), " and ")
            value = f"from {sources} at each forward, by {by}: writing it lasts until then"
            yield Fact(label="Computed", value=value, tone="warning")
        elif any(source.rpartition(".")[2] == name for source in computed.sources):
            yield Fact(
                label="Parametrization", value=f"{computed.name} is computed from it, by {by}"
            )


def _computed_at(tree: Tree, owner: int) -> Iterator[Computed]:
    """What is computed where a tensor stands: by its owner, or by the module around a list."""
    table = tree.table
    module = tree.objects[owner]
    if not issubclass(type(module), nn.Module):
        return
    yield from computed_by(module)
    above = int(table.parent[owner])
    above = int(table.parent[above]) if above > 0 else -1
    if above >= 0 and issubclass(type(tree.objects[above]), nn.Module):
        name = table.name(owner)
        yield from (found for found in computed_by(tree.objects[above]) if found.name == name)


# -- of a checkpoint -------------------------------------------------------------------------------


def entry_facts(tree: Tree, position: int, entry: Any) -> Iterator[Fact]:
    """A tensor of a checkpoint: what its description tells."""
    table = tree.table
    shape = table.shape(position)
    yield Fact(label="Shape", value="has no one shape" if shape is None else extents(shape))
    yield Fact(label="Data type", value=table.dtype(position) or "unknown")
    yield Fact(label="Elements", value=f"{int(table.count[position]):,}")
    stored = int(table.bytes[position])
    yield bytes_fact("Size", stored)
    if type(entry) is StoredTensor:
        yield from _archive_facts(entry, stored)
    yield from tie_facts(table, position, tree.objects)
    yield from overlap_facts(tree, position)


def _archive_facts(entry: StoredTensor, stored: int) -> Iterator[Fact]:
    """What only files of torch.save tell of a tensor."""
    if entry.role:
        passing = "buffer, not persistent" if entry.role == "buffer" else f"plain {entry.role}"
        held = entry.role if entry.saved else f"{passing}: state_dict() leaves it out"
        yield Fact(label="Held as", value=held, tone="plain" if entry.saved else "warning")
    if entry.reason:
        yield Fact(label="Values", value=f"not read here: {entry.reason}", tone="quiet")
    elif entry.nbytes != stored:
        yield bytes_fact("Logical size", entry.nbytes)
    if entry.storage is not None:
        yield Fact(label="Strides", value=str(entry.strides))
        place = f"record {entry.storage.key}, from element {entry.offset:,} on"
        yield Fact(label="Storage", value=place)
        yield Fact(label="Saved from", value=entry.device)
    if entry.parameter:
        yield Fact(label="Requires grad", value="yes" if entry.requires_grad else "no")


def value_facts(value: PlainValue) -> Iterator[Fact]:
    """A value of a checkpoint that is no tensor."""
    yield Fact(label="Class", value=value.class_name)
    yield Fact(label="Value", value=value.text, tone="warning" if value.foreign else "plain")
