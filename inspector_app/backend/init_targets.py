"""What a scheme is to write in a selection: the weights, the tensors that hold them, and the rest.

What cannot have the scheme's values is left out with its reason, and what is done otherwise than a
person may expect is noted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from inspector_app.backend import filling, parallel, parametrized, planning
from inspector_app.backend.filling import Generators
from inspector_app.backend.layouts import Layout, layout_of
from inspector_app.backend.parametrized import Parametrized, Unassignable
from inspector_app.backend.snapshots import stored_size
from inspector_app.backend.tree import Tree
from inspector_app.backend.writing import (
    computes_or_keeps,
    factor_of_a_weight,
    no_plain_memory,
    padding_row,
    pruned,
)
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.table import Flag, Int32, Role

_WHOLE = "parametrized: its weight is set as a whole; select all of"
_INNER = "belongs to a parametrization, which computes a weight with it"


def _empty_like(tensor: Tensor) -> Tensor:
    """An empty tensor with the same strides, on which torch.nn.init does what it would there."""
    empty = torch.empty_strided(
        tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    if tensor.is_conj():
        empty = empty.conj()
    return torch._neg_view(empty) if tensor.is_neg() else empty


@dataclass(frozen=True)
class Target:
    """One weight that gets new values, and the tensors that hold it: itself, where it is plain."""

    rows: tuple[int, ...]  # the positions of the tensors
    tensors: tuple[Tensor, ...]
    padding: tuple[int, ...]  # rows of an embedding that keep their values
    layout: Layout
    shape: tuple[int, ...]  # of the weight
    computed: Parametrized | None = None
    names: tuple[str, ...] = ()  # of the tensors, where it is computed
    dtype: torch.dtype | None = None  # of the weight, where it is computed, ...
    stride: tuple[int, ...] = ()  # ... and its strides

    def fill(self, scheme: Scheme, new: Tensor, old: Tensor, generators: Generators) -> None:
        """New values by the scheme; those of padding stay the old ones."""
        filling.fill(scheme, new, self.layout, generators.on(new.device))
        for index in self.padding:
            new[index] = old[index]

    def values(self, tree: Tree, scheme: Scheme, generators: Generators) -> Sequence[Tensor]:
        """What the tensors are to hold; the model is not touched.

        Raises Unassignable, NotHeldError and what torch raises.
        """
        if self.computed is None:
            with torch._C.DisableTorchFunctionSubclass():
                old = self.tensors[0].detach()
                new = _empty_like(old)
                self.fill(scheme, new, old, generators)
                return [new]
        found = parametrized.assigned(
            tree,
            self.computed,
            lambda new, old: self.fill(scheme, new, old, generators),
            generators.seed,
        )
        if not found.keys() <= set(self.names):
            raise Unassignable("its parametrization sets other tensors with every seed")
        own = self.computed.tensors(tree)
        return [found[name] if name in found else own[name] for name in self.names]


@dataclass(frozen=True)
class Choice:
    """What a selection comes to."""

    targets: list[Target]
    reasons: dict[str, list[int]]
    masked: list[int]  # positions under a pruning mask

    @property
    def rows(self) -> Int32:
        """Positions of all tensors that are written."""
        return np.asarray([row for target in self.targets for row in target.rows], np.int32)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors at these positions."""
        return [tensor for target in self.targets for tensor in target.tensors]

    @property
    def size(self) -> int:
        """Bytes that their values take."""
        return sum(stored_size(tensor) for tensor in self.tensors)


def _tensor_problem(tensor: Tensor, scheme: Scheme) -> str | None:
    problem = no_plain_memory(tensor)
    if problem is not None:
        return problem
    with torch._C.DisableTorchFunctionSubclass():
        return filling.problem(scheme, tensor)


def choose(tree: Tree, positions: Int32, scheme: Scheme) -> Choice:
    """Sort a selection into what gets new values and what is left out."""
    table, objects = tree.table, tree.objects
    reasons = planning.not_parameters(table, positions)
    parameters = (table.role == Role.PARAMETER) & ((table.flags & Flag.TENSOR) != 0)
    selected = positions[parameters[positions]]
    computed = parametrized.find_all(tree)
    targets = _computed_targets(tree, selected, computed, scheme, reasons)
    selected = _without_computed(tree, selected, computed, reasons)
    groups = planning.tie_groups(table, selected)
    masked: list[int] = []
    taken: set[int] = set()
    ties, owners = table.tie[selected].tolist(), table.parent[selected].tolist()
    for row, tie, owner in zip(selected.tolist(), ties, owners, strict=True):
        if tie in taken:
            continue
        problem = _tensor_problem(objects[row], scheme)
        padding: list[int] = []
        if tie >= 0 or computes_or_keeps(objects[owner]):
            for known_as in groups.get(tie, [row]):
                if parameters[known_as]:
                    module, name = objects[table.parent[known_as]], table.name(known_as)
                    problem = problem or factor_of_a_weight(module, name)
                    kept = padding_row(module, name)
                    padding += [] if kept is None else [kept]
                    masked += [row] if pruned(module, name) else []
        if problem is not None:
            reasons.setdefault(problem, []).append(row)
            continue
        if tie >= 0:
            taken.add(tie)
        shape = table.shape(row) or ()
        layout = layout_of(objects[owner], table.name(row), shape, table.name(owner))
        targets.append(Target((row,), (objects[row],), tuple(padding), layout, shape))
    targets.sort(key=lambda target: target.rows)
    # Of a tied tensor that was refused under one name and taken under another, nothing is left out.
    left_out = {
        reason: [row for row in rows if int(table.tie[row]) not in taken]
        for reason, rows in reasons.items()
    }
    return Choice(targets, left_out, masked)


def _without_computed(
    tree: Tree, selected: Int32, computed: list[Parametrized], reasons: dict[str, list[int]]
) -> Int32:
    """``selected`` without what parametrizations compute a weight from or with."""
    if not computed:
        return selected
    inner = selected[np.isin(selected, parametrized.inner_parameters(tree, computed))]
    if len(inner):
        reasons[_INNER] = inner.tolist()
    originals = [row for one in computed for row in one.originals]
    return selected[~np.isin(selected, inner) & ~np.isin(selected, originals)]


def _computed_targets(
    tree: Tree,
    selected: Int32,
    computed: list[Parametrized],
    scheme: Scheme,
    reasons: dict[str, list[int]],
) -> list[Target]:
    """Parametrized weights among ``selected`` that take values of the scheme.

    Whether they do shows only when it is tried, so it is, with one seed; the model stays as it is.
    """
    targets = []
    seen: set[int] = set()
    for one in computed:
        originals = [row for row in one.originals if tree.table.role[row] == Role.PARAMETER]
        among = selected[np.isin(selected, originals)].tolist()
        identity = id(tree.objects[one.row])
        if not among or identity in seen:
            continue
        if among != originals:
            path = planning.path_of(tree.table, one.row)
            reasons.setdefault(f"{_WHOLE} {path}", []).extend(among)
            continue
        seen.add(identity)
        try:
            target = _computed_target(tree, one, scheme)
        except Unassignable as problem:
            reasons.setdefault(str(problem), []).extend(among)
        else:
            targets.append(target)
    return targets


def _computed_target(tree: Tree, one: Parametrized, scheme: Scheme) -> Target:
    kept = padding_row(one.owner, one.name) if isinstance(one.owner, nn.Module) else None
    padding = () if kept is None else (kept,)
    above = int(tree.table.parent[one.row])
    called = tree.table.name(int(tree.table.parent[above])) if above > 0 else ""
    weights: list[Target] = []

    def fill(new: Tensor, old: Tensor) -> None:
        problem = filling.problem(scheme, new)
        if problem is not None:
            raise Unassignable(problem)
        shape = tuple(new.shape)
        layout = layout_of(one.owner, one.name, shape, called)
        weights.append(
            Target((), (), padding, layout, shape, one, dtype=new.dtype, stride=new.stride())
        )
        try:
            weights[0].fill(scheme, new, old, Generators(0))
        except filling.NotHeldError as error:
            raise Unassignable(f"{scheme.name} gives {error}") from error

    names = tuple(parametrized.assigned(tree, one, fill, 0))
    rows = tuple(one.held[name] for name in names)
    tensors = tuple(tree.objects[row] for row in rows)
    return dataclasses.replace(weights[0], rows=rows, tensors=tensors, names=names)


def notes(tree: Tree, choice: Choice, scheme: Scheme, overlapping: Int32) -> list[str]:
    """What a person should know beforehand."""
    table = tree.table
    told = planning.tie_notes(table, choice.rows) + planning.overlap_note(table, overlapping)
    padded = [target.rows[0] for target in choice.targets if target.padding]
    if padded:
        told.append(f"the padding row keeps its values: {planning.paths_list(table, padded)}")
    if choice.masked:
        told.append(
            "pruned: the mask still lies over the new values: "
            f"{planning.paths_list(table, choice.masked)}"
        )
    computed = [target.computed.row for target in choice.targets if target.computed]
    if computed:
        told.append(
            "parametrized, so set through the right inverse: "
            f"{planning.paths_list(table, computed)}"
        )
    if parallel.wrapped(tree)[choice.rows].any():
        told.append(parallel.OTHERS_KEEP)
    told += filling.truncation_note(scheme)
    return told + _layout_note(tree, choice, scheme)


def _layout_note(tree: Tree, choice: Choice, scheme: Scheme) -> list[str]:
    """Which weights are filled as their layers use them, not as their shape reads."""
    found = []
    for target in choice.targets:
        row = target.computed.row if target.computed else target.rows[0]
        words = filling.peculiar(scheme, target.layout, target.shape)
        if words:
            found.append(f"{planning.path_of(tree.table, row)} ({words})")
    if not found:
        return []
    return [
        "filled as the layer uses it, where its shape reads otherwise: "
        f"{planning.name_list(found, len(found))}"
    ]
