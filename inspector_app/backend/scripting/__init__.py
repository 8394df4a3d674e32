"""The edits of a session as a script in plain torch that does the same to the model, bit by bit.

``apply_edits(model)`` in it changes a freshly built model in place, one commented block for each
edit that stands.  It imports nothing of ours.  What it cannot do is told beside it, and in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from torch import nn

from inspector_app.backend.journal import Edit
from inspector_app.backend.opening import OpenModel
from inspector_app.backend.recipes import (
    FreezeRecipe,
    GradientsRecipe,
    HoldRecipe,
    InitializeRecipe,
    LoadRecipe,
    Recipe,
    TrainRecipe,
)
from inspector_app.backend.scripting.building import main_lines
from inspector_app.backend.scripting.filling import initialize_lines
from inspector_app.backend.scripting.loading import load_lines
from inspector_app.backend.scripting.loops import Loops
from inspector_app.backend.scripting.resetting import reset_lines
from inspector_app.backend.scripting.setting import freeze_lines, hold_lines
from inspector_app.backend.scripting.source import (
    LIMIT,
    Script,
    Unscriptable,
    comment,
    indented,
    wrapped,
)
from inspector_app.protocol.messages import JournalEntry

__all__ = ["write_script"]


def write_script(
    opened: OpenModel,
    standing: Sequence[tuple[Edit, JournalEntry]],
    *,
    materialised: bool = False,
) -> tuple[str, list[str]]:
    """The script, and sentences about what it cannot do.

    ``materialised`` says that a forward gave lazy tensors their shapes since the model was opened.
    """
    script = Script()
    if materialised and standing:
        script.note(
            "The model ran here, which gave lazy tensors their shapes: run it once before "
            "apply_edits."
        )
    body: list[str] = []
    loops: dict[int, Loops] = {}
    for number, (edit, entry) in enumerate(standing, 1):
        body += ["", comment(f"{number}. {entry.title}")]
        try:
            body += _lines(edit.recipe, opened.model, loops, script)
        except Unscriptable as reason:
            script.note(f"“{entry.title}” is left out: {reason}.")
            body.append(comment(f"Left out: {reason}."))
    script.froms.add("from torch import nn")
    script.imports.add("torch")
    main = main_lines(opened, script)
    text = [
        *_docstring(opened, script),
        "",
        *script.header(),
        *(line for source in script.helpers.values() for line in ("", "", *source.splitlines())),
        "",
        "",
        "@torch.no_grad()",
        "def apply_edits(model: nn.Module) -> None:",
        *(part for line in indented([_summary(len(standing)), *body]) for part in wrapped(line)),
        *(part for line in main for part in wrapped(line)),
    ]
    return "\n".join(text) + "\n", script.notes


def _lines(
    recipe: Recipe | None, model: nn.Module, known: dict[int, Loops], script: Script
) -> list[str]:
    """The block of one edit."""
    if recipe is None:
        raise Unscriptable("tensors were made of several of the file's, as transformers does it")
    if isinstance(recipe, TrainRecipe):
        raise Unscriptable("steps of training are not repeated; export the values they came to")
    if isinstance(recipe, LoadRecipe):
        return load_lines(recipe, model, script)
    if isinstance(recipe, GradientsRecipe):
        return [line for part in recipe.parts for line in _lines(part, model, known, script)]
    # Trees whose flags alone differ share their objects.
    key = id(recipe.tree.objects)
    if key not in known:
        known[key] = Loops(recipe.tree, script)
    loops = known[key]
    if isinstance(recipe, FreezeRecipe):
        return freeze_lines(recipe, loops, script)
    if isinstance(recipe, HoldRecipe):
        return hold_lines(recipe, loops)
    if isinstance(recipe, InitializeRecipe):
        return initialize_lines(recipe, loops, script)
    return reset_lines(recipe, loops, script)


def _summary(count: int) -> str:
    if not count:
        return '"""No edit stands: the model stays as it was built."""'
    return f'"""Make {count:,} edit{"s" * (count > 1)} to a freshly built model, in place."""'


def _docstring(opened: OpenModel, script: Script) -> list[str]:
    """What the script is, and what it cannot do."""
    words = [
        f"Edits of {opened.title} in plain torch.",
        "apply_edits(model) makes them on a freshly built model.",
        *script.notes,
    ]
    plain = [comment(line)[2:].replace("\\", "/").replace('"""', "'''") for line in words]
    told = [line for words in plain for line in ("", *textwrap.wrap(words, LIMIT))]
    return [f'"""{told[1]}', *told[2:], '"""']
