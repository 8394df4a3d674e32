"""The description in an archive for torch.load: a pickle that refers to records by number.

It is what ``torch.save(model.state_dict())`` writes: an OrderedDict, with the versions of the
modules as its ``_metadata``.  Tensors are described, not held, so that nothing is copied.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from inspector_app.backend.exporting.choosing import renamed
from inspector_app.backend.exporting.transforming import Written
from inspector_app.backend.formats.torch_storages import STORAGES
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.states import NO_VALUES, Spec, describe_value, tensor_blocks
from inspector_app.protocol.messages import Rename

_CLASSES = {word: name for name, word in STORAGES.items() if name != "UntypedStorage"}
_PROTOCOL = 2  # torch's own, and the only one it reads without unpickling


class Record(NamedTuple):
    """The bytes of one tensor, or of several that are one."""

    name: str  # of the first value that refers to it
    nbytes: int
    elements: int
    blocks: Callable[[], Iterator[Bytes]]


class Description(NamedTuple):
    """The pickle, the records that it refers to, in order, and the record of each dense value."""

    text: bytes
    records: list[Record]
    keys: dict[str, str]


class NotForTorch(Exception):
    """A value that torch.load could not read."""


class _Storage:
    """Stands for a record inside the pickle."""

    def __init__(self, key: str, dtype: str, nbytes: int) -> None:
        self.key, self.dtype, self.nbytes = key, dtype, nbytes

    def identity(self) -> tuple[Any, ...]:
        """What torch calls a persistent id."""
        name = _CLASSES.get(self.dtype)
        if name is None:  # newer data types stand beside a storage of bytes
            return "storage", torch.storage.UntypedStorage, self.key, "cpu", self.nbytes
        count = self.nbytes // getattr(torch, self.dtype).itemsize
        return "storage", getattr(torch, name), self.key, "cpu", count


class _Dense:
    """Stands for a tensor inside the pickle."""

    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self.storage, self.shape = storage, shape

    def reduced(self) -> tuple[Any, ...]:
        """Function and arguments that make it, as torch's own ``__reduce_ex__`` gives them."""
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.append(step)
            step *= max(size, 1)
        arguments: tuple[Any, ...] = (
            *(self.storage, 0, self.shape, tuple(reversed(strides))),
            *(False, OrderedDict()),
        )
        if self.storage.dtype in _CLASSES:
            return torch._utils._rebuild_tensor_v2, arguments
        return torch._utils._rebuild_tensor_v3, (*arguments, getattr(torch, self.storage.dtype))


class _Pickler(pickle.Pickler):
    """Pickles values; tensors become references to ``records``."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, _PROTOCOL)
        self.records: list[Record] = []
        self._known: dict[Hashable, _Storage] = {}
        self._kept: list[Any] = []  # so that no memory is used twice
        self.name = ""

    def dense(self, spec: Spec, blocks: Callable[[], Iterator[Bytes]]) -> _Dense:
        """A tensor by its spec; those of one memory get one record."""
        storage = self._known.get(spec.memory) if spec.memory is not None else None
        if storage is None:
            storage = self._record(spec.dtype, spec.nbytes, blocks)
            if spec.memory is not None:
                self._known[spec.memory] = storage
        return _Dense(storage, spec.shape)

    def _record(self, dtype: str, nbytes: int, blocks: Callable[[], Iterator[Bytes]]) -> _Storage:
        key = str(len(self.records))
        count = nbytes // getattr(torch, dtype).itemsize
        self.records.append(Record(self.name, nbytes, count, blocks))
        return _Storage(key, dtype, nbytes)

    def persistent_id(self, value: Any) -> Any:
        if type(value) is _Storage:
            return value.identity()
        if isinstance(value, torch.storage.TypedStorage):  # of a quantized tensor
            flat = torch.empty(0, dtype=torch.uint8).set_(value._untyped_storage)
            self._kept.append(flat)
            dtype = str(value.dtype).removeprefix("torch.")
            made = self._record(dtype, flat.numel(), lambda: tensor_blocks(flat))
            return made.identity()
        return None

    def reducer_override(self, value: Any) -> Any:
        if type(value) is _Dense:
            return value.reduced()
        if isinstance(value, torch.Tensor):
            spec = describe_value(value)
            if not spec.reason:
                self._kept.append(value)
                return self.dense(spec, lambda: tensor_blocks(value)).reduced()
            if spec.reason.startswith(NO_VALUES):
                raise NotForTorch(spec.reason)
        return NotImplemented


def describe(
    written: Written, names: Sequence[str], versions: Mapping[str, Any] | None
) -> Description:
    """Describe values by their names in the file.

    Raises NotForTorch, or whatever the code of a value raises while it is pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    state: OrderedDict[str, Any] = OrderedDict()
    keys: dict[str, str] = {}
    for name in names:
        pickler.name = name
        spec = written.spec(name)
        if spec.reason:
            state[name] = written.value(name)
        else:
            state[name] = pickler.dense(spec, partial(written.blocks, name))
            keys[name] = state[name].storage.key
    if versions is not None:
        state._metadata = versions  # type: ignore[attr-defined]
    pickler.dump(state)
    return Description(file.getvalue(), pickler.records, keys)


def versions_of(held: Any, renames: Iterable[Rename]) -> OrderedDict[str, dict[str, Any]] | None:
    """The versions of modules that a state dict carries, by their new names; plain values only."""
    if not isinstance(held, Mapping):
        return None
    found: OrderedDict[str, dict[str, Any]] = OrderedDict()
    rules = list(renames)
    for path, values in held.items():
        if type(path) is not str or not isinstance(values, Mapping):
            continue
        plain = {
            key: value
            for key, value in values.items()
            if type(key) is str and type(value) in (bool, int, float, str, type(None))
        }
        prefix = renamed(f"{path}." if path else "", rules)
        found[prefix.removesuffix(".")] = plain
    return found
