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


@dataclass(frozen=True)
class Layout:
    """A weight made of ``blocks`` matrices, one after the other along its first dimension."""

    blocks: int = 1
    transposed: bool = False  # each of them is (in, out, ...) rather than (out, in, ...)
    word: str = ""  # what a block is

    def matrices(self, weight: Tensor) -> list[Tensor]:
        """Views of the matrices, each (out, in, ...)."""
        size = weight.shape[0] // self.blocks
        views = [weight.narrow(0, block * size, size) for block in range(self.blocks)]
        return [view.transpose(0, 1) for view in views] if self.transposed else views

    def fans(self, shape: tuple[int, ...]) -> dict[str, int]:
        """``fan_in`` and ``fan_out`` of each matrix of a weight of this shape."""
        field = math.prod(shape[2:])
        outputs, inputs = shape[0] // self.blocks, shape[1]
        if self.transposed:
            outputs, inputs = inputs, outputs
        return {"fan_in": inputs * field, "fan_out": outputs * field}


ONE = Layout()


def _known(owner: object, name: str) -> Layout:
    if isinstance(owner, _ConvNd) and name == "weight":
        groups = owner.__dict__["groups"]
        return Layout(groups, isinstance(owner, _ConvTransposeNd), "group")
    if isinstance(owner, nn.MultiheadAttention) and name == "in_proj_weight":
        return Layout(3, word="projection")  # query, key and value
    if isinstance(owner, nn.RNNBase) and name.startswith(("weight_ih", "weight_hh")):
        return Layout(_GATES.get(str(owner.__dict__["mode"]), 1), word="gate")
    for cell, gates in _CELL_GATES:
        if isinstance(owner, cell) and name.startswith("weight_"):
            return Layout(gates, word="gate")
    return ONE


def layout_of(owner: object, name: str, shape: tuple[int, ...]) -> Layout:
    """The layout of the parameter ``name`` of ``owner``."""
    layout = _known(owner, name)
    fits = len(shape) >= 2 and shape[0] % layout.blocks == 0  # a person may have put another weight
    return layout if fits else ONE


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
        words.insert(0, f"{layout.blocks:,} {layout.word}s, each on its own")
    elif layout.transposed and not fans:
        words.append("inputs first")
    return ", ".join(words)
