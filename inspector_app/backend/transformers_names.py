"""Files of Hugging Face's transformers under the names that a model of theirs has today.

``transformers`` renames layers between its versions, and some that a file holds apart (each expert
of a mixture, say) are one tensor of the model or the other way round.  Its ``from_pretrained`` goes
by a list of such changes for each model; the same list is used here, on descriptions first, so that
nothing is read before it is loaded.

The list is ``transformers.conversion_mapping`` (since version 5); where there is none, a file is
taken as it is.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.named_file import NamedFile
from inspector_app.backend.formats.values import TensorFile
from inspector_app.protocol.errors import RefusedError


class MadeEntry(msgspec.Struct, frozen=True, gc=False):
    """A tensor that is made of one or several of the file's."""

    dtype: str
    shape: tuple[int, ...]
    count: int
    nbytes: int
    reason: str = ""
    stored: int = 0
    space: int = 0
    start: int = 0
    device: str = "cpu"
    class_name: str = "Tensor"


@dataclass
class _Group:
    """Tensors of the file that are converted together, and the names that come out."""

    name: str  # the first of those that come out, by which the library knows the group
    converter: Any
    sources: list[tuple[str, str]]  # pattern of the converter, name in the file


def _library(model: nn.Module) -> tuple[Any, Any] | None:
    """The two modules that know the changes, where the model is one of transformers 5 or later."""
    main: Any = sys.modules.get("transformers")
    kind = getattr(main, "PreTrainedModel", None)
    if kind is None or not isinstance(model, kind):
        return None
    try:
        return (
            importlib.import_module("transformers.conversion_mapping"),
            importlib.import_module("transformers.core_model_loading"),
        )
    except ImportError:
        return None  # an older version


class _Names:
    """What the library makes of each name of a file."""

    def __init__(self, model: Any, keys: Collection[str], mapping: Any, core: Any) -> None:
        self._keys = dict.fromkeys(keys, True)  # as the library's "meta state dict"
        self._rename = core.rename_source_key
        self._front: str = model.base_model_prefix
        changes = mapping.get_model_conversion_mapping(model)
        self._renamings = [one for one in changes if isinstance(one, core.WeightRenaming)]
        converters = [one for one in changes if isinstance(one, core.WeightConverter)]
        self._converters = converters
        self._by_pattern = {pattern: one for one in converters for pattern in one.source_patterns}
        self.renamed: dict[str, str] = {}  # name -> name in the file
        self.groups: dict[str, _Group] = {}

    def add(self, name: str) -> None:
        """Take one name of the file; in the library's own order."""
        final, pattern = self._rename(
            name, self._renamings, self._converters, self._front, self._keys
        )
        if final in self._keys and pattern is not None:
            made = copy.deepcopy(self._by_pattern[pattern])
            self.groups.setdefault(final, _Group(final, made, [])).sources.append((pattern, name))
            return
        bare = name
        if final in self._keys:  # the prefix stays: that is found and told for every model
            bare, _ = self._rename(name, self._renamings, [])
        self.renamed[name if bare in self.renamed else bare] = name


def _run(group: _Group, model: Any, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the library makes of a group; raises whatever it raises."""
    converter = copy.deepcopy(group.converter)
    for pattern, name in group.sources:
        tensor = tensors[name]
        converter.add_tensor(group.name, name, pattern, lambda tensor=tensor: tensor)
    with torch.no_grad():
        found = converter.convert(group.name, model=model, config=model.config)
    return {name: value[0] if isinstance(value, list) else value for name, value in found.items()}


class RenamedFile(NamedFile):
    """A file under the names of a model of transformers."""

    def __init__(self, file: TensorFile, names: _Names, model: nn.Module) -> None:
        super().__init__(file, names.renamed)
        self._model = model
        self._made: dict[str, _Group] = {}  # by each name that comes out
        self._last: tuple[_Group, dict[str, Tensor]] | None = None
        for group in names.groups.values():
            for name, entry in self._described(group).items():
                self.entries[name] = entry
                self._made[name] = group
        self.state = [*self._names, *self._made]
        self.changed = sum(new != old for new, old in self._names.items())

    @property
    def made(self) -> int:
        """How many tensors are put together or taken apart."""
        return len(self._made)

    def origin(self, name: str) -> str | None:
        """The name in the file; None for a tensor that is made of others."""
        return self._names.get(name)

    def _described(self, group: _Group) -> dict[str, MadeEntry]:
        """What comes out of a group, by what is known of its parts."""
        parts: dict[str, Tensor] = {}
        for _, name in group.sources:
            entry = self._file.entries[name]
            dtype = getattr(torch, entry.dtype, None)
            if entry.reason or entry.shape is None or not isinstance(dtype, torch.dtype):
                reason = entry.reason or f"of {entry.dtype}"
                return {group.name: _unreadable(f"{name}, which it is made of, is {reason}")}
            parts[name] = torch.empty(entry.shape, dtype=dtype, device="meta")
        try:
            made = _run(group, self._model, parts)
        except Exception as error:  # noqa: BLE001 - whatever the library's operations raise
            return {group.name: _unreadable(f"transformers cannot convert it: {error}")}
        return {
            name: MadeEntry(
                str(value.dtype).removeprefix("torch."),
                tuple(value.shape),
                value.numel(),
                value.numel() * value.element_size(),
            )
            for name, value in made.items()
        }

    def memory(self, name: str) -> Hashable:
        """See :class:`TensorFile`."""
        origin = self._names.get(name)
        return None if origin is None else self._file.memory(origin)

    def in_order(self, name: str) -> bool:
        """See :class:`TensorFile`."""
        origin = self._names.get(name)
        return origin is not None and self._file.in_order(origin)

    def tensor(self, name: str) -> Tensor:
        """One tensor, mapped from the file or made of such; see :class:`TensorFile`."""
        origin = self._names.get(name)
        if origin is not None:
            return self._file.tensor(origin)
        group = self._made[name]
        if self.entries[name].reason:
            raise RefusedError(f"“{name}” cannot be had: {self.entries[name].reason}.")
        if self._last is None or self._last[0] is not group:
            self._last = None  # which frees it before the next one is made
            parts = {source: self._file.tensor(source) for _, source in group.sources}
            self._last = group, _run(group, self._model, parts)
        return self._last[1][name]

    def release(self) -> None:
        """See :class:`TensorFile`."""
        self._last = None
        super().release()

    def close(self) -> None:
        """See :class:`TensorFile`."""
        self._last = None
        super().close()


def _unreadable(reason: str) -> MadeEntry:
    return MadeEntry("unknown", (), 0, 0, reason)


def origin(checkpoint: Checkpoint, name: str) -> str | None:
    """The name in the file itself; None for a tensor that is made of others."""
    file = checkpoint.file
    return file.origin(name) if isinstance(file, RenamedFile) else name


def as_the_model_names_it(
    checkpoint: Checkpoint, model: nn.Module, keys: Collection[str]
) -> tuple[Checkpoint, list[str]]:
    """A checkpoint under the names that a model of transformers has today, and what changed.

    ``keys`` are those of the model's state dict.  Any other model's is given back as it is, and so
    is one whose names are the model's already.
    """
    found = _library(model)
    wanted = set(keys)
    if found is None or wanted.issuperset(checkpoint.names()):
        return checkpoint, []
    mapping, core = found
    try:
        names = _Names(model, keys, mapping, core)
        for name in sorted(checkpoint.names(), key=core.dot_natural_key):
            if name in checkpoint.file.entries:
                names.add(name)
            else:
                names.renamed[name] = name
    except Exception as error:  # noqa: BLE001 - another version's list may be of another form
        return checkpoint, [f"transformers' list of renamed layers could not be used: {error}"]
    file = RenamedFile(checkpoint.file, names, model)
    notes = []
    if file.changed:
        notes.append(
            f"{file.changed:,} keys were renamed by transformers since the file was written"
        )
    if file.made:
        notes.append(
            f"{file.made:,} tensors are put together or taken apart as transformers does it"
        )
    return (Checkpoint(file, checkpoint.target), notes) if notes else (checkpoint, [])
