"""What torch's ``load_state_dict`` does beside copying: renaming keys, running a person's code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList

from inspector_app.backend import planning
from inspector_app.backend.kinds import is_of_torch
from inspector_app.backend.state_slots import Slot
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.table import Role

_WEIGHT_NORM = re.compile(r"(.*)parametrizations\.([^.]+)\.original([01])", re.DOTALL)


def old_names(tree: Tree, slots: Sequence[Slot]) -> Iterator[tuple[str, str]]:
    """Keys that weight_norm gave before it was a parametrization, and those they are now.

    torch's own ``_weight_norm_compat_hook`` takes them as well when it loads.
    """
    kind = parametrizations._WeightNorm
    for slot in slots:
        found = _WEIGHT_NORM.fullmatch(slot.key) if slot.row > 0 else None
        if found is None:
            continue
        held = tree.objects[tree.table.parent[slot.row]]
        if isinstance(held, ParametrizationList) and isinstance(held[0], kind):
            owner, name, number = found.groups()
            yield f"{owner}{name}_{'gv'[int(number)]}", slot.key


def loading_code_note(tree: Tree) -> list[str]:
    """The note on modules with code that might rename keys when torch loads."""
    rows = [
        row
        for row in planning.rows_where(tree.table.role == Role.MODULE).tolist()
        if issubclass(type(tree.objects[row]), nn.Module) and has_loading_code(tree.objects[row])
    ]
    if not rows:
        return []
    return [
        "torch would run code of the model that may rename keys, and here it is not run: "
        f"load hooks of {planning.paths_list(tree.table, rows)}"
    ]


def has_loading_code(module: nn.Module) -> bool:
    """Whether torch would run a person's code to load into this module."""
    hooks = instance_dict(module).get("_load_state_dict_pre_hooks") or {}
    for hook in hooks.values():
        function = getattr(hook, "hook", hook)
        known = getattr(function, "__module__", "") or ""
        if not known.startswith("torch."):
            return True
    own = type(module)._load_from_state_dict is not nn.Module._load_from_state_dict
    return own and not is_of_torch(type(module))
