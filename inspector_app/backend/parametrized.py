"""New values for a weight that a parametrization computes (``torch.nn.utils.parametrize``).

Such a weight is set through the right inverse of its parametrizations, which is what
``module.weight = values`` does.  They are a person's code, so all of it runs on a copy: what the
copy's tensors then hold is what the model's are to hold, and a weight that does not come out as it
was put in is refused.

https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from inspector_app.backend.planning import rows_where
from inspector_app.backend.running import private_random
from inspector_app.backend.snapshots import bits
from inspector_app.backend.tree import Tree
from inspector_app.backend.writing import no_plain_memory
from inspector_app.protocol.table import Flag, Int32, Role

Fill = Callable[[Tensor, Tensor], None]  # (new, old): write new values into the first


class Unassignable(Exception):
    """Why a weight cannot be given values, as a refusal says it."""


@dataclass(frozen=True)
class Parametrized:
    """The weight ``name`` of ``owner``, computed by the parametrizations in ``row``."""

    row: int
    name: str
    owner: object  # the module; None where the parametrizations stand outside of one
    held: dict[str, int]  # tensors of the parametrizations, by the names in them: their positions
    originals: list[int]  # positions of those the weight is computed from

    def tensors(self, tree: Tree) -> dict[str, Tensor]:
        """The model's own tensors, by the same names."""
        return {name: tree.objects[row] for name, row in self.held.items()}


def find_all(tree: Tree) -> list[Parametrized]:
    """All parametrized weights of a model."""
    table = tree.table
    name = "ParametrizationList"
    kinds = [index for index, known in enumerate(table.classes) if known.endswith(name)]
    found = []
    for row in rows_where(np.isin(table.class_index, kinds)).tolist():
        if not issubclass(type(tree.objects[row]), ParametrizationList):
            continue
        above = int(table.parent[row])
        owner = tree.objects[table.parent[above]] if above > 0 else None
        start = len(table.path(row)) + 1
        inside = range(row + 1, int(table.end[row]))
        held = {
            table.path(inner)[start:]: inner
            for inner in inside
            if table.has(inner, Flag.TENSOR)
            and table.role[inner] in (Role.PARAMETER, Role.BUFFER)
            and issubclass(type(tree.objects[table.parent[inner]]), nn.Module)
        }
        originals = [
            inner
            for path, inner in held.items()
            if table.parent[inner] == row and path.startswith("original")
        ]
        found.append(Parametrized(row, table.name(row), owner, held, originals))
    return found


def inner_parameters(tree: Tree, found: list[Parametrized]) -> Int32:
    """Positions of parameters that belong to the parametrizations themselves, such as a scale."""
    rows = [
        row
        for one in found
        for row in one.held.values()
        if row not in one.originals and tree.table.role[row] == Role.PARAMETER
    ]
    return np.asarray(rows, np.int32)


def _same(one: Tensor, other: Tensor) -> bool:
    alike = (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
    return alike and torch.equal(bits(one), bits(other))


def _check_came_back(new: Tensor, back: Tensor, words: str) -> None:
    if new.shape != back.shape or new.dtype != back.dtype:
        raise Unassignable(f"{words} gives it another shape or dtype")
    if not bool(torch.isfinite(back).all()):
        raise Unassignable(f"{words} would make NaN or infinity of these values")
    tolerance = torch.finfo(new.dtype).eps ** 0.5
    if not torch.allclose(back, new, rtol=tolerance, atol=tolerance * float(new.abs().max())):
        raise Unassignable(f"{words} would make other values of these")


def assigned(tree: Tree, one: Parametrized, fill: Fill, seed: int) -> dict[str, Tensor]:
    """What the tensors of the parametrizations hold once the weight has new values.

    Those that do not change are left out, but for the originals.  The model is not touched, nor
    the global random state.  Raises Unassignable; Cancelled and the like pass through ``fill``.
    """
    own = one.tensors(tree)
    for name, tensor in own.items():
        problem = no_plain_memory(tensor)
        if problem is not None:
            raise Unassignable(f"parametrized, and {name}: {problem}")
    parametrizations = tree.objects[one.row]
    kinds = " and ".join(type(part).__name__.lstrip("_") for part in parametrizations)
    words = f"parametrized: {kinds}"
    with private_random(seed), torch.no_grad():
        try:
            staged = copy.deepcopy(parametrizations).eval()
            old = staged()
        except (Exception, SystemExit) as error:
            raise Unassignable(f"{words} fails on a copy: {error}") from error
        new = torch.empty_like(old)
        fill(new, old)
        try:
            staged.right_inverse(new.clone())
            back = staged()
        except (Exception, SystemExit) as error:
            raise Unassignable(
                f"{words} cannot be set (no right inverse for it): {error}; remove the "
                "parametrization first"
            ) from error
        _check_came_back(new, back, words)
    after = {**dict(staged.named_parameters()), **dict(staged.named_buffers())}
    if after.keys() != own.keys() or any(after[name].shape != own[name].shape for name in own):
        raise Unassignable(f"{words} replaces its tensors by others when it is set")
    originals = {name for name, row in one.held.items() if row in one.originals}
    return {
        name: after[name].detach()
        for name in own
        if name in originals or not _same(after[name].detach(), own[name])
    }
