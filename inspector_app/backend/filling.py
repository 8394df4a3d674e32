"""New values for one tensor by one scheme, and why a tensor cannot have them.

The values are those of ``torch.nn.init`` under the same seed wherever the fans and matrices it
reads off the shape are those of the layer (see :mod:`inspector_app.backend.layouts`).  Where its
own functions would draw from the global generator, fail or never end, the same is done here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend import layouts
from inspector_app.backend.layouts import Layout
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import Value, all_arguments

_FANS = ("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_")
_MATRICES = ("orthogonal_", "eye_", "sparse_", "dirac_")
_CONSTANTS = {"zeros_": 0.0, "ones_": 1.0}
_DRAWS_NOTHING = (*_CONSTANTS, "constant_", "eye_", "dirac_")

# torch.linalg.qr knows no 16-bit types: computed in the next larger one, then rounded.
COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
}
_FARTHEST = 10.0  # standard deviations: beyond lie 1e-23 of all normal values


class NotHeldError(ValueError):
    """The values came out larger than the dtype can hold."""


class Generators:
    """One generator for each device, all with the same seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._made: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        """The generator for tensors of a device."""
        if device not in self._made:
            self._made[device] = torch.Generator(device).manual_seed(self.seed)
        return self._made[device]


def draws(scheme: Scheme) -> bool:
    """Whether its values are random."""
    return scheme.name not in _DRAWS_NOTHING


def _constant(scheme: Scheme) -> float | None:
    """The one value that a scheme writes everywhere, where it does."""
    if scheme.name == "constant_":
        return float(all_arguments(scheme)["val"])
    return _CONSTANTS.get(scheme.name)


def _fans_used(scheme: Scheme) -> tuple[str, ...]:
    if scheme.name not in _FANS:
        return ()
    if scheme.name.startswith("kaiming"):
        return (str(all_arguments(scheme)["mode"]),)
    return ("fan_in", "fan_out")


# -- writing --------------------------------------------------------------------------------------


def deviation(arguments: dict[str, Value], fans: dict[str, int]) -> float:
    """Standard deviation by the fans, in torch's own order of operations."""
    if "mode" in arguments:
        gain = nn.init.calculate_gain(arguments["nonlinearity"], arguments["a"])  # type: ignore[arg-type]
        return gain / math.sqrt(fans[str(arguments["mode"])])
    return float(arguments["gain"]) * math.sqrt(2.0 / float(fans["fan_in"] + fans["fan_out"]))


def truncated_arguments(arguments: Mapping[str, Value]) -> dict[str, float]:
    """Those of ``trunc_normal_``, its bounds moved in where nothing lies between.

    torch draws uniformly between bounds that lie to one side, until enough is accepted: with one of
    them far out that does not end.
    """
    mean, std, low, high = (float(arguments[name]) for name in ("mean", "std", "a", "b"))
    low, high = max(low, mean - _FARTHEST * std), min(high, mean + _FARTHEST * std)
    return {"mean": mean, "std": std, "a": low, "b": high}


def _orthogonal(matrix: Tensor, gain: float, generator: torch.Generator) -> None:
    dtype = COMPUTED_IN.get(matrix.dtype, matrix.dtype)
    values = torch.empty(matrix.shape, dtype=dtype, device=matrix.device)
    if dtype.is_complex:
        # As torch does for real ones, with the phase of the diagonal for its sign: Mezzadri 2007,
        # How to generate random matrices from the classical compact groups, section 5.
        flat = values.view(values.shape[0], -1).normal_(generator=generator)
        wide = flat.shape[0] < flat.shape[1]
        q, r = torch.linalg.qr(flat.mT if wide else flat)
        q = q * r.diagonal().sgn()
        values = (q.mT if wide else q).reshape(matrix.shape) * gain
    else:
        nn.init.orthogonal_(values, gain, generator=generator)
    matrix.copy_(values)


def _sparse(matrix: Tensor, sparsity: float, std: float, generator: torch.Generator) -> None:
    """``sparse_``, but for torch's choice of rows, which asks the global generator."""
    rows, columns = matrix.shape
    zeros = math.ceil(sparsity * rows)
    matrix.normal_(0, std, generator=generator)
    for column in range(columns):
        order = torch.randperm(rows, generator=generator, device=matrix.device)
        matrix[order[:zeros], column] = 0


def _finite(tensor: Tensor) -> bool:
    """Whether all values are finite (aminmax is not as soon as one is NaN or infinite)."""
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return all(math.isfinite(float(bound)) for bound in torch.aminmax(real))


def fill(scheme: Scheme, tensor: Tensor, layout: Layout, generator: torch.Generator) -> None:
    """Write new values into ``tensor``, a staged one of its own memory.

    Raises NotHeldError, and what torch raises; the tensor may then be half written.
    """
    name, arguments = scheme.name, all_arguments(scheme)
    with torch.no_grad():
        constant = _constant(scheme)
        if constant is not None:
            tensor.fill_(constant)
        elif name in _FANS:
            std = deviation(arguments, layout.fans(tuple(tensor.shape)))
            if "uniform" in name:
                bound = math.sqrt(3.0) * std
                tensor.uniform_(-bound, bound, generator=generator)
            else:
                tensor.normal_(0, std, generator=generator)
        elif name == "trunc_normal_":
            nn.init.trunc_normal_(tensor, **truncated_arguments(arguments), generator=generator)
        elif name in ("normal_", "uniform_"):
            getattr(nn.init, name)(tensor, **arguments, generator=generator)
        else:
            _fill_matrices(name, _matrices(scheme, layout, tensor), arguments, generator)
        if draws(scheme) and not _finite(tensor):
            raise NotHeldError(f"values that {_word(tensor.dtype)} cannot hold")


def _matrices(scheme: Scheme, layout: Layout, tensor: Tensor) -> list[Tensor]:
    own = scheme.name != "dirac_" or all_arguments(scheme)["groups"] == 1
    return layout.matrices(tensor) if own else [tensor]


def _fill_matrices(
    name: str, matrices: list[Tensor], arguments: dict[str, Any], generator: torch.Generator
) -> None:
    for matrix in matrices:
        if name == "orthogonal_":
            _orthogonal(matrix, arguments["gain"], generator)
        elif name == "sparse_":
            _sparse(matrix, arguments["sparsity"], arguments["std"], generator)
        elif name == "dirac_":
            nn.init.dirac_(matrix, int(arguments["groups"]))
        else:
            matrix.zero_().diagonal().fill_(1)


# -- refusing -------------------------------------------------------------------------------------


@functools.cache
def _dtype_problem(name: str, dtype: torch.dtype) -> str | None:
    """Why values of ``dtype`` cannot be had from a scheme: tried on a small tensor."""
    trial = torch.empty((2, 2, 1) if name == "dirac_" else (2, 2), dtype=dtype)
    try:
        fill(Scheme(name=name), trial, layouts.ONE, torch.Generator())
    except (RuntimeError, NotImplementedError):
        return f"{_word(dtype)}: {name} is not defined for it"
    return None


@functools.cache
def _constant_problem(value: float, dtype: torch.dtype) -> str | None:
    """Why ``dtype`` cannot hold a value: rounded is well, cut to a whole number or lost is not."""
    try:
        held = torch.empty(1, dtype=dtype).fill_(value)
        if dtype.is_complex:
            held = torch.view_as_real(held)[..., 0]
        kept = float(held.to(torch.float64))
    except (RuntimeError, NotImplementedError):
        return f"{_word(dtype)}: cannot hold {value:g}"
    rounds = dtype.is_floating_point or dtype.is_complex
    if rounds:
        # Some types cut what is too large down to their largest number, in silence.
        near = abs(kept) >= abs(value) or math.isclose(kept, value, rel_tol=torch.finfo(dtype).eps)
        good = math.isfinite(kept) and (kept == 0) == (value == 0) and near
    else:
        good = kept == value
    return None if good else f"{_word(dtype)}: cannot hold {value:g}"


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shape_problem(scheme: Scheme, shape: tuple[int, ...]) -> str | None:
    name, dimensions = scheme.name, len(shape)
    if 0 in shape:
        return "holds no elements"
    if name in _FANS and dimensions < 2:
        return f"{dimensions}-dimensional: has no fans"
    if name == "orthogonal_" and dimensions < 2:
        return f"{dimensions}-dimensional: not a matrix"
    if name in ("eye_", "sparse_") and dimensions != 2:
        return f"{dimensions}-dimensional: {name} is for matrices (2-dimensional)"
    if name == "dirac_":
        groups = int(all_arguments(scheme)["groups"])
        if dimensions not in (3, 4, 5):
            return f"{dimensions}-dimensional: dirac_ is for convolutions (3- to 5-dimensional)"
        if shape[0] % groups:
            return f"{shape[0]:,} outputs cannot be divided into {groups:,} groups"
    return None


def problem(scheme: Scheme, tensor: Tensor) -> str | None:
    """Why a tensor of this shape and dtype cannot be filled; None where it can."""
    trouble = _shape_problem(scheme, tuple(tensor.shape))
    constant = _constant(scheme)
    if trouble is None and constant is not None:
        return _constant_problem(constant, tensor.dtype)
    return trouble or _dtype_problem(scheme.name, tensor.dtype)


# -- telling --------------------------------------------------------------------------------------


def peculiar(scheme: Scheme, layout: Layout, shape: tuple[int, ...]) -> str:
    """In words, where a weight is filled otherwise than ``torch.nn.init`` would; "" elsewhere."""
    if scheme.name in _FANS:
        return layouts.differences(layout, shape, fans=_fans_used(scheme))
    if scheme.name in _MATRICES and (
        scheme.name != "dirac_" or all_arguments(scheme)["groups"] == 1
    ):
        return layouts.differences(layout, shape, fans=())
    return ""


def truncation_note(scheme: Scheme) -> list[str]:
    """Where the bounds of ``trunc_normal_`` lie, and whether they cut anything."""
    if scheme.name != "trunc_normal_":
        return []
    arguments = {name: float(value) for name, value in all_arguments(scheme).items()}
    low, high, mean, std = (arguments[name] for name in ("a", "b", "mean", "std"))
    below, above = (low - mean) / std, (high - mean) / std
    note = (
        f"truncated to {low:g} and {high:g}, which is {below:+.3g} and {above:+.3g} standard "
        "deviations from the mean"
    )
    if below < -5 and above > 5:
        note += ": practically nothing is cut off"
    return [note]
