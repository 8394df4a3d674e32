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
from inspector_app.backend.choosing_state import chosen_state
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
            if recipe.part:
                checkpoint, _ = chosen_state(checkpoint, f"{recipe.part}.")
            read = _read(checkpoint, [name for name, _ in recipe.keys], script)
            shapes = {name: entry.shape for name, entry in checkpoint.file.entries.items()}
        own = list(state_of(model).items())
    except InspectorError as error:
        raise Unscriptable(error.sentence.rstrip(".")) from None
    lines, names = read.lines, read.names
    keys = [(name.removeprefix(read.front), key) for name, key in recipe.keys]
    missing = next((name for name, _ in keys if name not in names), None)
    if missing is not None:
        raise Unscriptable(f"{recipe.path} has no {missing} now, as torch.load reads it")
    rule = _rule(keys)
    here = {key: tuple(value.shape) for key, value in own if isinstance(value, torch.Tensor)}
    same = all(shapes.get(read.front + name) == here.get(key) for name, key in keys)
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
    return [*lines, *_over_keys(keys, rule, [key for key, _ in own], names, write)]


# -- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """Lines that read a state dict as ``state``, and the keys of that."""

    lines: list[str]
    names: list[str]
    front: str = ""  # what the checkpoint's own names have before these keys, where it is nested


def _read(checkpoint: Checkpoint, loaded: Sequence[str], script: Script) -> _State:
    """Read a file of which the names ``loaded`` are wanted."""
    names = checkpoint.names()
    path = text_literal(checkpoint.path)
    file = checkpoint.file
    if isinstance(file, SafetensorsFile):
        script.froms.add("from safetensors.torch import load_file")
        return _State([f"state = load_file({path})"], names)
    if isinstance(file, ShardedFile):
        script.imports.update(("json", "os"))
        script.helpers["load_shards"] = _SHARDED.replace("READ", _read_shard(file, script))
        return _State([f"state = load_shards({path})"], names)
    parts = [part for part in file.wrapper.split(".") if part]
    found = None if file.model else _tried(checkpoint.path, parts)
    load = f'torch.load({path}, map_location="cpu", weights_only={found is not None})'
    lines = []
    if found is None:
        script.note(
            f"torch.load does not read {checkpoint.path} with weights_only=True, so the script "
            "runs whatever code the file names: run it only where you trust the file."
        )
        lines = [comment("This runs the code that the file names: only where you trust it.")]
    if file.model:
        return _State(
            [*lines, f"held = {load}", f"state = held{_items(parts)}.state_dict()"], names
        )
    front = ""
    if found is not None:
        inner, found = _nested(found, loaded)
        front = "".join(f"{part}." for part in inner)
        parts += inner
        names = [name.removeprefix(front) for name in names if name.startswith(front)]
        names = [name for name in names if name in found]
    return _State([*lines, f"state = {load}{_items(parts)}"], names, front)


def _items(parts: Sequence[str]) -> str:
    return "".join(f"[{text_literal(part)}]" for part in parts)


def _nested(found: Mapping[str, Any], loaded: Sequence[str]) -> tuple[list[str], Mapping[str, Any]]:
    """The dictionaries inside each other that lead to what was loaded, and the innermost."""
    parts: list[str] = []
    names = list(loaded)
    while any(name not in found for name in names):
        part = names[0].partition(".")[0]
        inner = found.get(part)
        if not isinstance(inner, Mapping) or not all(one.startswith(f"{part}.") for one in names):
            break
        found, names = inner, [one.removeprefix(f"{part}.") for one in names]
        parts.append(part)
    return parts, found


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
