"""Blocks of a script that read a checkpoint and write its values into the model.

The file is opened again to see what is in it, by its description alone; whether ``torch.load`` can
read it with ``weights_only`` is tried out on the meta device, where nothing is allocated.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.formats.sharded_file import ShardedFile
from inspector_app.backend.loading_code import has_loading_code
from inspector_app.backend.modules import modules_of
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.recipes import LoadRecipe
from inspector_app.backend.scripting.source import (
    INDENT,
    Script,
    Unscriptable,
    comment,
    indented,
    over,
    text_literal,
)
from inspector_app.backend.state_slots import state_of
from inspector_app.protocol.errors import InspectorError

_SHARDED = '''\
def load_shards(index):
    """All tensors of a sharded checkpoint, by the index beside its files."""
    with open(index, encoding="utf-8") as file:
        names = sorted(set(json.load(file)["weight_map"].values()))
    state = {}
    for name in names:
        path = os.path.join(os.path.dirname(index), name)
        state.update(READ)
    return state
'''


def load_lines(recipe: LoadRecipe, model: nn.Module, script: Script) -> list[str]:
    """Read the file and write its values; raises Unscriptable where that cannot be said."""
    script.imports.add("torch")
    try:
        with closing(open_checkpoint(recipe.path)) as checkpoint:
            lines, names = _read(checkpoint, script)
            shapes = {
                name: checkpoint.file.entries[name].shape
                for name, _ in recipe.keys
                if name in checkpoint.file.entries
            }
        own = list(state_of(model).items())
    except InspectorError as error:
        raise Unscriptable(error.sentence.rstrip(".")) from None
    missing = [name for name, _ in recipe.keys if name not in names]
    if missing:
        raise Unscriptable(f"{recipe.path} no longer holds {missing[0]}")
    rule = _rule(recipe.keys)
    here = {key: tuple(value.shape) for key, value in own if isinstance(value, torch.Tensor)}
    same = all(shapes.get(name) == here.get(key) for name, key in recipe.keys)
    usual = not recipe.lazy and not any(has_loading_code(one) for _, one in modules_of(model))
    if rule and recipe.complete and same and usual and rule.fits(names, [key for key, _ in own]):
        return [*lines, rule.load_line]
    # torch 0.3 wrote scalars as one element.
    value = "state[name]" if same else "state[name].reshape(tensor.shape)"
    write = [f"tensor.copy_({value})"]
    if recipe.lazy:
        script.froms.add("from torch.nn.parameter import is_lazy")
        lazy = ["if is_lazy(tensor):", f"{INDENT}tensor.materialize(state[name].shape)"]
        write = [*lazy, *write]
    return [*lines, *_over_keys(recipe.keys, rule, [key for key, _ in own], names, write)]


# -- reading ---------------------------------------------------------------------------------------


def _read(checkpoint: Checkpoint, script: Script) -> tuple[list[str], list[str]]:
    """Lines that read the state dict of a file as ``state``, and its keys."""
    names = checkpoint.names()
    path = text_literal(checkpoint.path)
    file = checkpoint.file
    if isinstance(file, SafetensorsFile):
        script.froms.add("from safetensors.torch import load_file")
        return [f"state = load_file({path})"], names
    if isinstance(file, ShardedFile):
        script.imports.update(("json", "os"))
        script.helpers["load_shards"] = _SHARDED.replace("READ", _read_shard(file, script))
        return [f"state = load_shards({path})"], names
    if file.model:
        told = comment("This runs the code that the file names: do so only where you trust it.")
        lines = [told, f'held = torch.load({path}, map_location="cpu", weights_only=False)']
        state = "".join(f"[{text_literal(part)}]" for part in file.wrapper.split(".") if part)
        return [*lines, f"state = held{state}.state_dict()"], names
    wanted = [part for part in file.wrapper.split(".") if part]
    found = _tried(checkpoint.path, wanted)
    safe = found is not None
    lines = [f'state = torch.load({path}, map_location="cpu", weights_only={safe})']
    if not safe:
        lines.insert(
            0, comment("The file names code, and this runs it: do so only where you trust it.")
        )
        script.note(
            f"torch.load does not read {checkpoint.path} with weights_only=True, so the script "
            "runs whatever code the file names: run it only where you trust the file."
        )
    if wanted:
        lines[-1] += "".join(f"[{text_literal(part)}]" for part in wanted)
    return lines, names if found is None else [name for name in names if name in found]


def _read_shard(file: ShardedFile, script: Script) -> str:
    """What reads one of the files behind an index."""
    if all(isinstance(shard, SafetensorsFile) for shard in file.shards):
        script.froms.add("from safetensors.torch import load_file")
        return "load_file(path)"
    if any(isinstance(shard, SafetensorsFile) or shard.wrapper for shard in file.shards):
        raise Unscriptable(f"the files behind {file.path} are of several kinds")
    return 'torch.load(path, map_location="cpu", weights_only=True)'


def _tried(path: str, wrapper: Sequence[str]) -> Mapping[str, Any] | None:
    """The state dict as ``torch.load`` gives it, on the meta device; None where it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file
            state = torch.load(path, map_location="meta", weights_only=True)
        for name in wrapper:
            state = state[name]
    except (Exception, SystemExit):  # noqa: BLE001 - whatever torch raises about a file
        return None
    return state if isinstance(state, Mapping) else None


# -- writing ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """How a key of the model becomes one of the file: by a prefix taken off or put before."""

    expression: str  # in terms of ``key``
    front: str = ""  # put before the model's key
    cut: str = ""  # taken off it

    def name(self, key: str) -> str:
        """The file's key."""
        return self.front + key.removeprefix(self.cut)

    def fits(self, names: Sequence[str], keys: Sequence[str]) -> bool:
        """Whether ``load_line`` gives every key of the model, and nothing else."""
        return len(names) == len(keys) and set(names) == set(map(self.name, keys))

    @property
    def load_line(self) -> str:
        """Load ``state`` as torch does."""
        if not self.front and not self.cut:
            return "model.load_state_dict(state)"
        key = f"{text_literal(self.cut)} + key"
        if self.front:
            key = f"key.removeprefix({text_literal(self.front)})"
        return f"model.load_state_dict({{{key}: value for key, value in state.items()}})"


def _rule(keys: Sequence[tuple[str, str]]) -> _Rule | None:
    """The rule that all pairs (key of the file, key of the model) follow; None without one."""
    name, key = keys[0]
    if name.endswith(key):
        front = name[: len(name) - len(key)]
        rule = _Rule(f"{text_literal(front)} + key" if front else "key", front=front)
    elif key.endswith(name):
        cut = key[: len(key) - len(name)]
        rule = _Rule(f"key.removeprefix({text_literal(cut)})", cut=cut)
    else:
        return None
    return rule if all(rule.name(key) == name for name, key in keys) else None


def _over_keys(
    keys: Sequence[tuple[str, str]],
    rule: _Rule | None,
    own: Sequence[str],
    names: Sequence[str],
    write: list[str],
) -> list[str]:
    """A loop that writes exactly these keys, in this order; body lines know name and tensor."""
    known = set(names)
    if rule is not None:
        loaded = {key for _, key in keys}
        would = [key for key in own if rule.name(key) in known]
        left_out = [key for key in would if key not in loaded]
        if [key for key in would if key in loaded] == [key for _, key in keys] and (
            len(left_out) <= len(keys)
        ):
            return _by_rule(rule, left_out, len(would) == len(own), write)
    pairs = [f"({text_literal(key)}, {text_literal(name)})" for name, key in keys]
    if all(name == key for name, key in keys):
        head = over("name", [text_literal(name) for name, _ in keys])
        return ["own = model.state_dict()", *head, *indented(["tensor = own[name]", *write])]
    return [
        "own = model.state_dict()",
        *over("key, name", pairs),
        *indented(["tensor = own[key]", *write]),
    ]


def _by_rule(rule: _Rule, left_out: list[str], all_there: bool, write: list[str]) -> list[str]:
    variable = "name" if rule.expression == "key" else "key"
    conditions = [] if all_there else ["name in state"]
    lines = []
    if left_out:
        listed = ", ".join(map(text_literal, left_out))
        lines.append(f"left_out = {{{listed}}}")
        conditions.append(f"{variable} not in left_out")
    lines.append(f"for {variable}, tensor in model.state_dict().items():")
    body = [] if variable == "name" else [f"name = {rule.expression}"]
    if conditions:
        body += [f"if {' and '.join(conditions)}:", *indented(write)]
    else:
        body += write
    return [*lines, *indented(body)]
