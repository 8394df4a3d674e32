"""A file of tensors under other names, or only some of its names."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import msgspec
import torch

from inspector_app.backend.formats.torch_listing import BESIDE
from inspector_app.backend.formats.torch_storages import StoredTensor
from inspector_app.backend.formats.values import Bytes, Entry, TensorFile


class NamedFile(TensorFile):
    """A file under other names; it holds the file that it is made of, and closes it."""

    def __init__(self, file: TensorFile, names: Mapping[str, str]) -> None:
        """``names`` leads from each new name to the one in the file."""
        self._file = file
        self._names = names
        self.path, self.nbytes = file.path, file.nbytes
        self.entries: dict[str, Entry] = {
            new: file.entries[old] for new, old in names.items() if old in file.entries
        }
        self.state = list(names)
        self.values, self.metadata, self.wrapper = file.values, file.metadata, file.wrapper
        self.beside, self.others, self.part = file.beside, file.others, file.part
        self.imports, self.sources = file.imports, file.sources
        self.model, self.notes = file.model, file.notes
        told = file.requires_grad
        if told is not None:
            self.requires_grad = {new: told[old] for new, old in names.items() if old in told}

    @property
    def innermost(self) -> TensorFile:
        """The file itself, under its own names."""
        return self._file.innermost if isinstance(self._file, NamedFile) else self._file

    def memory(self, name: str) -> Hashable:
        """See :class:`TensorFile`."""
        return self._file.memory(self._names[name])

    def in_order(self, name: str) -> bool:
        """See :class:`TensorFile`."""
        return self._file.in_order(self._names[name])

    def tensor(self, name: str) -> torch.Tensor:
        """See :class:`TensorFile`."""
        return self._file.tensor(self._names[name])

    def blocks(self, name: str) -> Iterator[Bytes]:
        """See :class:`TensorFile`."""
        return self._file.blocks(self._names[name])

    def samples(self, count: int) -> Iterator[bytes]:
        """Those of the file."""
        return self._file.samples(count)

    def release(self) -> None:
        """See :class:`TensorFile`."""
        self._file.release()

    def close(self) -> None:
        """See :class:`TensorFile`."""
        self._file.close()


class PartFile(NamedFile):
    """What stands under one name beside a file's state dict, as a state dict of its own."""

    def __init__(self, file: TensorFile, path: str) -> None:
        """``path`` leads to it, as the file names it."""
        front = f"{path}."
        whole = file.values.get(path)
        is_module = whole is not None and whole.foreign
        names = {
            name.removeprefix(front): name
            for name, entry in file.entries.items()
            if name.startswith(front) and (not isinstance(entry, StoredTensor) or entry.saved)
        }
        below = {
            name.removeprefix(front): msgspec.structs.replace(value, name=name.removeprefix(front))
            for name, value in file.values.items()
            if name.startswith(front)
        }
        super().__init__(file, names)
        self.values = below
        if not is_module:  # what is no tensor is extra state
            self.state = [*names, *below]
        self.wrapper, self.part = path.replace(BESIDE, ""), path
        self.model = whole.class_name if is_module and whole is not None else ""
        here = [file.wrapper] if file.wrapper else []
        self.others = [*here, *(other for other in file.others if other != path)]
        stored = {new: entry for new, entry in self.entries.items() if type(entry) is StoredTensor}
        grad = {new: entry.requires_grad for new, entry in stored.items() if entry.parameter}
        self.requires_grad = grad or None


def part_named(file: TensorFile, prefix: str) -> tuple[str, str] | None:
    """The name of what stands beside the state dict that a prefix of names leads to, and the rest.

    A prefix may end at a state dict, inside of one, or at any other name above tensors; None where
    no tensor beside the state dict has it.
    """
    inside = set(file.state)
    front = prefix if prefix.endswith(".") else f"{prefix}."
    below = [name for name in file.entries if name.startswith(front) and name not in inside]
    if not below:
        return None
    within = [other for other in file.others if front.startswith(f"{other}.")]
    path = max(within, key=len, default=front[:-1])
    return path, front.removeprefix(f"{path}.")
