"""All facts of one row, in words.

Runs none of the model's code: a module is read through its type and its instance dictionary, a
tensor through torch's own descriptors.
"""

from __future__ import annotations

import inspect
import linecache
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.kinds import class_name, is_of_torch
from inspector_app.backend.opening.torch_values import StoredTensor
from inspector_app.backend.opening.values import PlainValue
from inspector_app.backend.registration import registration_facts
from inspector_app.backend.summary import bytes_text
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Detail, Fact, Source
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role, RowTable

_BASE: Any = torch._C.TensorBase
_NAMED_TIES = 8  # names of tied rows that are spelt out
_LONGEST_SOURCE = 200_000  # characters
_HOOKS = {
    "_forward_pre_hooks": "forward pre-hook",
    "_forward_hooks": "forward hook",
    "_backward_pre_hooks": "backward pre-hook",
    "_backward_hooks": "backward hook",
    "_state_dict_hooks": "state_dict hook",
    "_state_dict_pre_hooks": "state_dict pre-hook",
    "_load_state_dict_pre_hooks": "load_state_dict pre-hook",
    "_load_state_dict_post_hooks": "load_state_dict post-hook",
}


def _read(name: str, tensor: Tensor) -> Any:
    """An attribute of torch's own tensor class; None where the tensor refuses it."""
    try:
        return getattr(_BASE, name).__get__(tensor)
    except Exception:  # noqa: BLE001 - torch raises a different class for every kind of tensor
        return None


def _call(name: str, tensor: Tensor) -> Any:
    """A method without arguments of torch's own tensor class; None where it is refused."""
    try:
        return getattr(_BASE, name)(tensor)
    except Exception:  # noqa: BLE001 - as above
        return None


def full_class_name(cls: type) -> str:
    """Name of a class with the module it comes from."""
    module = cls.__dict__.get("__module__")
    home = f"{module}." if isinstance(module, str) and module != "builtins" else ""
    return home + str(type.__dict__["__qualname__"].__get__(cls))


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bytes_fact(label: str, count: int) -> Fact:
    return Fact(label=label, value=bytes_text(count), exact=f"{count:,} bytes")


def _plain_text(value: Any) -> str:
    """A number or None as text, by the built-in type's own repr."""
    for plain in (bool, int, float, complex):
        if issubclass(type(value), plain):
            return plain.__repr__(value)
    return "None"


# -- tensors ---------------------------------------------------------------------------------------


def _tie_facts(table: RowTable, position: int) -> Iterator[Fact]:
    others = [table.path(other) for other in table.tied_to(position).tolist()]
    if others:
        shown = ", ".join(others[:_NAMED_TIES])
        more = f" and {len(others) - _NAMED_TIES:,} more" if len(others) > _NAMED_TIES else ""
        yield Fact(label="Tied to", value=shown + more, exact="\n".join(others))


def _storage_facts(table: RowTable, position: int, tensor: Tensor) -> Iterator[Fact]:
    """Shape and memory of a tensor that is not lazy."""
    count, stored = int(table.count[position]), int(table.bytes[position])
    yield Fact(label="Elements", value=f"{count:,}")
    logical = count * (_call("element_size", tensor) or 0)
    if logical != stored:
        yield _bytes_fact("Logical size", logical)
        yield _bytes_fact("Stored", stored)
    elif Flag.META in Flag(int(table.flags[position])):
        yield _bytes_fact("Size, once it has data", stored)
    else:
        yield _bytes_fact("Size", stored)
    layout = str(_read("layout", tensor) or "?").removeprefix("torch.")
    if layout != "strided":
        yield Fact(label="Layout", value=layout)
    strides = _call("stride", tensor) if layout == "strided" else None
    if strides is not None:
        dense = "contiguous" if _call("is_contiguous", tensor) else "not contiguous"
        yield Fact(label="Strides", value=f"{tuple(strides)}, {dense}")


def _gradient_facts(tensor: Tensor, role: Role) -> Iterator[Fact]:
    requires = bool(_read("requires_grad", tensor))
    yield Fact(
        label="Requires grad",
        value="yes" if requires else "no",
        tone="plain" if requires or role != Role.PARAMETER else "quiet",
    )
    if _read("is_leaf", tensor) is False:
        value = "no: it is the result of an operation, so an optimizer refuses it"
        yield Fact(label="Leaf", value=value, tone="warning")
        return
    gradient = _read("_grad", tensor)
    value = "none"
    if gradient is not None:
        shape = _read("shape", gradient)
        value = "of shape " + " × ".join(map(str, shape)) if shape else "present"
    yield Fact(label="Gradient", value=value, tone="plain" if gradient is not None else "quiet")


def _tensor_facts(table: RowTable, position: int, tensor: Tensor) -> Iterator[Fact]:
    flags = Flag(int(table.flags[position]))
    role = Role(int(table.role[position]))
    yield Fact(label="Class", value=table.class_name(position), exact=full_class_name(type(tensor)))
    shape = table.shape(position)
    if Flag.LAZY in flags:
        yield Fact(label="Shape", value="known after the first forward", tone="quiet")
    elif shape is None:
        yield Fact(label="Shape", value="has no one shape (nested)", tone="quiet")
    else:
        yield Fact(label="Shape", value=" × ".join(f"{n:,}" for n in shape) or "scalar")
    yield Fact(label="Data type", value=table.dtype(position) or "unknown")
    device = table.device(position) or "unknown"
    data = " (shape only, no data)" if Flag.META in flags else ""
    yield Fact(label="Device", value=device + data)
    if Flag.LAZY not in flags:
        yield from _storage_facts(table, position, tensor)
    yield from _gradient_facts(tensor, role)
    yield from _tie_facts(table, position)


def _entry_facts(table: RowTable, position: int, entry: Any) -> Iterator[Fact]:
    """A tensor of a checkpoint: what its description tells."""
    shape = table.shape(position)
    sizes = "has no one shape" if shape is None else " × ".join(f"{n:,}" for n in shape)
    yield Fact(label="Shape", value=sizes or "scalar")
    yield Fact(label="Data type", value=table.dtype(position) or "unknown")
    yield Fact(label="Elements", value=f"{int(table.count[position]):,}")
    stored = int(table.bytes[position])
    yield _bytes_fact("Size", stored)
    if isinstance(entry, StoredTensor):
        yield from _archive_facts(entry, stored)
    yield from _tie_facts(table, position)


def _archive_facts(entry: StoredTensor, stored: int) -> Iterator[Fact]:
    """What only archives of torch.save tell of a tensor."""
    if entry.reason:
        yield Fact(label="Values", value=f"not read here: {entry.reason}", tone="quiet")
    elif entry.nbytes != stored:
        yield _bytes_fact("Logical size", entry.nbytes)
    if entry.storage is not None:
        yield Fact(label="Strides", value=str(entry.strides))
        place = f"record {entry.storage.key}, from element {entry.offset:,} on"
        yield Fact(label="Storage", value=place)
        yield Fact(label="Saved from", value=entry.device)
    if entry.parameter:
        yield Fact(label="Requires grad", value="yes" if entry.requires_grad else "no")


def _value_facts(value: PlainValue) -> Iterator[Fact]:
    """A value of a checkpoint that is no tensor."""
    yield Fact(label="Class", value=value.class_name)
    yield Fact(label="Value", value=value.text, tone="warning" if value.foreign else "plain")


# -- modules ---------------------------------------------------------------------------------------


def _sum_facts(table: RowTable, position: int) -> Iterator[Fact]:
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
        yield _bytes_fact("Size", stored)
    for label, names in (
        ("Data types", sums.dtypes(position)),
        ("Devices", sums.devices(position)),
    ):
        if names:
            yield Fact(label=label, value=", ".join(names))
    below = int(table.end[position]) - position - 1
    if below:
        yield Fact(label="Rows below", value=f"{below:,}", tone="quiet")


def _own_description(module: nn.Module) -> str:
    """``extra_repr()`` of torch's own classes; any other's would be the person's code."""
    cls = type(module)
    if not is_of_torch(cls) or _is_parametrized(cls) or "extra_repr" in instance_dict(module):
        return ""
    describe: Callable[[nn.Module], Any] = cls.extra_repr
    try:
        return str(describe(module))
    except Exception:  # noqa: BLE001 - it reads attributes that may have been changed
        return ""


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
                yield Fact(label=str(name), value=_plain_text(value), tone="quiet")


def _module_facts(table: RowTable, position: int, module: nn.Module) -> Iterator[Fact]:
    cls = type(module)
    yield Fact(label="Class", value=class_name(cls), exact=full_class_name(cls))
    own = instance_dict(module)
    if "_modules" not in own and "_parameters" not in own and not is_of_torch(cls):
        value = "super().__init__() has not been called: nothing it holds is registered"
        yield Fact(label="Not initialised", value=value, tone="warning")
    described = _own_description(module)
    if described:
        yield Fact(label="Made with", value=described)
    mode = own.get("training")
    if type(mode) is bool:
        yield Fact(label="Mode", value="train" if mode else "eval")
    flags = Flag(int(table.flags[position]))
    if Flag.REFERENCE in flags:
        value = "This module stands inside itself, or was shown too often to be shown again."
        yield Fact(label="Reference", value=value, tone="warning")
    elif Flag.REPEATED in flags:
        yield Fact(label="Repeated", value="The same module stands further up as well.")
    yield from _sum_facts(table, position)
    hooks = [
        _times(len(own[held]), noun)
        for held, noun in _HOOKS.items()
        if issubclass(type(own.get(held)), dict) and len(own[held])
    ]
    if hooks:
        yield Fact(label="Hooks", value=", ".join(hooks))
    yield from _values_of_torch(module)


def _is_parametrized(cls: type) -> bool:
    """Whether torch made this class, to compute parameters in properties."""
    return cls.__dict__.get("__module__") == "torch.nn.utils.parametrize" and class_name(
        cls
    ).startswith("Parametrized")


def source_of(cls: type) -> Source | None:
    """Where a class is written; None where that cannot be found."""
    while cls.__module__ == "torch.nn.utils.parametrize" and cls.__name__.startswith(
        "Parametrized"
    ):
        cls = cls.__mro__[1]  # the class that torch made this one of
    try:
        file = inspect.getsourcefile(cls) or ""
        linecache.checkcache(file)
        lines, first = inspect.getsourcelines(cls)
    except (OSError, TypeError, SyntaxError, IndexError, AttributeError):
        return None
    text = "".join(lines)
    if len(text) > _LONGEST_SOURCE:
        text = text[:_LONGEST_SOURCE] + "\n# … (cut)\n"
    return Source(file=file, line=first, text=text)


# -- any row ---------------------------------------------------------------------------------------


def _plain_facts(tree: Tree, position: int) -> Iterator[Fact]:
    """Of a container, a number or None, or a group of a checkpoint."""
    table, value = tree.table, tree.objects[position]
    if table.role[position] == Role.GROUP:
        tensors = int((table.role[position : int(table.end[position])] == Role.TENSOR).sum())
        yield Fact(label="Tensors", value=f"{tensors:,}")
        yield from _sum_facts(table, position)
        return
    yield Fact(label="Class", value=class_name(type(value)), exact=full_class_name(type(value)))
    if table.has(position, Flag.CONTAINER):
        yield Fact(label="Items", value=f"{_length(value):,}")
        yield from _sum_facts(table, position)
    else:
        yield Fact(label="Value", value=_plain_text(value))


def _length(container: Any) -> int:
    """Number of items of a plain container, by the built-in type's own method."""
    for plain in (list, tuple, dict, set, frozenset, deque):
        if issubclass(type(container), plain):
            return int(plain.__len__(container))
    raise TypeError(f"{class_name(type(container))} is no plain container")


def describe_row(tree: Tree, row_id: int) -> Detail:
    """All facts of one row; raises RequestError where it is gone."""
    table = tree.table
    try:
        position = table.position(row_id)
    except KeyError:
        raise RequestError(f"Row {row_id} is not in the tree any more: select it again.") from None
    value = tree.objects[position]
    cls = type(value)
    with torch._C.DisableTorchFunctionSubclass():
        if issubclass(cls, nn.Module):
            facts = list(_module_facts(table, position, value))
        elif issubclass(cls, Tensor):
            facts = list(_tensor_facts(table, position, value))
        elif table.role[position] == Role.TENSOR:
            facts = list(_entry_facts(table, position, value))
        elif isinstance(value, PlainValue):
            facts = list(_value_facts(value))
        else:
            facts = list(_plain_facts(tree, position))
    flags = Flag(int(table.flags[position]))
    role = Role(int(table.role[position]))
    path = table.path(position)
    persistent = role != Role.BUFFER or Flag.PERSISTENT in flags
    word = role.word if persistent else "buffer, not saved"
    return Detail(
        row=row_id,
        path=path,
        title=path or table.class_name(position),
        facts=[Fact(label="Role", value=word), *facts],
        registration=registration_facts(table, position, is_module=issubclass(cls, nn.Module)),
        source=source_of(cls) if issubclass(cls, nn.Module) else None,
        has_values=Flag.TENSOR in flags and not flags & (Flag.LAZY | Flag.META),
    )
