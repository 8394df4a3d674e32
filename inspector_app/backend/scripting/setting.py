"""Blocks of a script that set flags: ``requires_grad`` of parameters, the mode of modules."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from inspector_app.backend.recipes import FreezeRecipe, HoldRecipe
from inspector_app.backend.scripting.loops import Loop, Loops
from inspector_app.backend.scripting.source import Script, comment, indented
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict

_USUAL = (Tensor, nn.Parameter, nn.Buffer, UninitializedParameter, UninitializedBuffer)


def is_usual(tensor: Tensor) -> bool:
    """Whether a tensor answers as torch's own do."""
    return type(tensor) in _USUAL


def past_overrides(script: Script, lines: Sequence[str]) -> list[str]:
    """Lines that treat tensors of a class with an own ``__torch_function__`` as plain ones."""
    script.imports.add("torch")
    return ["with torch._C.DisableTorchFunctionSubclass():", *indented(lines)]


def freeze_lines(recipe: FreezeRecipe, loops: Loops, script: Script) -> list[str]:
    """Set ``requires_grad``; of those frozen, drop a stale gradient, which would move them."""
    return set_requires_grad(recipe.tree, recipe.rows.tolist(), not recipe.frozen, loops, script)


def set_requires_grad(
    tree: Tree, rows: Sequence[int], value: bool, loops: Loops, script: Script
) -> list[str]:
    """``requires_grad`` of the parameters in ``rows`` becomes ``value``."""

    def body(loop: Loop) -> list[str]:
        lines = [f"{loop.name}.requires_grad = {value}"]
        return loop.around(lines if value else [*lines, f"{loop.name}.grad = None"])

    lines: list[str] = []
    reached = []
    for row in rows:
        reason = loops.why_not(row)
        if reason:
            script.note(f"requires_grad is not set everywhere: {reason}.")
            lines.append(comment(f"Left out: {reason}."))
        else:
            reached.append(row)
    usual = [row for row in reached if is_usual(tree.objects[row])]
    others = [row for row in reached if not is_usual(tree.objects[row])]
    if usual:
        for loop in loops.parameters(usual, ordered=False):
            lines += body(loop)
    for row in others:
        (loop,) = loops.parameters([row], ordered=False)
        lines += past_overrides(script, body(loop))
    return lines


def hold_lines(recipe: HoldRecipe, loops: Loops) -> list[str]:
    """Set the training flags of these modules alone."""
    objects = recipe.tree.objects
    simple = [row for row in recipe.rows if _moves_itself_alone(objects[row])]
    others = [row for row in recipe.rows if not _moves_itself_alone(objects[row])]
    lines = []
    if recipe.held:
        lines.append("# train() of any module above sets these back: call this again after it.")
    if simple:
        method = "eval" if recipe.held else "train"
        for loop in loops.modules(simple, ordered=False):
            lines += loop.around([f"{loop.name}.{method}()"])
    if others:
        for loop in loops.modules(others, ordered=False):
            lines += loop.around([f"{loop.name}.training = {not recipe.held}"])
    return lines


def _moves_itself_alone(module: nn.Module) -> bool:
    """Whether ``train()`` does no more than set the one flag."""
    methods = all(
        getattr(type(module), name) is getattr(nn.Module, name) for name in ("train", "eval")
    )
    return methods and not instance_dict(module).get("_modules")
