"""All facts of one row, in words, and the source of its class.

Runs none of the model's code: see :mod:`inspector_app.backend.facts`.
"""

from __future__ import annotations

import inspect
import linecache
from contextlib import suppress

import torch
from torch import Tensor, nn

from inspector_app.backend.computed import is_made_by_parametrize
from inspector_app.backend.facts.modules import module_facts, plain_facts
from inspector_app.backend.facts.tensors import entry_facts, tensor_facts, value_facts
from inspector_app.backend.formats.values import PlainValue
from inspector_app.backend.registration import registration_facts
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Detail, Fact, Source
from inspector_app.protocol.table import Flag, Role

_LONGEST_SOURCE = 200_000  # characters
_ATTEMPTS = 5  # to read a source


def source_of(cls: type) -> Source | None:
    """Where a class is written; None where that cannot be found."""
    while is_made_by_parametrize(cls):
        cls = cls.__mro__[1]  # the class that torch made this one of
    try:
        file = inspect.getsourcefile(cls) or ""
        linecache.checkcache(file)
        lines, first = _lines_of(cls)
    except (OSError, TypeError, SyntaxError, IndexError, AttributeError):
        return None
    text = "".join(lines)
    if len(text) > _LONGEST_SOURCE:
        text = text[:_LONGEST_SOURCE] + "\n# … (cut)\n"
    return Source(file=file, line=first, text=text)


def _lines_of(cls: type) -> tuple[list[str], int]:
    """Lines of a class and the number of the first.

    Python 3.11 parses the file for that, and counts the depth of the parser wrongly where another
    thread takes over in the middle (CPython issue 106905), as happens in a training process.
    """
    for _ in range(_ATTEMPTS):
        with suppress(SystemError):
            return inspect.getsourcelines(cls)
    raise OSError("the parser was disturbed")


def _facts(tree: Tree, position: int) -> list[Fact]:
    value = tree.objects[position]
    if issubclass(type(value), nn.Module):
        return list(module_facts(tree, position, value))
    if issubclass(type(value), Tensor):
        return list(tensor_facts(tree, position, value))
    if tree.table.role[position] == Role.TENSOR:
        return list(entry_facts(tree, position, value))
    if type(value) is PlainValue:
        return list(value_facts(value))
    return list(plain_facts(tree, position))


def describe_row(tree: Tree, row_id: int) -> Detail:
    """All facts of one row; raises RequestError where it is gone."""
    table = tree.table
    try:
        position = table.position(row_id)
    except KeyError:
        raise RequestError(f"Row {row_id} is not in the tree any more: select it again.") from None
    cls = type(tree.objects[position])
    is_module = issubclass(cls, nn.Module)
    with torch._C.DisableTorchFunctionSubclass():
        facts = _facts(tree, position)
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
        registration=registration_facts(table, position, is_module=is_module),
        source=source_of(cls) if is_module else None,
        has_values=Flag.TENSOR in flags and not flags & (Flag.LAZY | Flag.META),
    )
