"""Small models that between them hold all that an edit must be careful with, as factories.

Each is built anew by its function, the same each time under one seed.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections import OrderedDict, deque

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.nn.utils.parametrize import register_parametrization

from tests.backend.edit_models import Mixed


def mixed() -> nn.Module:
    """Tied, overlapping, complex, 16-bit, integer and strided parameters; a stale gradient."""
    model = Mixed()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.odd.grad = torch.tensor([float("nan"), -0.0, 1.0, 2.0])
    model.body[0].bias.requires_grad = False
    model.body[2].eval()
    return model


def layers() -> nn.Module:
    """Convolutions of all kinds, norms, attention and cells: everything with a layout."""
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(4, 8, 3, groups=2),
            norm=nn.BatchNorm2d(8),
            depthwise=nn.Conv1d(6, 6, 3, groups=6),
            up=nn.ConvTranspose2d(8, 4, 2, groups=2),
            group=nn.GroupNorm(2, 8),
            attention=nn.MultiheadAttention(8, 2),
            cross=nn.MultiheadAttention(8, 2, kdim=4, vdim=4, bias=False),
            cell=nn.GRUCell(5, 3),
            bilinear=nn.Bilinear(3, 4, 2),
            instance=nn.InstanceNorm1d(4, affine=True, track_running_stats=True),
            activation=nn.PReLU(),
        )
    )


def recurrent() -> nn.Module:
    """Gates, projections, a padded embedding and one with padding at its end."""
    return nn.ModuleDict(
        {
            "embed": nn.Embedding(9, 6, padding_idx=0),
            "bag": nn.EmbeddingBag(5, 4, padding_idx=-1),
            "lstm": nn.LSTM(6, 4, 2, bidirectional=True, proj_size=3),
            "gru": nn.GRU(3, 4),
            "rnn": nn.RNN(3, 4, nonlinearity="relu"),
        }
    )


class _Scaled(nn.Module):
    """A parametrization of one's own, with a parameter and a buffer, that draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale

    def right_inverse(self, weight: Tensor) -> Tensor:
        self.calls += torch.rand(()) if self.training else 1
        return weight / self.scale


class _Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).mT


def parametrized() -> nn.Module:
    """Weights that are computed: by torch's parametrizations, one's own, hooks and masks."""
    model = nn.ModuleDict(
        {
            "weight_norm": parametrizations.weight_norm(nn.Linear(4, 3)),
            "square": parametrizations.orthogonal(nn.Linear(4, 4)),
            "wide": parametrizations.orthogonal(nn.Linear(5, 3)),
            "spectral": parametrizations.spectral_norm(nn.Linear(4, 3)),
            "scaled": nn.Linear(4, 3),
            "symmetric": nn.Linear(3, 3),
            "embed": parametrizations.weight_norm(nn.Embedding(5, 3, padding_idx=2)),
            "pruned": prune.l1_unstructured(nn.Linear(4, 3), "weight", amount=2),
            "plain": nn.Linear(4, 3),
        }
    )
    register_parametrization(model["scaled"], "weight", _Scaled())
    register_parametrization(model["symmetric"], "weight", _Symmetric())
    model["plain"].register_parameter("extra", nn.Parameter(torch.ones(2)))
    return model


def hooked() -> nn.Module:
    """The weight_norm and spectral_norm of old, which compute a weight before each forward."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # they are of old, says torch
        return nn.Sequential(
            weight_norm(nn.Linear(3, 3)), spectral_norm(nn.Linear(3, 3)), nn.Linear(3, 2)
        )


class _Chances(nn.Module):
    """Resets itself with numpy's and Python's random numbers, and sets a plain attribute."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.weight = nn.Parameter(torch.zeros(width, dtype=torch.float64))
        self.register_buffer("offset", torch.zeros(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(np.random.rand(len(self.weight))))
            self.weight[0] = random.random()
            self.offset.normal_()
            self.inner.bias.uniform_()


class _Gives(nn.Module):
    """Resets itself by giving its parameter other memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def reset_parameters(self) -> None:
        self.weight.data = torch.randn(3)


class _Replaces(nn.Module):
    """Resets itself by another parameter, which no edit may leave behind."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def reset_parameters(self) -> None:
        self.weight = nn.Parameter(torch.randn(3))


class _Shy(nn.Module):
    """Asks for an argument, so that it cannot be reset; keeps a statistic of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("running_peak", torch.zeros(()))
        self.child = nn.Linear(2, 2)

    def reset_parameters(self, value: float) -> None:
        self.weight.data.fill_(value)

    def _reset_parameters(self) -> None:
        raise AssertionError("never asked")


def resets() -> nn.Module:
    """Modules whose own code writes their values, each in a way of its own."""
    model = nn.Module()
    model.chances = _Chances(3)
    model.gives = _Gives()
    model.replaces = _Replaces()
    model.shy = _Shy()
    model.encoder = nn.TransformerEncoderLayer(4, 2, 6)
    model.again = model.chances
    return model


class _Odd(nn.Module):
    """A class attribute, a property and an own method stand before what is registered."""

    bias = None  # hides the parameter

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.randn(3, 2)))
        self._parameters["bias"] = nn.Parameter(torch.zeros(3))
        self.__dict__["kept"] = [nn.Linear(2, 2)]

    @property
    def kept(self) -> None:
        raise AssertionError("nobody reads this")

    @kept.setter
    def kept(self, value: object) -> None: ...


def names() -> nn.Module:
    """Names with spaces, quotes, line breaks, keywords, other scripts; containers of all kinds."""
    model = nn.Module()
    for name in ("with space", "quo\"te's", "line\nbreak", "class", "слой", "\u202egnol", "\ud800"):
        model.add_module(name, nn.Linear(2, 2))
    model.odd = _Odd()
    shared = nn.Linear(2, 3)
    model.plain = [nn.Linear(2, 2), {"a b": shared, 3: nn.BatchNorm1d(2), (1, 2): nn.Linear(1, 2)}]
    model.queue = deque([nn.Linear(2, 1)])
    model.registered = nn.ModuleList([nn.Linear(2, 2), shared])
    model.named = nn.ParameterDict({"a b": torch.ones(2), "keys_": torch.ones(3)})
    model.listed = nn.ParameterList([torch.ones(2), torch.zeros(1)])
    model.bag = {nn.Linear(2, 2)}
    return model


class _Lies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def named_parameters(self, *given: object, **named: object) -> object:
        return iter([("weight", self.first.weight)])


def lies() -> nn.Module:
    """Says of itself what is not so, beside a module that stands in it twice."""
    model = nn.Sequential(_Lies(), nn.Linear(2, 2))
    model.append(model[1])
    model.append(copy.deepcopy(model[1]))
    return model


FACTORIES = (mixed, layers, recurrent, parametrized, hooked, resets, names, lies)
SAMPLES = ("sample:pitfalls", "sample:resnet", "sample:language_model", "sample:shared_scalar")
