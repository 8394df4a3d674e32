"""The registered modules of a live model, each once, what they hold, and their training flags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from inspector_app.backend.walking import instance_dict, items_of


def modules_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Paths and modules in the order of ``model.modules()``.

    Reads ``_modules`` itself: methods of a module may be overridden, and torch's own recurse for
    ever where a module stands inside itself.
    """
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", model)]
    while stack:
        path, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        held = items_of(instance_dict(module).get("_modules"))
        stack.extend(
            (f"{path}.{name}" if path else str(name), child)
            for name, child in reversed(held)
            if issubclass(type(child), nn.Module)
        )


def tensors_of(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Paths and tensors of all registered parameters and buffers, tied ones under each name."""
    for path, module in modules_of(model):
        own = instance_dict(module)
        for held in ("_parameters", "_buffers"):
            for name, tensor in items_of(own.get(held)):
                if issubclass(type(tensor), torch.Tensor):
                    yield (f"{path}.{name}" if path else str(name)), tensor


def training_flag(module: nn.Module) -> Any:
    """The training flag, read past any override; None where a module has none."""
    if issubclass(type(module), torch.jit.ScriptModule):
        return module.training  # torch keeps it in C++
    return instance_dict(module).get("training")


def set_training_flag(module: nn.Module, flag: Any) -> None:
    """Set one flag; never by ``train()``, which may be overridden and recurse for ever."""
    if issubclass(type(module), torch.jit.ScriptModule):
        module.training = flag
    else:
        instance_dict(module)["training"] = flag
