"""How layers of ``torch.nn`` lay out their weights, where the shape alone would mislead.

``torch.nn.init`` takes every weight for one matrix (out, in, ...).  A transposed convolution lays
its weight out as (in, out, ...); grouped convolutions, attention and recurrent layers hold several
matrices in one.  A scheme that speaks of fans or of a matrix means those that the layer computes
with: each gate, projection or group on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

_GATES = {"LSTM": 4, "GRU": 3}
_CELL_GATES = ((nn.LSTMCell, 4), (nn.GRUCell, 3))
_QUERY_KEY_VALUE = frozenset(
    ("query_key_value", "qkv", "qkv_proj", "to_qkv", "in_proj", "in_proj_qkv", "Wqkv", "c_attn")
)


@dataclass(frozen=True)
class Layout:
    """A weight made of ``blocks`` matrices, one after the other along its dimension ``along``."""

    blocks: int = 1
    transposed: bool = False  # each of them is (in, out, ...) rather than (out, in, ...)
    word: str = ""  # what a block is
    along: int = 0
    by_name: bool = False  # nothing but a name says so

    def matrices(self, weight: Tensor) -> list[Tensor]:
        """Views of the matrices, each (out, in, ...)."""
        views = weight.chunk(self.blocks, self.along)
        return [view.transpose(0, 1) if self.transposed else view for view in views]

    def fans(self, shape: tuple[int, ...]) -> dict[str, int]:
        """``fan_in`` and ``fan_out`` of each matrix of a weight of this shape."""
        field = math.prod(shape[2:])
        sizes = list(shape[:2])
        sizes[self.along] //= self.blocks
        outputs, inputs = reversed(sizes) if self.transposed else sizes
        return {"fan_in": inputs * field, "fan_out": outputs * field}

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight of this shape can be laid out so: a person may have put another one."""
        return len(shape) >= 2 and shape[self.along] % self.blocks == 0


ONE = Layout()


def _known(owner: object, name: str) -> Layout:
    if issubclass(type(owner), _ConvNd) and name == "weight":
        groups = owner.__dict__["groups"]
        return Layout(groups, issubclass(type(owner), _ConvTransposeNd), "group")
    if issubclass(type(owner), nn.MultiheadAttention) and name == "in_proj_weight":
        return Layout(3, word="projection")  # query, key and value
    if issubclass(type(owner), nn.RNNBase) and name.startswith(("weight_ih", "weight_hh")):
        return Layout(_GATES.get(str(owner.__dict__["mode"]), 1), word="gate")
    for cell, gates in _CELL_GATES:
        if issubclass(type(owner), cell) and name.startswith("weight_"):
            return Layout(gates, word="gate")
    return ONE


def _is_transposed_linear(owner: object) -> bool:
    """Whether it is the linear layer of GPT-2 in ``transformers``, whose weight is (in, out)."""
    return any(
        cls.__name__ == "Conv1D" and cls.__module__ == "transformers.pytorch_utils"
        for cls in type(owner).__mro__
    )


def _linear(owner: object, called: str, shape: tuple[int, ...]) -> Layout:
    """The weight of a linear layer that is ``called`` so by the module that holds it."""
    transposed = not issubclass(type(owner), nn.Linear)
    if len(shape) != 2 or (transposed and not _is_transposed_linear(owner)):
        return ONE
    inputs, outputs = shape if transposed else reversed(shape)
    if called in _QUERY_KEY_VALUE and outputs == 3 * inputs:
        return Layout(3, transposed, "projection", int(transposed), by_name=True)
    return Layout(transposed=True) if transposed else ONE


def layout_of(owner: object, name: str, shape: tuple[int, ...], called: str = "") -> Layout:
    """The layout of the parameter ``name`` of ``owner``, a module that is ``called`` so."""
    layout = _known(owner, name)
    if layout is ONE and name == "weight":
        layout = _linear(owner, called, shape)
    return layout if layout is ONE or layout.fits(shape) else ONE


def differences(layout: Layout, shape: tuple[int, ...], *, fans: tuple[str, ...]) -> str:
    """In words, what is taken otherwise than the shape says; "" where nothing is.

    ``fans`` are those that count; none of them where the matrices as such do.
    """
    if layout == ONE or len(shape) < 2:
        return ""
    read, true = ONE.fans(shape), layout.fans(shape)
    if len(fans) == 2 and sum(read.values()) == sum(true.values()):
        return ""  # only their sum counts
    words = [f"{fan} {true[fan]:,}, not {read[fan]:,}" for fan in fans if read[fan] != true[fan]]
    if layout.blocks > 1 and (words or not fans):
        guess = " going by its name" if layout.by_name else ""
        words.insert(0, f"{layout.blocks:,} {layout.word}s{guess}, each on its own")
    elif layout.transposed and not fans:
        words.append("inputs first")
    return ", ".join(words)
