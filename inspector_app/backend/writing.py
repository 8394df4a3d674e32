"""Which tensors' values may be written, and why others may not.

Much of what looks like a plain parameter is not: writing it does nothing, writes elsewhere as well,
or makes NaN of the weight that is computed from it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from inspector_app.backend.tensors import answers_itself, is_lazy, is_plain, why_wrapped
from inspector_app.backend.walking import instance_dict


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether several elements may share one place in memory (``expand``, ``as_strided``)."""
    if 0 in tensor.shape:
        return False
    reach = 1
    steps = sorted(zip(tensor.stride(), tensor.shape, strict=True))
    for step, size in steps:
        if size > 1:
            if step < reach:
                return True
            reach += step * (size - 1)
    return False


def no_plain_memory(tensor: Tensor) -> str | None:
    """Why a tensor's memory cannot be read, kept and written in place; None where it can."""
    with torch._C.DisableTorchFunctionSubclass():
        if is_plain(tensor):
            # The common case first: a selection may hold a hundred thousand of them.
            usual = not (tensor.is_meta or tensor.is_inference())
            if usual and tensor.is_contiguous():
                return None
        if is_lazy(tensor):
            return "lazy: its shape is not known before the first forward"
        if wrapper := why_wrapped(tensor):
            return f"{wrapper}: its memory is not its own"
        if reason := answers_itself(tensor):
            return reason
        if tensor.layout is not torch.strided or tensor.is_nested:
            return "sparse or nested: its values are not laid out as a plain tensor's"
        if tensor.is_meta:
            return "has no data (meta device)"
        if tensor.is_quantized:
            return "quantized: its values are not stored as they are"
        if tensor.is_inference():
            return "made in inference mode: cannot be written outside of it"
        if overlaps_itself(tensor):
            return "several of its elements share one place in memory (expanded)"
    return None


def _pre_hooks(module: nn.Module) -> tuple[object, ...]:
    hooks = instance_dict(module).get("_forward_pre_hooks")
    return tuple(hooks.values()) if hooks else ()


def computes_or_keeps(owner: nn.Module) -> bool:
    """Whether a module may treat one of its parameters in a way of its own.

    Quick to ask; where it says no, :func:`factor_of_a_weight`, :func:`pruned` and
    :func:`padding_row` need not be asked about its parameters.
    """
    kinds = (ParametrizationList, nn.Embedding, nn.EmbeddingBag)
    return issubclass(type(owner), kinds) or bool(_pre_hooks(owner))


def padding_row(owner: nn.Module, name: str) -> int | None:
    """The row of an embedding that stands for padding and must not be filled."""
    if name == "weight" and issubclass(type(owner), nn.Embedding | nn.EmbeddingBag):
        padding: int | None = instance_dict(owner).get("padding_idx")
        return padding
    return None


def factor_of_a_weight(owner: nn.Module, name: str) -> str | None:
    """Why writing the parameter ``name`` of ``owner`` does not set the weight computed from it."""
    if issubclass(type(owner), ParametrizationList) and name.startswith("original"):
        return "parametrized: the weight is computed from it; remove the parametrization first"
    for hook in _pre_hooks(owner):
        if isinstance(hook, WeightNorm) and name in (f"{hook.name}_g", f"{hook.name}_v"):
            return f"weight_norm computes {hook.name} from it; remove_weight_norm first"
        if isinstance(hook, SpectralNorm) and name == f"{hook.name}_orig":
            return f"spectral_norm computes {hook.name} from it; remove_spectral_norm first"
    return None


def pruned(owner: nn.Module, name: str) -> bool:
    """Whether a pruning mask lies over this parameter: what it masks stays zero."""
    return any(
        isinstance(hook, BasePruningMethod) and name == f"{hook._tensor_name}_orig"
        for hook in _pre_hooks(owner)
    )


def computes_its_weights(module: nn.Module) -> str | None:
    """Why ``reset_parameters()`` of a module would write weights that are computed anew."""
    if "parametrizations" in instance_dict(module).get("_modules", {}):
        return "parametrized: its reset_parameters would write a computed copy"
    words = {WeightNorm: "weight_norm", SpectralNorm: "spectral_norm", BasePruningMethod: "pruning"}
    for hook in _pre_hooks(module):
        for kind, word in words.items():
            if isinstance(hook, kind):
                return f"under {word}: its reset_parameters would write a computed copy"
    return None
