"""What a value is by its type alone: asking the value itself could run a person's code."""

from __future__ import annotations

from collections import deque

from torch import Tensor, nn

# Plain integers: an Enum's members would cost the walk's loop more to compare than all else.
Kind = int
OTHER, NONE, NUMBER, TENSOR, MODULE, CONTAINER = range(6)


def kind_of(cls: type) -> Kind:
    """Kind of all values of a type; asks the type only, since ``isinstance`` asks the value."""
    if issubclass(cls, nn.Module):
        return MODULE
    if issubclass(cls, Tensor):
        return TENSOR
    if issubclass(cls, (list, tuple, dict, set, frozenset, deque)):
        return CONTAINER
    if issubclass(cls, (int, float, complex)):
        return NUMBER
    return NONE if cls is type(None) else OTHER


class Kinds(dict[type, Kind]):
    """Kinds by type, learnt once each; meant for one walk, so that no class is kept alive."""

    def __missing__(self, cls: type) -> Kind:
        self[cls] = kind = kind_of(cls)
        return kind


def is_of_torch(cls: type) -> bool:
    """Whether a module's class is torch's own, with all its bases.

    The classes that torch makes of a user's one (parametrizations do) are the user's.
    """
    for base in cls.__mro__:
        module = base.__dict__.get("__module__")
        if not issubclass(base, nn.Module):
            continue
        if not isinstance(module, str) or module.partition(".")[0] != "torch":
            return False
    return True


def computes_or_packs(cls: type) -> bool:
    """Whether a module's class is one that torch makes to compute, pack or compile parameters."""
    home = cls.__dict__.get("__module__")
    return isinstance(home, str) and (
        home == "torch.nn.utils.parametrize" or ".quantized" in home or home.startswith("torch.jit")
    )


def class_name(cls: type) -> str:
    """Name of a class as it was defined."""
    return str(type.__dict__["__name__"].__get__(cls))
