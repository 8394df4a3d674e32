"""Tensors computed from others: by parametrizations, old weight and spectral norm, pruning.

Found through instance dictionaries and the types of hooks alone, since reading such a tensor runs
the code that computes it.

https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod, PruningContainer
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from inspector_app.backend.kinds import class_name
from inspector_app.backend.walking import instance_dict, items_of


@dataclass(frozen=True)
class Computed:
    """One tensor of a module that is computed anew from others."""

    name: str  # "weight"
    by: tuple[str, ...]  # classes that compute it, one after the other
    sources: tuple[str, ...]  # what it is computed from, as paths below the module
    style: str  # "parametrization", "weight_norm", "spectral_norm" or "pruning"


def is_made_by_parametrize(cls: type) -> bool:
    """Whether torch made this class, to compute parameters in properties."""
    return cls.__dict__.get("__module__") == "torch.nn.utils.parametrize" and class_name(
        cls
    ).startswith("Parametrized")


def originals_of(parametrizations: nn.Module) -> tuple[str, ...]:
    """Names of the tensors that a ParametrizationList computes from."""
    own = instance_dict(parametrizations)
    return tuple(
        name
        for held in ("_parameters", "_buffers")
        for name, value in items_of(own.get(held))
        if type(name) is str and name.startswith("original") and issubclass(type(value), Tensor)
    )


def computed_by(module: nn.Module) -> Iterator[Computed]:
    """The tensors that a module computes anew, whatever the style."""
    own = instance_dict(module)
    yield from _parametrized(own)
    hooks = own.get("_forward_pre_hooks")
    for hook in tuple(dict.values(hooks)) if issubclass(type(hooks), dict) else ():
        found = _of_hook(hook)
        if found is not None:
            yield found


def _parametrized(own: dict[str, Any]) -> Iterator[Computed]:
    lists = dict(items_of(own.get("_modules"))).get("parametrizations")
    if not issubclass(type(lists), nn.Module):
        return
    for name, parametrizations in items_of(instance_dict(lists).get("_modules")):
        if issubclass(type(parametrizations), ParametrizationList):
            parts = items_of(instance_dict(parametrizations).get("_modules"))
            yield Computed(
                name=str(name),
                by=tuple(class_name(type(part)).lstrip("_") for _, part in parts),
                sources=tuple(
                    f"parametrizations.{name}.{original}"
                    for original in originals_of(parametrizations)
                ),
                style="parametrization",
            )


def _of_hook(hook: Any) -> Computed | None:
    """What a pre-hook of the old style computes; None for any other hook."""
    kind = type(hook)
    by: tuple[str, ...] = (class_name(kind),)
    if issubclass(kind, WeightNorm):
        name = _attribute(hook, "name")
        return Computed(name, by, (f"{name}_g", f"{name}_v"), "weight_norm")
    if issubclass(kind, SpectralNorm):
        name = _attribute(hook, "name")
        return Computed(name, by, (f"{name}_orig", f"{name}_u", f"{name}_v"), "spectral_norm")
    if issubclass(kind, BasePruningMethod):
        name = _attribute(hook, "_tensor_name")
        if issubclass(kind, PruningContainer):
            methods = inspect.getattr_static(hook, "_pruning_methods", ())
            if type(methods) is tuple and methods:
                by = tuple(class_name(type(method)) for method in methods)
        return Computed(name, by, (f"{name}_orig", f"{name}_mask"), "pruning")
    return None


def _attribute(hook: Any, name: str) -> str:
    """An attribute of a hook, past any property; "weight", which is torch's default, without it."""
    value = inspect.getattr_static(hook, name, "weight")
    return value if type(value) is str else "weight"
