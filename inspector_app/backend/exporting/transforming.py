"""The values of an export as they are written: under new names, in another data type.

A conversion is carried out piece by piece while it is written and again while it is compared; no
second copy of the model is ever made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import torch

from inspector_app.backend.conversion import Conversion, conversion, problem_with_values, word
from inspector_app.backend.formats.values import Bytes
from inspector_app.backend.states import BLOCK, Spec, StateSource
from inspector_app.protocol.errors import RequestError

FLOATS = (
    *(torch.float64, torch.float32, torch.bfloat16, torch.float16),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
)
_BY_WORD = {word(dtype): dtype for dtype in FLOATS}


def dtype_named(name: str) -> torch.dtype | None:
    """The data type that floating-point tensors get, None for "" (as they are).

    Raises RequestError where it is none that values can be converted to.
    """
    if not name:
        return None
    dtype = _BY_WORD.get(name.removeprefix("torch."))
    if dtype is None:
        raise RequestError(
            f'Tensors cannot be exported as "{name}": choose {", ".join(list(_BY_WORD)[:-1])} or '
            f"{list(_BY_WORD)[-1]}."
        )
    return dtype


def how_converted(spec: Spec, target: torch.dtype | None) -> Conversion:
    """What a conversion to ``target`` does to a value; NEVER where it is left as it is."""
    source = getattr(torch, spec.dtype, None)
    if target is None or spec.reason or not isinstance(source, torch.dtype):
        return Conversion.NEVER
    if not source.is_floating_point:
        return Conversion.NEVER
    return conversion(source, target)


def converted_spec(spec: Spec, target: torch.dtype) -> Spec:
    """The spec of a value after its conversion; ties stay ties."""
    count = spec.nbytes // getattr(torch, spec.dtype).itemsize
    memory = None if spec.memory is None else (spec.memory, target)
    return msgspec.structs.replace(
        spec, dtype=word(target), nbytes=count * target.itemsize, memory=memory
    )


def typed_blocks(blocks: Iterator[Bytes], dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """Bytes of a value as tensors of one dimension and some size, however they are cut."""
    rest = np.empty(0, np.uint8)
    for block in blocks:
        held = np.concatenate((rest, block)) if len(rest) else block
        whole = len(held) - len(held) % dtype.itemsize
        held, rest = held[:whole], held[whole:]
        for start in range(0, len(held), BLOCK):
            part = held[start : start + BLOCK]
            # torch warns of memory that cannot be written, as what was read from a file is.
            owned = part if part.flags.writeable else part.copy()
            yield torch.from_numpy(owned).view(dtype)


def converted_blocks(
    blocks: Iterator[Bytes], source: torch.dtype, target: torch.dtype
) -> Iterator[Bytes]:
    """The bytes of a value after its conversion."""
    for values in typed_blocks(blocks, source):
        yield values.to(target).view(torch.uint8).numpy()


class Written:
    """The values of an export by their names in the file; a :class:`StateSource`."""

    def __init__(
        self,
        source: StateSource,
        keys: Mapping[str, str],
        specs: Mapping[str, Spec],
        target: torch.dtype | None = None,
    ) -> None:
        """``keys`` are those of ``source`` by name in the file, ``specs`` the source's by name."""
        self._source = source
        self._keys = keys
        self._plain = specs
        self._target = target
        self._specs = {
            name: converted_spec(spec, target)
            if target is not None and self.converts(name)
            else spec
            for name, spec in specs.items()
        }

    def converts(self, name: str) -> bool:
        """Whether a value gets another data type."""
        how = how_converted(self._plain[name], self._target)
        return how in (Conversion.LOSSLESS, Conversion.LOSSY)

    def tie(self, groups: Iterable[Sequence[str]]) -> None:
        """Settle which names are one tensor: those of a group, and no others."""
        group_of = {name: number for number, group in enumerate(groups) for name in group}
        for name, spec in self._specs.items():
            self._specs[name] = msgspec.structs.replace(spec, memory=group_of.get(name))

    def key(self, name: str) -> str:
        """The key of the state dict."""
        return self._keys[name]

    def names(self) -> list[str]:
        """All names, in the order of the state dict."""
        return list(self._keys)

    def spec(self, name: str) -> Spec:
        """What the file says of one value."""
        return self._specs[name]

    def blocks(self, name: str) -> Iterator[Bytes]:
        """The bytes of one value as they are written."""
        blocks = self._source.blocks(self._keys[name])
        if self._target is None or not self.converts(name):
            return blocks
        return converted_blocks(blocks, getattr(torch, self._plain[name].dtype), self._target)

    def value(self, name: str) -> Any:
        """One value itself, as the source has it."""
        return self._source.value(self._keys[name])

    def problem(self, name: str) -> str:
        """Why the values of one tensor cannot be converted; "" where they can.  Reads them all."""
        spec = self._plain[name]
        if self._target is None or how_converted(spec, self._target) is not Conversion.LOSSY:
            return ""
        blocks = self._source.blocks(self._keys[name])
        chunks = typed_blocks(blocks, getattr(torch, spec.dtype))
        return problem_with_values(chunks, self._target, "it holds")


def lossy(specs: Mapping[str, Spec], target: torch.dtype | None) -> list[str]:
    """Names whose conversion may lose digits."""
    return [name for name, spec in specs.items() if how_converted(spec, target) is Conversion.LOSSY]
