"""Small words that several facts are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from inspector_app.backend.summary import bytes_text
from inspector_app.protocol.messages import Fact
from inspector_app.protocol.text import cut, printable

BASE: Any = torch._C.TensorBase
_NAMED = 8  # names that are spelt out in one fact
_LONGEST_NAME = 200  # characters


def read(name: str, tensor: Tensor) -> Any:
    """An attribute of torch's own tensor class; None where the tensor refuses it."""
    try:
        return getattr(BASE, name).__get__(tensor)
    except (Exception, SystemExit):  # noqa: BLE001 - a subclass may raise anything at all
        return None


def call(name: str, tensor: Tensor) -> Any:
    """A method without arguments of torch's own tensor class; None where it is refused."""
    try:
        return getattr(BASE, name)(tensor)
    except (Exception, SystemExit):  # noqa: BLE001 - as above
        return None


def full_class_name(cls: type) -> str:
    """Name of a class with the module it comes from."""
    module = cls.__dict__.get("__module__")
    home = f"{module}." if isinstance(module, str) and module != "builtins" else ""
    return home + str(type.__dict__["__qualname__"].__get__(cls))


def times(count: int, noun: str) -> str:
    """A number of things: "1 hook", "2 hooks"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def extents(shape: Iterable[Any]) -> str:
    """A shape as people write it: "3 × 4"."""
    return " × ".join(f"{n:,}" if type(n) is int else str(n) for n in shape) or "scalar"


def listed(names: list[str], joint: str = ", ") -> str:
    """The first names, and how many more there are; each as it can be read on a line."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return joint.join(cut(printable(name), _LONGEST_NAME) for name in names[:_NAMED]) + more


def bytes_fact(label: str, count: int, more: str = "") -> Fact:
    """A number of bytes, with the exact one in the tooltip."""
    return Fact(label=label, value=bytes_text(count) + more, exact=f"{count:,} bytes")


def plain_text(value: Any) -> str:
    """A number or None as text, by the built-in type's own repr."""
    for plain in (bool, int, float, complex):
        if issubclass(type(value), plain):
            return plain.__repr__(value)
    return "None"
