"""Parameters inside ``DistributedDataParallel``, which fixes at wrapping what it exchanges.

Its reducer waits in every step for the gradient of each parameter that required one when it was
made, and knows no other.  So a parameter frozen afterwards makes the second step fail, and one that
is unfrozen drifts apart between the processes without a word.

https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch.nn.parallel import DistributedDataParallel

from inspector_app.backend.planning import rows_where
from inspector_app.backend.sharing import tied_rows
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.table import Flag, Role

WAITS = (
    "inside DistributedDataParallel, which waits for its gradient in every step: freeze it before "
    "wrapping, or wrap with find_unused_parameters=True"
)
PASSES_OVER = (
    "inside DistributedDataParallel, which would not average its gradient: unfreeze it before "
    "wrapping"
)
OTHERS_KEEP = "inside DistributedDataParallel: the other processes keep their old values"


def wrapped(tree: Tree, *, waiting: bool = False) -> NDArray[np.bool_]:
    """Rows of parameters that such a wrapper exchanges, shape (n,).

    With ``waiting`` only those whose gradient it waits for in every step.
    """
    table = tree.table
    found = np.zeros(len(table), bool)
    # A wrapper is rare and stands near the root: one module of each class is asked what it is.
    first = np.full(len(table.classes), -1)
    modules = np.flatnonzero((table.flags & (Flag.TENSOR | Flag.CONTAINER)) == 0)[::-1]
    first[table.class_index[modules]] = modules
    kinds = [
        code
        for code, row in enumerate(first.tolist())
        if row >= 0 and issubclass(type(tree.objects[row]), DistributedDataParallel)
    ]
    for row in np.flatnonzero(np.isin(table.class_index, kinds)).tolist() if kinds else []:
        module = tree.objects[row]
        if not issubclass(type(module), DistributedDataParallel):
            continue
        facts = instance_dict(module)
        if waiting and facts.get("find_unused_parameters") and not facts.get("static_graph"):
            continue
        inside = np.arange(row + 1, int(table.end[row]))
        ignored = facts.get("parameters_to_ignore") or ()
        above = len(table.path(row)) + len(".module.") - (not table.path(row))
        for parameter in inside[table.role[inside] == Role.PARAMETER].tolist():
            found[parameter] = table.path(parameter)[above:] not in ignored
    found[tied_rows(table, rows_where(found))] = True
    return found
