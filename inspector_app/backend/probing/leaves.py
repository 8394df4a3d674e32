"""The tensors in whatever a module takes or puts out, each with its path."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch

MAX_DEPTH = 16  # levels of containers in one output
MAX_LEAVES = 256  # tensors in one output


def leaves(output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Paths and tensors of a module's output: tensors, tuples, lists, dicts, dataclasses.

    Walked by hand, since pytree takes dataclasses and subclasses of dict for leaves.  What stands
    inside itself is walked once; beyond ``MAX_DEPTH`` levels or ``MAX_LEAVES`` tensors nothing is.
    """
    if isinstance(output, torch.Tensor):
        yield "", output
        return
    found = 0
    inside: set[int] = set()  # containers on the way down to the current one
    stack: list[tuple[int, Iterator[tuple[str, Any]]]] = [(0, iter([("", output)]))]
    while stack:
        identity, items = stack[-1]
        for path, value in items:
            if isinstance(value, torch.Tensor):
                yield path, value
                found += 1
                if found == MAX_LEAVES:
                    return
            elif id(value) not in inside and len(stack) <= MAX_DEPTH:
                below = _items(path, value)
                if below is not None:
                    inside.add(id(value))
                    stack.append((id(value), below))
                    break
        else:
            inside.discard(identity)
            stack.pop()


def _items(path: str, value: Any) -> Iterator[tuple[str, Any]] | None:
    """What a container holds, with paths; None for anything else."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        fields = [field.name for field in dataclasses.fields(kind)]
        return ((f"{path}.{name}", getattr(value, name, None)) for name in fields)
    if isinstance(value, tuple) and isinstance(names := getattr(kind, "_fields", None), tuple):
        return ((f"{path}.{name}", item) for name, item in zip(names, value, strict=False))
    if isinstance(value, (tuple, list)):
        return ((f"{path}[{index}]", item) for index, item in enumerate(value))
    if isinstance(value, Mapping):
        return ((f"{path}[{_key(key)}]", item) for key, item in value.items())
    return None


def _key(key: Any) -> str:
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)
