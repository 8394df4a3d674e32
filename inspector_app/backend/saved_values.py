"""Values of a checkpoint that are no plain tensors, as ``torch.load`` gives them, to be compared.

Extra state, packed quantized weights and data types have no bytes of their own in a file.  torch's
reader for weights alone (``weights_only``) makes them; it runs no code that the file names.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.named_file import NamedFile
from inspector_app.backend.formats.torch_archive import TorchArchive
from inspector_app.backend.formats.torch_file import TorchFile
from inspector_app.backend.pieces import same
from inspector_app.backend.states import describe_value, tensor_blocks

_DEPTH = 32


class SavedValues:
    """The values of one checkpoint by their keys; read when the first one is asked for."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._file = checkpoint.file
        self._state: Mapping[str, Any] | None = None

    def holds(self, key: str, value: object) -> bool:
        """Whether the file holds an equal value; False where torch cannot tell."""
        if self._state is None:
            self._state = self._read()
        try:
            return key in self._state and _equal(self._state[key], value, _DEPTH)
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            return False  # values without an order of bytes to compare

    def _read(self) -> Mapping[str, Any]:
        file = self._file
        inner = file.innermost if isinstance(file, NamedFile) else file
        if not isinstance(inner, TorchFile) or file.model:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the age of the file
                mapped = isinstance(inner, TorchArchive)  # else all of it is read
                found = torch.load(file.path, map_location="cpu", weights_only=True, mmap=mapped)
            for part in file.wrapper.split(".") if file.wrapper else ():
                found = found[part]
        except (Exception, SystemExit):  # noqa: BLE001 - whatever torch raises about a file
            return {}
        return found if isinstance(found, Mapping) else {}


def _equal(one: Any, other: Any, depth: int) -> bool:
    """Whether two values of state dicts are the same, bit by bit; of plain classes alone."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return _same_tensor(one, other)  # a parameter and a plain tensor alike
    if type(one) is not type(other) or not depth:
        return False
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(
            _equal(*pair, depth - 1) for pair in zip(one, other, strict=True)
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(_equal(one[k], other[k], depth - 1) for k in one)
    if type(one) in (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device):
        return bool(one == other)
    return False


def _same_tensor(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.is_quantized and other.is_quantized:
        return (
            one.qscheme() == other.qscheme()
            and bool(torch.equal(one, other))  # scales and zero points included
        )
    if describe_value(one).reason or describe_value(other).reason:
        return False
    pairs = zip(tensor_blocks(one), tensor_blocks(other), strict=True)
    return all(len(mine) == len(theirs) and same(mine, theirs) for mine, theirs in pairs)
