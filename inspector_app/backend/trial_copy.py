"""A copy of a model to try things on, and which of its objects stands for which of the model's.

``copy.deepcopy`` is helped over what it refuses or breaks: tensors with a graph (``weight`` of the
old ``weight_norm``, whatever a forward left in an attribute), and parameters that are different
objects on the same memory.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.failures import spoken
from inspector_app.backend.modules import modules_of, tensors_of
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.running import Buffers, Loan
from inspector_app.backend.tensors import is_lazy
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import CopyError

_ON_ITSELF = "Train the model itself instead: that is an edit, which can be undone."
_BASE: Any = torch._C.TensorBase


class TrialCopy:
    """A copy of ``original``; raises CopyError where there can be none.

    ``objects`` are all modules and tensors that the model is known to hold.
    """

    def __init__(self, original: nn.Module, objects: Iterable[Any]) -> None:
        self.original = original
        known = list(objects)
        tensors = [thing for thing in known if issubclass(type(thing), torch.Tensor)]
        memo: dict[int, Any] = {}
        failure = ""
        try:
            _help(tensors, memo)
            self.model: nn.Module = copy.deepcopy(original, memo)
        except KeyboardInterrupt:
            raise
        except MemoryError:
            failure = "there is not enough memory for a second one"
        except RecursionError:
            failure = "its modules are nested too deeply"
        except BaseException as error:  # noqa: BLE001 - a person's code may copy itself
            failure = spoken(error)
        if failure:
            raise CopyError(f"The model cannot be copied: {failure}. {_ON_ITSELF}")
        self._copies = {id(thing): memo[id(thing)] for thing in known if id(thing) in memo}
        self._by_path()
        if self._shares_memory():
            raise CopyError(
                "The model cannot be copied: what copy.deepcopy makes of it holds the same "
                f"tensors. {_ON_ITSELF}"
            )
        self._originals = {
            id(self._copies[id(thing)]): thing for thing in known if id(thing) in self._copies
        }

    def copy_of(self, thing: Any) -> Any:
        """What stands for an object of the model; the object itself where nothing does."""
        return self._copies.get(id(thing), thing)

    def original_of(self, thing: Any) -> Any:
        """The way back."""
        return self._originals.get(id(thing), thing)

    def follow_flags(self) -> None:
        """Freeze in the copy what is frozen in the model, and unfreeze the same."""
        with torch._C.DisableTorchFunctionSubclass():
            for _, tensor in tensors_of(self.original):
                other = self.copy_of(tensor)
                if other.requires_grad is not tensor.requires_grad and other.is_leaf:
                    other.requires_grad_(tensor.requires_grad)
                    if not other.requires_grad:
                        other.grad = None

    def _by_path(self) -> None:
        """Find what copies itself without telling, such as what is inside of a ScriptModule."""
        for walk in (modules_of, tensors_of):
            there = dict(walk(self.model))
            for path, thing in walk(self.original):
                if id(thing) not in self._copies and path in there:
                    self._copies[id(thing)] = there[path]

    def _shares_memory(self) -> bool:
        """Whether an update would reach the model; buffers are put back by a :class:`CopyLoan`."""
        trained, copied = (
            {_address(tensor) for _, tensor in tensors_of(model) if tensor.requires_grad} - {0}
            for model in (self.original, self.model)
        )
        return not trained.isdisjoint(copied)


def _help(tensors: list[torch.Tensor], memo: dict[int, Any]) -> None:
    """Put into ``memo`` the copies of tensors that deepcopy refuses or tears apart."""
    same: defaultdict[int, dict[int, torch.Tensor]] = defaultdict(dict)
    for tensor in tensors:
        if type(tensor) is UninitializedBuffer:  # unlike the parameter, it cannot copy itself
            device, dtype = tensor.data.device, tensor.data.dtype
            memo[id(tensor)] = UninitializedBuffer(tensor.requires_grad, device, dtype)  # type: ignore[arg-type]
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            continue
        if not tensor.is_leaf:
            with torch.no_grad():
                memo[id(tensor)] = tensor.detach().clone()
        elif type(tensor) is nn.Parameter and (address := _address(tensor)):
            same[address][id(tensor)] = tensor
    for group in same.values():
        if len(group) > 1:
            for parameter in group.values():
                memo[id(parameter)] = _on_the_same_storage(parameter, memo)


def _on_the_same_storage(parameter: torch.Tensor, memo: dict[int, Any]) -> nn.Parameter:
    """A copy on the copied storage, which ``memo`` keeps for all tensors on it."""
    storage = copy.deepcopy(parameter.untyped_storage(), memo)
    data = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
    data.set_(storage, parameter.storage_offset(), parameter.shape, parameter.stride())
    made = nn.Parameter(data, parameter.requires_grad)
    made.__dict__.update(copy.deepcopy(parameter.__dict__, memo))
    return made


def _address(tensor: torch.Tensor) -> int:
    """Where a tensor's storage begins; 0 where that is not known."""
    if is_lazy(tensor):
        return 0
    with suppress(Exception):  # sparse, nested and wrapped tensors have no storage of their own
        return int(_BASE.untyped_storage(tensor).data_ptr())
    return 0


class OriginalReachedError(Exception):
    """A backward came to a tensor of the model that was copied."""


class CopyLoan(Loan):
    """The copy while it runs: probes measure it in the model's place, and the model is guarded.

    A closure or a global may lead the copy's forward back to the model.  Its buffers are put back
    then, and a backward that reaches its parameters ends before anything is added to them.
    """

    def __init__(self, trial: TrialCopy, mode: m.RunMode, seed: int, probes: ProbeSet) -> None:
        super().__init__(trial.model, mode, seed, buffers=False)
        self._trial = trial
        self._probes = probes
        self._guards: list[RemovableHandle] = []

    def take(self) -> None:
        """Let the copy stand for the model."""
        self._trial.follow_flags()
        self._guarded = Buffers(self._trial.original)
        with torch._C.DisableTorchFunctionSubclass():
            for _, tensor in tensors_of(self._trial.original):
                if tensor.requires_grad and tensor.is_leaf:
                    guard = tensor.register_hook(_refuse)  # type: ignore[no-untyped-call]
                    self._guards.append(guard)
        self._probes.stand_in(self._trial.copy_of)
        super().take()

    def give_back(self) -> None:
        """Let the model stand for itself again."""
        super().give_back()
        self._probes.stand_in(self._trial.original_of)
        for guard in self._guards:
            guard.remove()
        self._guards = []
        self._guarded.restore()


def _refuse(gradient: torch.Tensor) -> None:
    raise OriginalReachedError


def escaped(error: BaseException) -> CopyError | None:
    """The sentence for a backward of the copy that reached the model; None for other errors."""
    if not isinstance(error, OriginalReachedError):
        return None
    return CopyError(
        "The copy computes with tensors of the model itself, which a closure or a global variable "
        f"holds, so it cannot be trained apart. {_ON_ITSELF}"
    )
