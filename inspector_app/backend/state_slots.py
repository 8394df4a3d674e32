"""What a model's ``state_dict()`` gives, traced back to the tensors that are written to load it.

The keys are those of ``state_dict()``, which hooks, extra state and overridden methods make differ
from the tree.  What it gives is a tensor of the model where it is that memory; what was computed
for the occasion is nobody's, and writing to it would load nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from inspector_app.backend.failures import model_error
from inspector_app.backend.planning import rows_where
from inspector_app.backend.tree import Tree
from inspector_app.backend.writing import no_plain_memory
from inspector_app.protocol.errors import InspectorError, ModelError
from inspector_app.protocol.table import Flag

_COMPUTED = (
    "the model computes it for its state dict: none of its tensors is this one, so there is "
    "nothing to write to"
)


@dataclass(frozen=True)
class Slot:
    """One key of a model's ``state_dict()`` and where its value lives.

    ``row`` is the position of a row that holds it, -1 where none does.  ``reason`` tells why it
    cannot be written; "" where ``tensor`` can, or can be given its shape first (``lazy``).
    ``memory`` is equal for keys of one tensor; None for an empty one.
    """

    key: str
    value: Any
    row: int = -1
    tensor: Tensor | None = None
    reason: str = ""
    lazy: bool = False
    memory: Hashable = None


def state_of(model: nn.Module) -> dict[str, Any]:
    """The model's ``state_dict()``: a person's code, so whatever it raises becomes ModelError.

    The versions of the modules stay with it, as its ``_metadata``.
    """
    failure: InspectorError
    try:
        given = model.state_dict()
        state: OrderedDict[str, Any] = OrderedDict(given)
        vars(state)["_metadata"] = getattr(given, "_metadata", None)
    except RecursionError:
        failure = ModelError(
            "The model has no state_dict: its modules are nested too deep, or one holds itself."
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = model_error(error, "The model's state_dict()", model)
    else:
        other = next((key for key in state if not issubclass(type(key), str)), None)
        if other is None:
            return state
        failure = ModelError(
            f"The model's state_dict() has a key of class {type(other).__name__}: "
            "keys must be text to be written, read or compared."
        )
    raise failure


class _Tracer:
    """Finds the row that holds a tensor, by its path or by its memory."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._positions: list[int] = rows_where((tree.table.flags & Flag.TENSOR) != 0).tolist()
        paths = tree.table.paths
        self._by_path: dict[str, int] = {
            paths[position]: position for position in reversed(self._positions)
        }
        self._by_storage: dict[int, list[int]] | None = None

    def named(self, key: str) -> int:
        """Position of the tensor whose path is ``key``; -1 where there is none."""
        return self._by_path.get(key, -1)

    def row(self, key: str, value: Tensor) -> int:
        """Position of a row with the memory of ``value``; -1 where there is none."""
        named = self.named(key)
        if named >= 0 and _same_memory(self._tree.objects[named], value):
            return named
        try:
            storage = value.untyped_storage().data_ptr()
        except (RuntimeError, NotImplementedError):
            return -1
        if not storage:
            return -1
        inside = self._storages().get(storage, [])
        same = (p for p in inside if _same_memory(self._tree.objects[p], value))
        found: int = next(same, -1)
        return found if found >= 0 else self._part_of(inside, value)

    def _storages(self) -> dict[int, list[int]]:
        if self._by_storage is None:
            self._by_storage = {}
            for position in self._positions:
                try:
                    storage = self._tree.objects[position].untyped_storage().data_ptr()
                except (RuntimeError, NotImplementedError):
                    continue  # sparse, nested and the like: they have no single storage
                self._by_storage.setdefault(storage, []).append(position)
        return self._by_storage

    def _part_of(self, positions: list[int], value: Tensor) -> int:
        """A row whose bytes hold all of ``value``: a hook may give a part, or another view."""
        start, stop = span(value)
        for position in positions:
            first, last = span(self._tree.objects[position])
            if first <= start and stop <= last:
                return position
        return -1


def span(tensor: Tensor) -> tuple[int, int]:
    """Addresses of the first byte of a strided tensor and of the one behind its last."""
    start = tensor.data_ptr()
    if tensor.is_contiguous():
        return start, start + tensor.numel() * tensor.element_size()
    if not tensor.numel():
        return start, start
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (last + 1) * tensor.element_size()


def _same_memory(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    if is_lazy(one) or is_lazy(other):
        return False
    try:
        return (
            one.data_ptr() == other.data_ptr()
            and one.shape == other.shape
            and one.dtype == other.dtype
            and one.device == other.device
            and one.stride() == other.stride()
            and one.is_conj() == other.is_conj()
            and one.is_neg() == other.is_neg()
        )
    except (RuntimeError, NotImplementedError):
        return False  # of another layout than the other one


def _slot(tracer: _Tracer, key: str, value: Any) -> Slot:
    if not isinstance(value, Tensor):
        kind = type(value).__name__
        reason = f"it is no tensor but {kind}, which only the model's own load_state_dict() can set"
        return Slot(key, value, reason=reason)
    if is_lazy(value):
        row = tracer.row(key, value)
        known = row >= 0 and isinstance(value, UninitializedBuffer | UninitializedParameter)
        reason = "" if known else _COMPUTED
        return Slot(key, value, row, value, reason, lazy=True, memory=id(value))
    problem = no_plain_memory(value)
    if problem is not None:
        return Slot(key, value, tracer.named(key), reason=problem)
    row = tracer.row(key, value)
    if row < 0:
        return Slot(key, value, reason=_COMPUTED)
    memory: Hashable = None
    if value.numel():
        memory = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
    return Slot(key, value, row, value.detach(), memory=memory)


def slots_of(model: nn.Module, tree: Tree) -> list[Slot]:
    """All keys of ``model.state_dict()`` in its order, traced; raises ModelError."""
    return traced(state_of(model), tree)


def traced(state: Mapping[str, Any], tree: Tree) -> list[Slot]:
    """The slots of a state dict that the model of ``tree`` gave just now."""
    with torch._C.DisableTorchFunctionSubclass():
        tracer = _Tracer(tree)
        return [_slot(tracer, key, value) for key, value in state.items()]
