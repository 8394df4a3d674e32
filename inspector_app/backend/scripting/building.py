"""The end of a script: how the model was built, where a factory is known."""

from __future__ import annotations

import keyword
import site
import sysconfig
from pathlib import Path
from typing import Any

from torch import nn

from inspector_app.backend.opening import OpenModel
from inspector_app.backend.recipes import LoadRecipe
from inspector_app.backend.scripting.loading import load_lines
from inspector_app.backend.scripting.source import (
    Script,
    Unscriptable,
    call,
    comment,
    indented,
    literal,
    text_literal,
)

_SEED = '''\
def seed_everything(seed):
    """Seed the global generators of torch, numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
'''


def _build_lines(opened: OpenModel, script: Script) -> list[str]:
    """Lines that make ``model`` as it was opened; raises Unscriptable where that is not known."""
    script.imports.update(("numpy", "random", "torch"))
    script.helpers["seed_everything"] = _SEED
    seed = f"seed_everything({opened.seed})"
    path = text_literal(opened.path)
    if opened.kind == "trusted":
        script.imports.add("sys")
        held = f'torch.load({path}, map_location="cpu", weights_only=False)'
        key = f"[{text_literal(opened.factory_name)}]" if opened.factory_name else ""
        return [
            f"sys.path.insert(0, {text_literal(str(Path(opened.path).parent))})",
            seed,
            comment("This runs the code that the file names."),
            f"model = {held}{key}",
        ]
    if opened.kind == "hugging_face":
        script.imports.add("transformers")
        return [seed, *_hugging_face_lines(opened, path, script)]
    return _factory_lines(opened, seed, script)


def _on(device: str, lines: list[str]) -> list[str]:
    """Lines that make their tensors on a device."""
    if device == "cpu":
        return lines
    return [f"with torch.device({text_literal(device)}):", *indented(lines)]


def _hugging_face_lines(opened: OpenModel, path: str, script: Script) -> list[str]:
    """Build the model of a folder, with its weights where it has some."""
    cls = f"transformers.{type(opened.model).__name__}"
    config = f"transformers.AutoConfig.from_pretrained({path}, local_files_only=True)"
    build = [f"config = {config}", *_on(opened.device, [f"model = {cls}._from_config(config)"])]
    laid = opened.laid
    if opened.initial is None and not opened.state_path:
        return build
    if isinstance(laid, LoadRecipe) and not laid.complete:
        loaded = load_lines(laid, opened.model, script)
        return [*build, "with torch.no_grad():", *indented(loaded), "model.eval()"]
    whole = laid.complete if isinstance(laid, LoadRecipe) else not opened.initial
    if not whole:
        script.note(
            "transformers builds the model with its weights: what the folder does not hold may get "
            "other initial values than it has here."
        )
    given = [path, "local_files_only=True", *([] if whole else ["ignore_mismatched_sizes=True"])]
    return [f"model = {call(f'{cls}.from_pretrained', given)}"]


def _factory_lines(opened: OpenModel, seed: str, script: Script) -> list[str]:
    """Import the person's file and call the factory."""
    if opened.namespace is None:
        raise Unscriptable("no factory in a Python file built it")
    first, *inner = opened.factory_name.split(".")
    load, found = _import(opened, opened.namespace.__name__, first, script)
    factory = ".".join([found, *inner])
    held: Any = opened.namespace
    for part in (first, *inner):
        held = getattr(held, part)
    if isinstance(held, nn.Module):
        return [seed, *load, f"model = {factory}"]
    given = [f"{key}={literal(value)}" for key, value in opened.arguments.items() if _is_name(key)]
    odd = {key: value for key, value in opened.arguments.items() if not _is_name(key)}
    if odd:
        given.append(f"**{literal(odd)}")
    again = f"{seed}  # importing may have drawn numbers"
    return [seed, *load, again, *_on(opened.device, [f"model = {call(factory, given)}"])]


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _import(opened: OpenModel, name: str, first: str, script: Script) -> tuple[list[str], str]:
    """Lines that load the person's file, and what they call the factory."""
    path = Path(opened.path)
    parts = name.split(".")
    if not opened.path or path.suffix != ".py":
        return [f"from {name} import {first}"], first
    is_package = path.name == "__init__.py"
    root = path.parents[len(parts) - (0 if is_package else 1)]
    inside = path.parent.name if is_package else path.stem
    script.imports.add("sys")
    if inside == parts[-1] and all(map(_is_name, parts)):
        if _is_installed(root):
            return [f"from {name} import {first}"], first
        put = f"sys.path.insert(0, {text_literal(str(root))})"
        return [put, f"from {name} import {first}"], first
    # Its name is no identifier, or that of another module: it has to be loaded by its path.
    script.imports.add("importlib.util")
    return [
        f"sys.path.insert(0, {text_literal(str(path.parent))})",
        "spec = importlib.util.spec_from_file_location("
        f"{text_literal(name)}, {text_literal(str(path))})",
        "module = importlib.util.module_from_spec(spec)",
        f"sys.modules[{text_literal(name)}] = module",
        "spec.loader.exec_module(module)",
    ], f"module.{first}"


def _is_installed(root: Path) -> bool:
    """Whether Python looks there by itself."""
    places = {*site.getsitepackages(), sysconfig.get_path("stdlib"), site.getusersitepackages()}
    return str(root) in places


def main_lines(opened: OpenModel, script: Script) -> list[str]:
    """``if __name__ == "__main__"``, or nothing and a note where it is not known what to write."""
    try:
        lines = _build_lines(opened, script)
    except Unscriptable as reason:
        script.note(f"How the model was built is not in the script: {reason}.")
        return []
    where = comment(f"The model as it was opened: {opened.target}")
    return [
        "",
        "",
        'if __name__ == "__main__":',
        *indented([where, *lines, "apply_edits(model)"]),
    ]
