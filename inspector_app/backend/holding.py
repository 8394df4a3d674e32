"""What a module's own code may exchange while it runs: registered objects, attributes, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.edits import MISSING, AttributeChange
from inspector_app.backend.walking import instance_dict

_REGISTERED = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True)
class _HeldModule:
    row: int
    attributes: dict[str, Any]  # the living instance dictionary
    attributes_before: dict[str, Any]
    registered: list[tuple[dict[str, Any], dict[str, Any]]]  # living ones, and as they were


@dataclass(frozen=True)
class _HeldTensor:
    row: int
    tensor: Tensor
    memory: Tensor  # the same memory, whatever ``tensor.data`` is set to
    version: int

    @property
    def moved(self) -> bool:
        """Whether ``tensor.data`` was set to other memory."""
        now, then = self.tensor, self.memory
        same = (
            now.data_ptr() == then.data_ptr()
            and now.shape == then.shape
            and now.stride() == then.stride()
            and now.dtype == then.dtype
            and now.device == then.device
        )
        return not same


def _differs(living: dict[str, Any], before: dict[str, Any]) -> bool:
    return living.keys() != before.keys() or any(
        living[name] is not value for name, value in before.items()
    )


class Held:
    """Modules and tensors as they were before foreign code ran; ``rows`` say where they stand."""

    def __init__(
        self,
        modules: Sequence[tuple[int, nn.Module]],
        tensors: Sequence[tuple[int, Tensor]],
    ) -> None:
        self._modules = []
        for row, module in modules:
            attributes = instance_dict(module)
            named = (attributes.get(name) for name in _REGISTERED)
            registered = [held for held in named if isinstance(held, dict)]  # not of scripted ones
            self._modules.append(
                _HeldModule(row, attributes, dict(attributes), [(d, dict(d)) for d in registered])
            )
        with torch._C.DisableTorchFunctionSubclass():
            self._tensors = [
                _HeldTensor(row, tensor, tensor.detach(), tensor._version)
                for row, tensor in tensors
            ]

    def rejoin(self) -> list[int]:
        """Bring values that were given by ``tensor.data = other`` into the tensor's own memory.

        So whatever shares that memory follows, and the old values can be brought back.  Returns
        the rows of these tensors.
        """
        rejoined = []
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            for held in self._tensors:
                then, now = held.memory, held.tensor
                if held.moved and (then.shape, then.dtype, then.device) == (
                    (now.shape, now.dtype, now.device)
                ):
                    then.copy_(now)
                    now.data = then
                    rejoined.append(held.row)
        return rejoined

    def replaced(self) -> list[int]:
        """Rows of modules that registered other objects, and of tensors of another form."""
        with torch._C.DisableTorchFunctionSubclass():
            tensors = [held.row for held in self._tensors if held.moved]
        return tensors + [
            held.row
            for held in self._modules
            if any(_differs(living, before) for living, before in held.registered)
        ]

    def versions_moved(self) -> list[bool]:
        """For each tensor, whether torch counted a change of it."""
        with torch._C.DisableTorchFunctionSubclass():
            return [held.tensor._version != held.version for held in self._tensors]

    def attribute_changes(self) -> list[AttributeChange]:
        """Plain attributes that were set, removed or came."""
        changes = []
        for held in self._modules:
            if not _differs(held.attributes, held.attributes_before):
                continue
            for name in held.attributes_before.keys() | held.attributes.keys():
                old = held.attributes_before.get(name, MISSING)
                new = held.attributes.get(name, MISSING)
                if old is not new:
                    changes.append(AttributeChange(held.attributes, name, old, new))
        return changes

    def restore(self) -> None:
        """Bring back all objects and memory; the values in that memory are not looked at."""
        for held in self._modules:
            _bring_back(held.attributes, held.attributes_before)
            for living, before in held.registered:
                _bring_back(living, before)
        with torch._C.DisableTorchFunctionSubclass():
            for one in self._tensors:
                if one.moved:
                    one.tensor.data = one.memory


def _bring_back(living: dict[str, Any], before: dict[str, Any]) -> None:
    if _differs(living, before):
        living.clear()
        living.update(before)
