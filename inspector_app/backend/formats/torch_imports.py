"""Which of the names that a pickle of torch.save imports are harmless."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from torch import nn

from inspector_app.backend.formats.pickle_values import Global
from inspector_app.backend.formats.torch_storages import DTYPES, STORAGES
from inspector_app.backend.formats.torch_values import Builders
from inspector_app.protocol.messages import Import

_DESCRIBING = {
    ("torch.nn.parameter", "Parameter"),
    ("torch.nn.parameter", "Buffer"),
    ("torch.nn", "Parameter"),
    ("torch._tensor", "Tensor"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    *Builders(0).table,
}
_HARMLESS = {
    *(("builtins", name) for name in ("list", "tuple", "int", "float", "bool", "str", "bytes")),
    *(("builtins", name) for name in ("bytearray", "complex", "slice", "range", "object")),
    *(("collections", name) for name in ("deque", "OrderedDict")),
    *(("pathlib", name) for name in ("PosixPath", "WindowsPath", "PurePosixPath")),
    *(("datetime", name) for name in ("datetime", "date", "timedelta")),
    *(("torch.nn.functional", name) for name in ("relu", "gelu", "silu", "softmax", "tanh")),
    ("torch._C._nn", "gelu"),
    ("torch", "relu"),
    ("torch", "tanh"),
    ("torch", "sigmoid"),
    ("argparse", "Namespace"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
}


def only_describes(module: str, name: str) -> bool:
    """Whether a name only describes values: reading it loads no code of others."""
    return (
        (module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES)
        or (module == "torch" and (name in DTYPES or name in ("Tensor", "Size", "device")))
        or (module == "torch" and name.startswith("per_"))
        or (module, name) in _DESCRIBING
    )


def _is_layer_of_torch(module: str, name: str) -> bool:
    """Whether a name is that of a class of ``torch.nn.modules``, which is loaded already."""
    loaded = sys.modules.get(module) if module.startswith("torch.nn.modules.") else None
    found = vars(loaded).get(name) if loaded is not None else None
    return isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == module


def imports_of(names: Iterable[Global]) -> list[Import]:
    """Of all names in a pickle, those that do more than describe values, in order."""
    return [
        Import(
            name=name.full_name,
            known=(name.module, name.name) in _HARMLESS
            or _is_layer_of_torch(name.module, name.name),
        )
        for name in sorted(names, key=lambda name: name.full_name)
        if not only_describes(name.module, name.name)
    ]
