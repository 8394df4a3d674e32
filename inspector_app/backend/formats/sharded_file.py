"""Checkpoints in several files, with an index that says which tensor is in which.

The form is that of Hugging Face's libraries: ``model.safetensors.index.json`` or
``pytorch_model.bin.index.json`` holds ``{"weight_map": {"layer.weight": "model-00001-of-00002.
safetensors", ...}, "metadata": {"total_size": ...}}``.  Shards stand beside the index, and nowhere
else: a name that leads out of its folder is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from inspector_app.backend.formats.mapped_file import DamagedFileError
from inspector_app.backend.formats.values import Bytes, Entry, PlainValue, TensorFile
from inspector_app.backend.notes import OURS
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import Import

_SIZE_LIMIT = 100_000_000  # bytes of an index
_SHARDS_LIMIT = 2_000
_NAMED = 3  # keys that are spelt out


class _Index(msgspec.Struct):
    weight_map: dict[str, str] | None = None
    metadata: Any = None


_INDEX = msgspec.json.Decoder(_Index)


def begins_like_index(start: bytes, suffix: str) -> bool:
    """Whether a file that starts with these bytes and has this ending is meant as an index."""
    return start.lstrip()[:1] == b"{" and (suffix == ".json" or b'"weight_map"' in start)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(f'"{name[:200]}"' for name in names[:_NAMED]) + more


def _read_index(path: Path) -> tuple[bytes, dict[str, str], dict[str, str]]:
    """The index as it is written, the file of each tensor, and its notes; raises TargetError."""
    try:
        size = path.stat().st_size
        if size > _SIZE_LIMIT:
            raise DamagedFileError(
                f"{path} is an index of {size:,} bytes; {_SIZE_LIMIT:,} are read at most."
            )
        text = path.read_bytes()
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        index = _INDEX.decode(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} is damaged: an index must map names of tensors to files ({error}). "
            "Download or write it again."
        ) from None
    if index.weight_map is None:
        advice = (
            f" For the model, open its folder, {path.parent}." if path.name == "config.json" else ""
        )
        raise TargetError(
            f"{path} is a JSON file, but no index of a sharded checkpoint: it has no weight_map."
            f"{advice}"
        )
    told = index.metadata if type(index.metadata) is dict else {}
    return text, index.weight_map, {key: note for key, note in told.items() if type(note) is str}


def _beside(index: Path, names: set[str]) -> dict[str, Path]:
    """Where the shards are; raises TargetError for one that is missing or elsewhere."""
    if len(names) > _SHARDS_LIMIT:
        raise DamagedFileError(
            f"{index} names {len(names):,} files; {_SHARDS_LIMIT:,} are read at most."
        )
    for name in names:
        if name in ("", ".", "..") or "\0" in name or {"/", "\\", ":"} & set(name):
            raise TargetError(
                f'{index} names the file "{name[:200]}", which is not beside it. Shards are only '
                "read from the folder of their index."
            )
    found = {name: index.parent / name for name in sorted(names)}
    missing = [name for name, path in found.items() if not os.path.isfile(path)]  # never raises
    if missing:
        raise TargetError(
            f"{index.parent} lacks {_some(missing)} of the {len(names):,} files that {index.name} "
            "names. Complete the download."
        )
    return found


class ShardedFile(TensorFile):
    """Several open files as one; ``entries`` in the order of the index."""

    def __init__(self, path: Path, open_one: Callable[[str], TensorFile]) -> None:
        """Open the index at ``path`` and, by ``open_one``, all shards beside it.

        Raises TargetError where a shard is missing, is no file of tensors, or lacks a key.
        """
        self.path = str(path)
        self._index, keys, self._noted = _read_index(path)
        self._shards: dict[str, TensorFile] = {}
        try:
            for name, place in _beside(path, set(keys.values())).items():
                self._shards[name] = open_one(str(place))
            self._merge(keys)
        except BaseException:
            self.close()
            raise

    @property
    def shards(self) -> list[TensorFile]:
        """The files that hold the tensors."""
        return list(self._shards.values())

    def _merge(self, keys: dict[str, str]) -> None:
        """All entries under their own names, and those that the index leaves out beside them."""
        entries: dict[str, Entry] = {}
        values: dict[str, PlainValue] = {}
        self._place: dict[str, tuple[TensorFile, str]] = {}  # shard and name in it
        lacking = [key for key, name in keys.items() if not self._has(name, key)]
        if lacking:
            name = keys[lacking[0]]
            raise DamagedFileError(
                f"{self.path} says that {_some(lacking)} "
                f"{'is' if len(lacking) == 1 else 'are'} in a shard that does not hold "
                f"{'it' if len(lacking) == 1 else 'them'} ({name}). Download or write it again."
            )
        spaces = self._spaces()
        self.nested = [key for key, name in keys.items() if not self._is_row(name, key)]
        for key in self.nested:
            name = keys.pop(key)
            keys |= dict.fromkeys(self._inside(name, key), name)
        for key, name in keys.items():
            self._add(entries, values, key, name, key, spaces[name])
        self.state = list(keys)
        beside = 0
        for name, shard in self._shards.items():
            for key in (*shard.entries, *shard.values):
                if keys.get(key) != name:
                    taken = key in entries or key in values
                    shown = f"{key} (in {name})" if taken else key
                    self._add(entries, values, shown, name, key, spaces[name])
                    beside += key in shard.state
        self.entries, self.values = entries, values
        self.metadata = self._common_metadata()
        self.nbytes = sum(shard.nbytes for shard in self._shards.values())
        self.imports = self._all_imports()
        self.sources = {
            word: text for shard in self._shards.values() for word, text in shard.sources.items()
        }
        notes = [note for shard in self._shards.values() for note in shard.notes]
        if beside:
            notes.append(
                f"{beside:,} {'tensor is' if beside == 1 else 'tensors are'} in the shards but not "
                "in their index: shown, and not part of the state dict."
            )
        self.notes = notes

    def _has(self, name: str, key: str) -> bool:
        return self._is_row(name, key) or bool(self._inside(name, key))

    def _is_row(self, name: str, key: str) -> bool:
        shard = self._shards[name]
        return key in shard.entries or key in shard.values

    def _inside(self, name: str, key: str) -> list[str]:
        """Names of what stands inside of a value that is several (extra state)."""
        return [inner for inner in self._shards[name].state if inner.startswith(f"{key}.")]

    def _spaces(self) -> dict[str, int]:
        """How far the numbers of each shard's records are moved, so that all are different."""
        moved: dict[str, int] = {}
        last = 0
        for name, shard in self._shards.items():
            moved[name] = last
            last += max((entry.space for entry in shard.entries.values()), default=0)
        return moved

    def _add(
        self,
        entries: dict[str, Entry],
        values: dict[str, PlainValue],
        shown: str,
        name: str,
        key: str,
        moved: int,
    ) -> None:
        shard = self._shards[name]
        entry: Any = shard.entries.get(key)
        if entry is None:
            values[shown] = msgspec.structs.replace(shard.values[key], name=shown)
            return
        space = entry.space + moved if entry.space > 0 else entry.space
        entries[shown] = msgspec.structs.replace(entry, space=space)
        self._place[shown] = shard, key

    def _common_metadata(self) -> dict[str, str]:
        """What the index says where this program wrote it, else what all shards say alike."""
        if any(key.startswith(OURS) for key in self._noted):
            return self._noted
        told = [dict(shard.metadata) for shard in self._shards.values() if shard.metadata]
        return {
            key: text
            for key, text in (told[0].items() if told else ())
            if all(other.get(key) == text for other in told)
        }

    def _all_imports(self) -> list[Import]:
        every = {found.name: found for shard in self._shards.values() for found in shard.imports}
        return [every[name] for name in sorted(every)]

    # -- what a checkpoint asks for ------------------------------------------------------------

    def memory(self, name: str) -> Hashable:
        """Equal for tensors that are the same memory of one shard."""
        shard, key = self._place[name]
        memory = shard.memory(key)
        return None if memory is None else (shard.path, memory)

    def in_order(self, name: str) -> bool:
        """Whether the bytes of a tensor lie in its shard as a contiguous tensor holds them."""
        shard, key = self._place[name]
        return shard.in_order(key)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped from its shard; see :meth:`TensorFile.tensor`."""
        shard, key = self._place[name]
        return shard.tensor(key)

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor that lies in order in its shard."""
        shard, key = self._place[name]
        return shard.blocks(key)

    def samples(self, count: int) -> Iterator[bytes]:
        """The index, and samples of all shards."""
        yield self._index
        for name, shard in self._shards.items():
            yield os.fsencode(name)
            yield from shard.samples(max(1, count // len(self._shards)))

    def release(self) -> None:
        """Give back the memory of mapped pages."""
        for shard in self._shards.values():
            shard.release()

    def close(self) -> None:
        """Close all shards."""
        for shard in self._shards.values():
            shard.close()
