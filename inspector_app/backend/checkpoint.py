"""A file of tensors opened as a bare checkpoint: rows from its description, values on demand.

There is nothing to run and nothing to train; what can be done is to look, measure and export.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any

import torch

from inspector_app.backend.checkpoint_tree import checkpoint_tree
from inspector_app.backend.collecting import without_collection
from inspector_app.backend.formats.values import Bytes, TensorFile
from inspector_app.backend.notes import noted_aliases, noted_requires_grad, noted_ties
from inspector_app.backend.states import Spec, tensor_blocks
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Fact, Totals, Trust

_NAMED = 12  # names of code that are spelt out
_SAMPLES = 64  # pieces of the data that a fingerprint looks at


class Checkpoint:
    """An open checkpoint, and a source of its own tensors for export and comparison."""

    def __init__(self, file: TensorFile, target: str = "") -> None:
        """Take over an open file; ``target`` is how it was asked for."""
        self.file = file
        self.path = os.path.abspath(file.path)
        self.target = target or file.path
        self.title = os.path.basename(self.path)
        self._added: list[str] = []

    def add_note(self, sentence: str) -> None:
        """Tell one more sentence about how it was opened."""
        self._added.append(sentence)

    @cached_property
    def tree(self) -> Tree:
        """Its rows; the objects are entries and plain values, and None for groups."""
        file = self.file
        with without_collection():
            inside = set(file.state)
            beside = [name for name in file.entries if name not in inside]
            # An alias lies where the name does that was kept, and so is tied to it.
            aliases = self.aliases.items()
            tied = {name: file.entries[kept] for name, kept in aliases if kept in file.entries}
            entries = {**file.entries, **tied} if tied else file.entries
            return checkpoint_tree(entries, file.values, beside)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Names that the file leaves out, and the name under which it holds the same tensor."""
        held = {*self.file.state, *self.file.nested}
        return noted_aliases(self.metadata, held) if self.metadata else {}

    @property
    def facts(self) -> list[Fact]:
        """What to know of the file as a whole."""
        file = self.file
        facts = [Fact(label="Note", value=note) for note in (*self._added, *file.notes)]
        if file.wrapper:
            value = f"Found under “{file.wrapper}”. What stands beside it is exported on request."
            facts.append(Fact(label="State dict", value=value))
        if file.others:
            value = f"{', '.join(file.others[:_NAMED])}: choose one by its name as the prefix."
            facts.append(Fact(label="Other state dicts", value=value))
        if file.imports:
            names = [name.name for name in file.imports]
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            value = (
                f"torch.load would import and run {', '.join(names[:_NAMED])}{more}. Here nothing "
                "of the file was imported or run: it is listed only."
            )
            facts.append(Fact(label="Code", value=value, exact="\n".join(names), tone="warning"))
        return facts

    @property
    def notes(self) -> list[str]:
        """Sentences for the person who opens it: what was not run or not found."""
        file, count = self.file, len(self.file.imports)
        notes = [*self._added, *file.notes]
        names = f"{count:,} name{'' if count == 1 else 's'} would be imported"
        if file.model:
            notes.append(
                f"This file is a whole pickled model ({file.model}): nothing of it was run. "
                f"To load it, {names}."
            )
        elif count:
            notes.append(f"Nothing of this file was run: with torch.load, {names}.")
        return notes

    @property
    def trust(self) -> Trust | None:
        """What there is to trust where loading the file would make a model of it."""
        file = self.file
        if not file.model:
            return None
        return Trust(imports=list(file.imports), source=dict(file.sources))

    @property
    def metadata(self) -> dict[str, str]:
        """The strings in its header."""
        return dict(self.file.metadata)

    @cached_property
    def requires_grad(self) -> dict[str, bool] | None:
        """``requires_grad`` of each parameter, where the file tells which tensors are some."""
        told = self.file.requires_grad
        return noted_requires_grad(self.metadata) if told is None else dict(told)

    @cached_property
    def _ties(self) -> dict[str, int]:
        """Number of the group of names that are one tensor, where that was noted."""
        return {
            name: number for number, names in enumerate(noted_ties(self.metadata)) for name in names
        }

    def totals(self) -> Totals:
        """Elements and bytes of all tensors of the state dict, each tensor once.

        A file that tells its parameters, as those do that we exported, has its elements counted as
        parameters and buffers.  Of any other, all are counted as parameters, as model hubs do.
        """
        every, grad = self.file.entries, self.requires_grad
        entries = {name: every[name] for name in self.file.state if name in every}
        shared = Counter([entry.space for entry in entries.values()])
        counted: set[Hashable] = set()
        parameters = trainable = buffers = 0
        for name, entry in entries.items():
            if shared[entry.space] > 1:
                tie = self._memory(name)
                if tie in counted:
                    continue
                if tie is not None:
                    counted.add(tie)
            if grad is None or name in grad:
                parameters += entry.count
                trainable += entry.count if grad is not None and grad[name] else 0
            else:
                buffers += entry.count
        size = self.file.nbytes
        return Totals(
            modules=0, parameters=parameters, trainable=trainable, buffers=buffers, bytes=size
        )

    def _memory(self, name: str) -> Hashable:
        """Equal for names that are one tensor; None where that is not known."""
        memory = self.file.memory(name)
        return self._ties.get(name) if memory is None else memory

    def fingerprint(self) -> str:
        """A mark that is equal for equal files: of the description and samples of the data."""
        mark = hashlib.blake2b(digest_size=16)
        for sample in self.file.samples(_SAMPLES):
            mark.update(sample)
        return mark.hexdigest()

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, mapped read-only from the file, by any of its names.

        See :meth:`TensorFile.tensor`.
        """
        return self.file.tensor(self.aliases.get(name, name))

    def names(self) -> list[str]:
        """All keys of the state dict."""
        return list(self.file.state)

    def spec(self, name: str) -> Spec:
        """What the description says of one value; ties are those that were noted, or one memory."""
        entry = self.file.entries.get(name)
        if entry is None:
            kind = self.file.values[name].class_name
            return Spec(reason=f"not a tensor but {kind}", is_tensor=False)
        if entry.reason:
            return Spec(entry.dtype, entry.shape or (), reason=entry.reason)
        assert entry.shape is not None  # or there is a reason
        sure = self.file.memory(name) is not None
        return Spec(entry.dtype, entry.shape, entry.nbytes, self._memory(name), sure=sure)

    def value(self, name: str) -> Any:
        """One value itself; raises RefusedError where only a description of it is known."""
        if name in self.file.entries:
            return self.file.tensor(name)
        value = self.file.values[name]
        if value.value is None and value.class_name != "NoneType":
            raise RefusedError(
                f'"{name}" is no tensor but {value.class_name}, of which only a description is '
                "known here."
            )
        return value.value

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, read piece by piece."""
        file = self.file
        return file.blocks(name) if file.in_order(name) else tensor_blocks(file.tensor(name))

    def release(self) -> None:
        """Give back the memory of mapped pages."""
        self.file.release()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
