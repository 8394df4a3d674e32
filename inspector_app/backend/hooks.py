"""Hooks that stand on modules and tensors, read without calling them.

The temporary probes of this program are hooks as well; they are not counted.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.kinds import class_name
from inspector_app.backend.probing.probes import ProbeHook
from inspector_app.backend.walking import HOOKS, instance_dict

_WORDS = dict(
    zip(
        HOOKS,
        (
            "forward pre-hook",
            "forward hook",
            "backward pre-hook",
            "backward hook",
            "state_dict hook",
            "state_dict pre-hook",
            "load_state_dict pre-hook",
            "load_state_dict post-hook",
        ),
        strict=True,
    )
)
_TENSOR_HOOKS = {
    "_backward_hooks": "gradient hook",
    "_post_accumulate_grad_hooks": "hook after the gradient",
}


@dataclass(frozen=True)
class Hook:
    """One hook: what it is called at, and itself."""

    kind: str  # "forward hook"
    function: Any

    @property
    def name(self) -> str:
        """Name of the function, or the class of the callable."""
        return callable_name(self.function)


def callable_name(function: Any, depth: int = 4) -> str:
    """Name of a function, method or partial; the class of any other callable."""
    kind = type(function)
    if kind is FunctionType or kind is BuiltinFunctionType:
        return str(function.__qualname__)
    if depth and kind is MethodType:
        return callable_name(function.__func__, depth - 1)
    if depth and kind is functools.partial:
        return f"partial of {callable_name(function.func, depth - 1)}"
    inner = _wrapped_by_torch(function)
    if depth and inner is not None:
        return callable_name(inner, depth - 1)
    return class_name(kind)


def _wrapped_by_torch(function: Any) -> Any:
    """The hook in torch's own wrapper around state_dict hooks."""
    if type(function).__module__ == "torch.nn.modules.module":
        return vars(function).get("hook")
    return None


def _values(hooks: Any) -> tuple[Any, ...]:
    """The hooks of one dictionary, whatever its class overrides."""
    return tuple(dict.values(hooks)) if issubclass(type(hooks), dict) else ()


def hooks_of(module: nn.Module) -> Iterator[Hook]:
    """The hooks on a module that are not probes of ours."""
    own = instance_dict(module)
    for held, kind in _WORDS.items():
        for function in _values(own.get(held)):
            if not issubclass(type(function), ProbeHook):
                yield Hook(kind, function)


def hooks_of_tensor(tensor: Tensor) -> Iterator[Hook]:
    """The hooks that a backward pass calls for a tensor."""
    base: Any = torch._C.TensorBase
    for held, kind in _TENSOR_HOOKS.items():
        try:
            hooks = getattr(base, held).__get__(tensor)
        except (AttributeError, RuntimeError, NotImplementedError):
            continue  # of another version of torch, or a tensor without gradients
        for function in _values(hooks):
            yield Hook(kind, function)
