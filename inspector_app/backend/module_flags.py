"""The flags of module rows: train mode, hooks, parametrizations, packed quantized weights.

The walk tells at once that a usual module has none of the last three; any other is looked at here.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from inspector_app.backend.computed import computed_by, is_made_by_parametrize
from inspector_app.backend.hooks import hooks_of
from inspector_app.backend.kinds import is_of_torch
from inspector_app.backend.modules import training_flag
from inspector_app.backend.quantization import packs
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.table import Flag

#: All that :func:`module_flags` may tell.
LOOKED_AT = Flag.TRAINING | Flag.HOOKED | Flag.PARAMETRIZED | Flag.QUANTIZED

# Plain integers: an operation on members of an enumeration takes a microsecond.
_TRAINING, _HOOKED = int(Flag.TRAINING), int(Flag.HOOKED)
_PARAMETRIZED, _QUANTIZED = int(Flag.PARAMETRIZED), int(Flag.QUANTIZED)


def in_train_mode(module: nn.Module) -> bool | None:
    """Whether a module is in train mode; None where it has no training flag."""
    try:
        flag: Any = training_flag(module)
    except (AttributeError, RuntimeError):  # of a scripted module that has none
        return None
    return bool(flag) if type(flag) in (bool, int) else None


def is_half_constructed(module: nn.Module) -> bool:
    """Whether ``super().__init__()`` was never called, so that nothing can be registered on it."""
    own = instance_dict(module)
    return not is_of_torch(type(module)) and "_modules" not in own and "_parameters" not in own


def module_flags(module: nn.Module) -> int:
    """What is true of a module, of those flags that :data:`LOOKED_AT` names."""
    cls = type(module)
    flags = _TRAINING if in_train_mode(module) else 0
    if next(hooks_of(module), None) is not None:
        flags |= _HOOKED
    if (
        is_made_by_parametrize(cls)
        or issubclass(cls, ParametrizationList)
        or next(computed_by(module), None) is not None
    ):
        flags |= _PARAMETRIZED
    if packs(module):
        flags |= _QUANTIZED
    return flags
