"""Which rows the ready selections of :mod:`inspector_app.protocol.presets` mean."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrize import ParametrizationList

from inspector_app.backend.planning import rows_where
from inspector_app.backend.sharing import overlapping_rows, tied_rows
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.presets import CLASS, PRESET, PRESETS
from inspector_app.protocol.table import Flag, Role

Rows = NDArray[np.bool_]

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def _parameters(tree: Tree) -> Rows:
    table = tree.table
    found: Rows = (table.role == Role.PARAMETER) & ((table.flags & Flag.TENSOR) != 0)
    return found


def _modules_where(tree: Tree, wanted: Callable[[type[nn.Module]], bool]) -> Rows:
    """Rows of modules whose class is wanted; each class is asked about once."""
    table = tree.table
    chosen = np.zeros(len(table), bool)
    answers: dict[type, bool] = {}
    plain = (table.flags & (Flag.TENSOR | Flag.REFERENCE | Flag.CONTAINER)) == 0
    for row in rows_where(plain).tolist():
        cls = type(tree.objects[row])
        if cls not in answers:
            answers[cls] = issubclass(cls, nn.Module) and wanted(cls)
        chosen[row] = answers[cls]
    return chosen


def _norms(tree: Tree) -> Rows:
    """Known classes and those of that name that hold tensors themselves.

    A block such as ``PreNorm`` that only wraps another module holds none.
    """
    table = tree.table
    known = _modules_where(tree, lambda cls: issubclass(cls, _NORMS))
    named = _modules_where(tree, lambda cls: "norm" in cls.__name__.lower())
    holds = np.zeros(len(table), bool)
    own = ((table.role == Role.PARAMETER) | (table.role == Role.BUFFER)) & (
        (table.flags & Flag.TENSOR) != 0
    )
    holds[table.parent[own]] = True
    # A parametrization such as weight_norm's computes the weight of a layer that is no norm.
    lists = _modules_where(tree, lambda cls: issubclass(cls, ParametrizationList))
    inside = np.zeros(len(table), bool)
    for row in rows_where(lists).tolist():
        inside[row : table.end[row]] = True
    return (known | named) & holds & ~inside


def _biases(tree: Tree) -> Rows:
    chosen = _parameters(tree)
    for row in rows_where(chosen).tolist():
        name = tree.table.name(row)
        chosen[row] = name == "bias" or name.startswith("bias_") or name.endswith("_bias")
    return chosen


def _embeddings(tree: Tree) -> Rows:
    return _modules_where(tree, lambda cls: issubclass(cls, _EMBEDDINGS))


def _module_of(tree: Tree, row: int) -> int:
    """Position of the module a parameter belongs to, whatever parametrizations lie between."""
    table = tree.table
    owner = int(table.parent[row])
    above = owner
    while above > 0:
        if issubclass(type(tree.objects[above]), ParametrizationList):
            owner = int(table.parent[table.parent[above]])
        above = int(table.parent[above])
    return owner


def _body(tree: Tree) -> Rows:
    """All parameters but those of the last module that has any, and what shares their memory."""
    table = tree.table
    chosen = _parameters(tree)
    registered = rows_where(chosen & ((table.flags & Flag.IN_PARAMETERS) != 0))
    if not len(registered):
        return chosen & False
    last = _module_of(tree, int(registered[-1]))
    head = np.arange(last, int(table.end[last]), dtype=np.int32)
    head = head[chosen[head]]
    chosen[tied_rows(table, head)] = False
    chosen[overlapping_rows(tree, head)] = False
    return chosen


def _initial(tree: Tree) -> Rows:
    found: Rows = (tree.table.flags & Flag.INITIAL) != 0
    return found


_MEANINGS: dict[str, Callable[[Tree], Rows]] = {
    "preset:body": _body,
    "preset:norms": _norms,
    "preset:biases": _biases,
    "preset:embeddings": _embeddings,
    "preset:initial": _initial,
}


def _of_class(tree: Tree, name: str) -> Rows:
    """Modules of a class, or of one derived from it, that is so called."""

    def wanted(cls: type[nn.Module]) -> bool:
        above = cls.__mro__[: cls.__mro__.index(nn.Module) + 1]
        return any(fnmatch.fnmatchcase(one.__name__, name) for one in above)

    return _modules_where(tree, wanted)


def preset_rows(tree: Tree, pattern: str) -> Rows | None:
    """The rows that a ready selection means, before their subtrees; None for any other pattern.

    Raises RequestError where there is no such selection or nothing in the model is meant.
    """
    if pattern.startswith(CLASS):
        found = _of_class(tree, pattern[len(CLASS) :])
        if not found.any():
            raise RequestError(
                f"'{pattern}' selects nothing: no module is of such a class or one derived from it."
            )
        return found
    if not pattern.startswith(PRESET):
        return None
    if pattern not in PRESETS:
        raise RequestError(
            f"There is no ready selection '{pattern}'. There are: {', '.join(PRESETS)}."
        )
    found = _MEANINGS[pattern](tree)
    if not found.any():
        raise RequestError(f"'{pattern}' selects nothing: {PRESETS[pattern].nothing}.")
    return found
