"""Models of every kind onto which a checkpoint may be laid; each function builds one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune


class Block(nn.Module):
    """A residual block, as torchvision has it."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample = nn.Sequential(nn.Conv2d(inside, outside, 1), nn.BatchNorm2d(outside))


def resnet(classes: int = 5) -> nn.Module:
    """A small residual net, whose head has ``classes`` outputs."""
    model = nn.Module()
    model.conv1 = nn.Conv2d(3, 4, 7, bias=False)
    model.bn1 = nn.BatchNorm2d(4)
    model.layer1 = nn.Sequential(Block(4, 4), Block(4, 8))
    model.fc = nn.Linear(8, classes)
    return model


def transformer() -> nn.Module:
    """A transformer whose output layer is its embedding."""
    model = nn.Module()
    model.embed = nn.Embedding(11, 8, padding_idx=0)
    model.position = nn.Parameter(torch.randn(1, 6, 8))
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model.norm = nn.LayerNorm(8)
    model.head = nn.Linear(8, 11, bias=False)
    model.head.weight = model.embed.weight
    return model


def recurrent() -> nn.Module:
    """An LSTM, whose weights are in a list besides, and a GRU."""
    return nn.ModuleDict(
        {"lstm": nn.LSTM(4, 3, 2, bidirectional=True), "gru": nn.GRU(3, 3), "out": nn.Linear(3, 2)}
    )


def computed() -> nn.Module:
    """Weights that are computed from others, in every way torch has."""
    model = nn.Module()
    model.new_norm = parametrizations.weight_norm(nn.Linear(4, 3))
    model.old_norm = nn.utils.weight_norm(nn.Linear(4, 3))
    model.spectral = parametrizations.spectral_norm(nn.Linear(4, 3))
    model.old_spectral = nn.utils.spectral_norm(nn.Linear(4, 3))
    model.orthogonal = parametrizations.orthogonal(nn.Linear(4, 4))
    model.pruned = prune.random_unstructured(nn.Linear(4, 3), "weight", 2)
    return model


def strided() -> nn.Module:
    """Memory in other orders: channels last, transposed, conjugated, a stride of two."""
    model = nn.Module()
    model.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    model.turned = nn.Parameter(torch.randn(3, 4).t())
    model.wave = nn.Parameter(torch.randn(3, 4, dtype=torch.complex64).conj())
    model.columns = nn.Parameter(torch.randn(4, 6)[:, ::2])
    model.negative = nn.Parameter(torch.randn(3, dtype=torch.complex64).conj().imag)
    return model


def dtypes() -> nn.Module:
    """One tensor of every common data type, empty ones and scalars."""
    model = nn.Module()
    floats = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
    for name in floats:
        values = torch.randn(3, 5).to(getattr(torch, name))
        parameter = nn.Parameter(values, requires_grad=values.dtype.itemsize > 1)
        setattr(model, f"of_{name}", parameter)
    for name in ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"):
        model.register_buffer(f"of_{name}", torch.arange(6).to(getattr(torch, name)))
    model.register_buffer("of_bool", torch.tensor([True, False]))
    model.register_buffer("of_complex128", torch.randn(2, dtype=torch.complex128))
    model.register_buffer("of_complex64", torch.randn(2, dtype=torch.complex64))
    model.register_buffer("empty", torch.empty(0, 4))
    model.register_buffer("nothing", torch.empty(0))
    model.scalar = nn.Parameter(torch.tensor(1.5))
    return model


def lazy() -> nn.Module:
    """Layers that get their shapes from the first input, or from a checkpoint."""
    return nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.Linear(4, 2))


def not_lazy() -> nn.Module:
    """What :func:`lazy` becomes."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


class _Extra(nn.Linear):
    def get_extra_state(self) -> object:
        return {"calls": 3}

    def set_extra_state(self, state: object) -> None:
        pass


class _Versioned(nn.Linear):
    def get_extra_state(self) -> object:
        return 2

    def set_extra_state(self, state: object) -> None:
        pass


class _Hooked(nn.Linear):
    """Its state dict has a tensor that is computed for it, and one under another name."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside)
        self.register_state_dict_post_hook(self._add)

    @staticmethod
    def _add(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
        state[prefix + "doubled"] = module.bias.detach() * 2
        state[prefix + "first_row"] = module.weight.detach()[0]
        state[prefix + "offset"] = state.pop(prefix + "bias")


class _Overridden(nn.Linear):
    """Saves its weight in half precision, transposed: nothing of it can be written to."""

    def state_dict(self, *args: object, destination=None, prefix: str = "", keep_vars=False):  # type: ignore[no-untyped-def,override]
        state = {} if destination is None else destination
        state[prefix + "packed"] = self.weight.detach().half().t().contiguous()
        return state


def peculiar() -> nn.Module:
    """State dicts that differ from the tree."""
    model = nn.Module()
    model.extra = _Extra(2, 2)
    model.versioned = _Versioned(2, 2)
    model.hooked = _Hooked(3, 2)
    model.overridden = _Overridden(3, 2)
    model.register_buffer("passing", torch.arange(3.0), persistent=False)
    model.plain = torch.randn(2)
    return model


def hooked() -> nn.Module:
    """A model whose state dict has other names and a part of a tensor, all of it memory of its."""
    return nn.ModuleDict({"hooked": _Hooked(3, 2)})


def sharing() -> nn.Module:
    """Two parameters on one memory, one that is a part of another, and one that is expanded."""
    model = nn.Module()
    model.whole = nn.Parameter(torch.randn(4, 3))
    model.twin = nn.Parameter(model.whole.detach())
    model.part = nn.Parameter(model.whole.detach()[1:3])
    model.register_buffer("expanded", torch.ones(1).expand(5))
    return model


def unregistered() -> nn.Module:
    """A module in a plain list, which no state dict holds."""
    model = nn.Module()
    model.kept = nn.Linear(2, 2)
    model.lost = [nn.Linear(2, 2)]
    return model


def linear() -> nn.Module:
    """The least that can be loaded."""
    return nn.Linear(3, 2)


def wrapped() -> nn.Module:
    """The same inside of another one."""
    return nn.DataParallel(linear())


def randomised(model: nn.Module, seed: int = 1) -> dict[str, object]:
    """Other values for everything in the model's state dict, as a state dict of its own."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, object] = {}
    known: dict[int, Tensor] = {}
    for key, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            state[key] = value
            continue
        wide = torch.complex128 if value.is_complex() else torch.float64
        values = torch.randn(value.shape, dtype=wide, generator=generator) * 3
        new = values.to(value.dtype)
        if value.dtype == torch.bool:
            new = values > 0
        elif not (value.is_floating_point() or value.is_complex()):
            new = (values.abs() * 10).to(torch.int64).to(value.dtype)
        same = known.setdefault(value.data_ptr(), new) if value.numel() else new
        state[key] = same if same.shape == new.shape else new
    return state


# weight_norm of old, which new code still meets, warns that it is going away.
OLD = "ignore:.*torch.nn.utils.weight_norm.*:FutureWarning"
