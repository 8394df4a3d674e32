"""Blocks of a script that call the modules' own ``reset_parameters``."""

from __future__ import annotations

import itertools
from typing import Any

from torch import nn

from inspector_app.backend.planning import path_of
from inspector_app.backend.recipes import ResetRecipe
from inspector_app.backend.scripting.loops import Loops
from inspector_app.backend.scripting.seeding import seeded_lines
from inspector_app.backend.scripting.source import Script
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.table import Flag


def reset_lines(recipe: ResetRecipe, loops: Loops, script: Script) -> list[str]:
    """The calls, in their order; raises Unscriptable where a module cannot be reached."""
    objects, table = recipe.tree.objects, recipe.tree.table
    lines: list[str] = []
    for (method, hidden), group in itertools.groupby(
        recipe.calls, key=lambda call: (call[1], _is_hidden(objects[call[0]], call[1]))
    ):
        for loop in loops.modules([row for row, _ in group], ordered=True):
            called = f"type({loop.name}).{method}({loop.name})"
            lines += loop.around([called if hidden else f"{loop.name}.{method}()"])
    for row in recipe.rejoined:
        if table.tie[row] >= 0 or table.has(row, Flag.OVERLAPS):
            script.note(
                f"The reset_parameters above {path_of(table, row)} gives it other memory "
                "(.data = ...): in the script what shared its memory keeps the old values."
            )
    owners = [type(objects[row]).__module__ for row, _ in recipe.calls]
    torch_alone = all(name.partition(".")[0] == "torch" for name in owners)
    return seeded_lines(lines, recipe.seed, script, torch_alone=torch_alone)


def _is_hidden(module: nn.Module, method: str) -> bool:
    """Whether an attribute of the module hides the method of its class."""
    own: dict[str, Any] = instance_dict(module)
    held = (own.get(name) or {} for name in ("_modules", "_parameters", "_buffers"))
    return method in own or any(method in names for names in held)
