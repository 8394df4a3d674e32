"""An open checkpoint with the keys that its state dict had.

Names that its file leaves out as aliases are keys as well; tensors inside of extra state, which the
tree shows by names of their own, are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.exporting.choosing import keys_matching
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.notes import noted_aliases
from inspector_app.backend.planning import name_list
from inspector_app.backend.states import Spec
from inspector_app.protocol.errors import RefusedError, RequestError


class Aliased:
    """The source of values that a checkpoint is, where an alias is a tie like any other."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._nested = frozenset(checkpoint.file.nested)
        inside = tuple(f"{key}." for key in self._nested)
        held = [*(n for n in checkpoint.names() if not n.startswith(inside)), *self._nested]
        self._aliases = noted_aliases(checkpoint.metadata, held)
        self._names = [*held, *self._aliases]
        self._kept = set(self._aliases.values())
        self._took = False

    def take_beside(self, patterns: Iterable[str]) -> None:
        """Make keys of what stands beside the state dict where a pattern means no key of that.

        Raises RequestError naming a pattern that means neither.
        """
        inside = set(self._names)
        beside = [name for name in self._checkpoint.file.entries if name not in inside]
        for pattern in patterns if beside else ():
            with suppress(RequestError):
                keys_matching(list(inside), [pattern])
                continue
            found = keys_matching(beside, [pattern])
            self._names += [name for name in beside if name in found]
            beside = [name for name in beside if name not in found]
            self._took = True

    @property
    def told(self) -> list[str]:
        """The sentence about what stands beside the state dict and is not written."""
        file = self._checkpoint.file
        if self._took or not file.beside:
            return []
        named = name_list(file.beside, len(file.beside))
        notes = [f"the state dict “{file.wrapper}” is written, not what stands beside it: {named}"]
        if file.others:
            first = file.others[0]
            named = name_list(file.others, len(file.others))
            notes.append(f"also holds {named}: only “{first}” (--only {first}) writes that one")
        return notes

    @property
    def metadata(self) -> dict[str, str]:
        """The notes of the file without those of its aliases."""
        noted = self._checkpoint.metadata
        return {key: value for key, value in noted.items() if self._aliases.get(key) != value}

    def names(self) -> list[str]:
        """All keys, those that are aliases last."""
        return self._names

    def spec(self, name: str) -> Spec:
        """What the description says of one value."""
        if name in self._nested:
            return Spec(reason="not a tensor but several values together", is_tensor=False)
        kept = self._aliases.get(name, name)
        spec = self._checkpoint.spec(kept)
        if kept not in self._kept or not spec.nbytes:
            return spec
        # One place in the file: there is no doubt that these are one tensor.
        return msgspec.structs.replace(spec, memory=("alias", kept), sure=True)

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one tensor, read piece by piece."""
        return self._checkpoint.blocks(self._aliases.get(name, name))

    def value(self, name: str) -> Any:
        """One value itself; raises RefusedError where only a description of it is known."""
        if name in self._nested:
            raise RefusedError(f'"{name}" is no tensor, and only a description of it is known here')
        return self._checkpoint.value(self._aliases.get(name, name))
