"""Blocks of a script that fill weights by a scheme: calls of ``torch.nn.init``, in their order.

Where ``torch.nn.init`` would misread a weight's fans, or draw from the global generator, the script
says what :mod:`inspector_app.backend.filling` does there.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch

from inspector_app.backend import filling
from inspector_app.backend.init_targets import Target
from inspector_app.backend.layouts import ONE, Layout
from inspector_app.backend.recipes import InitializeRecipe
from inspector_app.backend.scripting.loops import Loops
from inspector_app.backend.scripting.parametrized import (
    is_contiguous,
    is_simple,
    simple_lines,
    staged_lines,
)
from inspector_app.backend.scripting.seeding import generator_line, generator_name
from inspector_app.backend.scripting.setting import is_usual, past_overrides
from inspector_app.backend.scripting.source import Script, call, comment, indented, literal
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import all_arguments
from inspector_app.protocol.table import Flag

_SPARSE = '''\
def sparse_(matrix, sparsity, std, generator):
    """nn.init.sparse_, but for the choice of rows, which is drawn from the generator as well."""
    rows, columns = matrix.shape
    matrix.normal_(0, std, generator=generator)
    for column in range(columns):
        order = torch.randperm(rows, generator=generator, device=matrix.device)
        matrix[order[: math.ceil(sparsity * rows)], column] = 0
'''
_ORTHOGONAL = '''\
def orthogonal_(matrix, gain, dtype, generator):
    """nn.init.orthogonal_ of a matrix in another dtype, or that lies apart in memory."""
    values = torch.empty(matrix.shape, dtype=dtype, device=matrix.device)
    matrix.copy_(nn.init.orthogonal_(values, gain, generator=generator))
'''
_UNITARY = '''\
def unitary_(matrix, gain, dtype, generator):
    """nn.init.orthogonal_ for complex matrices: the phases of R's diagonal stand for its signs."""
    values = torch.empty(matrix.shape, dtype=dtype, device=matrix.device)
    flat = values.view(values.shape[0], -1).normal_(generator=generator)
    wide = flat.shape[0] < flat.shape[1]
    q, r = torch.linalg.qr(flat.mT if wide else flat)
    q = q * r.diagonal().sgn()
    matrix.copy_((q.mT if wide else q).reshape(matrix.shape) * gain)
'''


def initialize_lines(recipe: InitializeRecipe, loops: Loops, script: Script) -> list[str]:
    """Fill the weights of a recipe; raises Unscriptable where one cannot be reached."""
    script.imports.add("torch")
    lines: list[str] = []
    if filling.draws(recipe.scheme):
        devices = dict.fromkeys(target.tensors[0].device for target in recipe.targets)
        lines += [generator_line(device, recipe.seed) for device in devices]
    for target in recipe.targets:
        if _is_read_first(recipe, target):
            (loop,) = loops.parameters(target.rows, ordered=True)
            lines += [
                f"{name} = {loop.name}[{row}].clone()" for row, name in _padding(recipe, target)
            ]
    bodies = [(_body(recipe, target, script), target) for target in recipe.targets]
    for (body, computed), group in itertools.groupby(
        bodies, key=lambda pair: (pair[0], pair[1].computed is not None)
    ):
        targets = [target for _, target in group]
        if computed:
            for target in targets:
                lines += _computed_lines(recipe, target, body, loops, script)
            continue
        for loop in loops.parameters([target.rows[0] for target in targets], ordered=True):
            name, head = loop.name, loop.lines
            if not head and sum(line.count(_WEIGHT) for line in body) > 1:
                lines.append(f"weight = {name}")
                name = "weight"
            written = loop.around(line.replace(_WEIGHT, name) for line in body)
            usual = all(is_usual(target.tensors[0]) for target in targets)
            lines += written if usual else past_overrides(script, written)
    return lines


_WEIGHT = "\0"  # stands for the weight's name in a body


@dataclass(frozen=True)
class _Form:
    """How a weight lies in memory."""

    dtype: torch.dtype
    contiguous: bool


def _is_read_first(recipe: InitializeRecipe, target: Target) -> bool:
    """Whether another weight of this edit may write over the padding before it is read."""
    shares = recipe.tree.table.has(target.rows[0], Flag.OVERLAPS)
    return bool(target.padding) and target.computed is None and shares


def _padding(recipe: InitializeRecipe, target: Target) -> list[tuple[int, str]]:
    """Rows that keep their values, and what the script calls these values."""
    rows = sorted(set(target.padding))
    first = f"_{target.rows[0]}" if _is_read_first(recipe, target) else ""
    return [
        (row, f"padding{first}" + (f"_{number}" if len(rows) > 1 else ""))
        for number, row in enumerate(rows)
    ]


def _body(recipe: InitializeRecipe, target: Target, script: Script) -> tuple[str, ...]:
    """The lines that fill one weight, with ``_WEIGHT`` for its name."""
    scheme = recipe.scheme
    generator = generator_name(target.tensors[0].device)
    if target.computed is None:
        with torch._C.DisableTorchFunctionSubclass():
            form = _Form(target.tensors[0].dtype, target.tensors[0].is_contiguous())
    else:
        assert target.dtype is not None
        form = _Form(target.dtype, is_contiguous(target.shape, target.stride))
    lines = _fill(scheme, target.layout, target.shape, form, generator, script)
    if target.computed is not None:
        return tuple(lines)
    for row, name in _padding(recipe, target):
        if not _is_read_first(recipe, target):
            lines.insert(0, f"{name} = {_WEIGHT}[{row}].clone()")
        lines.append(f"{_WEIGHT}[{row}] = {name}")
    return tuple(lines)


def _computed_lines(
    recipe: InitializeRecipe, target: Target, body: tuple[str, ...], loops: Loops, script: Script
) -> list[str]:
    """A weight that a parametrization computes, set through the right inverse."""
    assert target.computed is not None
    tree = recipe.tree
    above = int(tree.table.parent[tree.table.parent[target.computed.row]])
    front = f"{tree.table.path(above)}." if above > 0 else ""
    name = front + target.computed.name
    told = comment(f"{name} is computed by a parametrization, so set through its right inverse.")
    filled = [line.replace(_WEIGHT, "weight") for line in body]
    if is_simple(tree, target):
        return [told, *simple_lines(tree, target, filled, recipe.seed, loops, script)]
    return [told, *staged_lines(tree, target, filled, recipe.seed, loops, script)]


# -- one scheme ------------------------------------------------------------------------------------


def _given(scheme: Scheme) -> list[str]:
    """The arguments that a person gave; all others are torch's defaults as well."""
    return [f"{name}={literal(value)}" for name, value in scheme.arguments.items()]


def _fill(
    scheme: Scheme,
    layout: Layout,
    shape: tuple[int, ...],
    form: _Form,
    generator: str,
    script: Script,
) -> list[str]:
    """Lines that do to one weight what :func:`inspector_app.backend.filling.fill` does."""
    name, arguments = scheme.name, all_arguments(scheme)
    drawn = f"generator={generator}"
    function = script.nn(f"init.{name}")
    if name in ("zeros_", "ones_"):
        return [call(function, [_WEIGHT])]
    if name == "constant_":
        return [call(function, [_WEIGHT, repr(float(arguments["val"]))])]
    if name in ("normal_", "uniform_"):
        return [call(function, [_WEIGHT, *_given(scheme), drawn])]
    if name == "trunc_normal_":
        bounds = filling.truncated_arguments(arguments)
        given = [f"{key}={value!r}" for key, value in bounds.items()]
        return [call(function, [_WEIGHT, *given, drawn])]
    if name in ("orthogonal_", "eye_", "sparse_", "dirac_"):
        return _matrices(scheme, layout, form, drawn, function, script)
    std = filling.deviation(arguments, layout.fans(shape))
    if std == filling.deviation(arguments, ONE.fans(shape)):
        return [call(function, [_WEIGHT, *_given(scheme), drawn])]
    told = comment(f"fans of the layer itself: {filling.peculiar(scheme, layout, shape)}")
    if "uniform" in name:
        bound = math.sqrt(3.0) * std
        given = [_WEIGHT, repr(-bound), repr(bound), drawn]
        return [told, call(script.nn("init.uniform_"), given)]
    return [told, call(script.nn("init.normal_"), [_WEIGHT, "0.0", repr(std), drawn])]


def _matrices(
    scheme: Scheme, layout: Layout, form: _Form, drawn: str, function: str, script: Script
) -> list[str]:
    """A scheme that fills matrices, each that the layer computes with on its own."""
    own = scheme.name != "dirac_" or all_arguments(scheme)["groups"] == 1
    layout = layout if own else ONE
    matrix, head = _WEIGHT, []
    if layout.blocks > 1:
        along = f", {layout.along}" if layout.along else ""
        head = [f"for block in {_WEIGHT}.chunk({layout.blocks}{along}):"]
        matrix = "block"
    if layout.transposed:
        matrix = f"{matrix}.transpose(0, 1)"
    # torch.nn.init.orthogonal_ reads a matrix as it lies in memory.
    plain = form.contiguous and not layout.transposed and not layout.along
    line = _matrix(scheme, matrix, _Form(form.dtype, plain), drawn, function, script)
    return [*head, *indented([line], len(head))]


def _matrix(
    scheme: Scheme,
    matrix: str,
    form: _Form,
    drawn: str,
    function: str,
    script: Script,
) -> str:
    name, arguments = scheme.name, all_arguments(scheme)
    if name == "sparse_":
        script.imports.update(("math", "torch"))
        script.helpers["sparse_"] = _SPARSE
        given = [repr(float(arguments["sparsity"])), repr(float(arguments["std"]))]
        return call("sparse_", [matrix, *given, drawn])
    if name == "dirac_":
        groups = int(arguments["groups"])
        return call(function, [matrix, str(groups)] if groups > 1 else [matrix])
    if name == "eye_":
        return call(function, [matrix])
    computed = filling.COMPUTED_IN.get(form.dtype, form.dtype)
    if form.contiguous and computed == form.dtype and not form.dtype.is_complex:
        return call(function, [matrix, *_given(scheme), drawn])
    helper = "unitary_" if form.dtype.is_complex else "orthogonal_"
    script.helpers[helper] = _UNITARY if form.dtype.is_complex else _ORTHOGONAL
    gain = repr(float(arguments["gain"]))
    return call(helper, [matrix, gain, str(computed), drawn])
