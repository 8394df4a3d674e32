"""A model built by a person's own code: load the file, call the factory, tell what went wrong.

Everything here runs code that is not ours, so each step catches whatever may come out of it and
names the file and line; only KeyboardInterrupt passes.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from inspector_app.backend.opening.failing import failed
from inspector_app.protocol.errors import InspectorError, TargetError

DEFAULT_FACTORY = "build_model"
_NUMBERS = (bool, int, float)
_OPTIONAL = (
    "typing",
    "Optional",
    "Union",
    "None",
    "NoneType",
)  # words of an annotation beside types


# -- loading ---------------------------------------------------------------------------------------


def seed_everything(seed: int) -> None:
    """Seed the global random generators of torch, numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def put_first(folder: str) -> None:
    """Let imports look into ``folder`` first, as ``python file.py`` does."""
    if not sys.path or sys.path[0] != folder:
        sys.path.insert(0, folder)


@contextmanager
def as_program(path: str) -> Iterator[None]:
    """Let code see a command line of its own, ``[path]``: ours is none of its business."""
    kept = sys.argv
    sys.argv = [path]
    try:
        yield
    finally:
        sys.argv = kept


def load_file(path: Path, *, user_path: bool) -> ModuleType:
    """Run a Python file as a module named by its stem; raises TargetError.

    It runs anew each time.  Where the stem is the name of a module that is loaded already
    (``random.py``), the module gets a name of its own, and that one stays as it is.
    """
    if user_path:
        put_first(str(path.parent))
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__inspector_target__", None) != str(path):
        number = 2
        while f"{name}_{number}" in sys.modules:
            number += 1
        name = f"{name}_{number}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["__inspector_target__"] = str(path)
    sys.modules[name] = module
    importlib.invalidate_caches()
    failure = None
    try:
        with as_program(str(path)):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's file raises
        sys.modules.pop(name, None)
        failure = failed(error, f"Loading {path.name}", str(path.parent))
    if failure is not None:
        raise failure
    return module


def load_package(name: str, *, user_path: bool) -> ModuleType:
    """Import ``package.module``, from the current folder or where it is installed."""
    if user_path:
        put_first(os.getcwd())
    importlib.invalidate_caches()
    failure = None
    try:
        with as_program(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name or "")
        if name == missing or name.startswith(missing + "."):
            failure = TargetError(
                f"There is no module '{missing}' in {os.getcwd()} or among the installed packages, "
                f"and no file '{name}'. A target is FILE.py:FACTORY, PACKAGE.MODULE:FACTORY, "
                "sample:NAME or a .safetensors file."
            )
        else:
            failure = failed(error, f"Importing {name}", os.getcwd())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's module raises
        failure = failed(error, f"Importing {name}", os.getcwd())
    raise failure


# -- the factory -----------------------------------------------------------------------------------


def _is_factory(name: str, value: Any, module: ModuleType) -> bool:
    """Whether a name of a module looks like something that builds a model."""
    if name.startswith("_"):
        return False
    if isinstance(value, nn.Module):
        return True
    if isinstance(value, type):
        return issubclass(value, nn.Module) and value.__module__ == module.__name__
    return inspect.isfunction(value) and value.__module__ == module.__name__


def factories(module: ModuleType) -> list[str]:
    """Names in a module that may build a model: its functions, module classes and instances."""
    known = sorted(n for n, v in list(vars(module).items()) if _is_factory(n, v, module))
    return [name for name in known if name not in ("example_inputs", "loss")]


def find_factory(
    module: ModuleType, name: str | None, where: str, own_folder: str
) -> tuple[str, Any]:
    """The factory ``name`` of a module, ``build_model`` where none is named."""
    held: Any = module
    if name is None and DEFAULT_FACTORY not in vars(module):
        names = factories(module)
        known = f"It has {', '.join(names)}" if names else "Nothing in it builds a model"
        example = f"{where}:{names[0] if names else 'FACTORY'}"
        raise TargetError(
            f"{where} has no {DEFAULT_FACTORY}(). {known}: name a factory, as in {example}."
        )
    name = name or DEFAULT_FACTORY
    failure = None
    try:
        for part in name.split("."):
            held = getattr(held, part)
    except AttributeError:
        names = factories(module)
        known = f"It has: {', '.join(names)}" if names else "It has nothing that builds a model"
        failure = TargetError(f"{where} has no '{name}'. {known}.")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a lazy module imports here
        failure = failed(error, f"Looking up '{name}' in {where}", own_folder)
    if failure is not None:
        raise failure
    if not callable(held):
        raise TargetError(
            f"'{name}' in {where} is of class {type(held).__name__}: it must be a function that "
            "returns a model, a class of nn.Module, or a model."
        )
    return name, held


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _numbers(parameter: inspect.Parameter) -> str:
    """What a parameter takes where that is numbers or truth alone ("int or float"), else ""."""
    if parameter.annotation is parameter.empty:
        kind = type(parameter.default)
        return kind.__name__ if kind in _NUMBERS else ""
    annotation = parameter.annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    words = [word for word in re.findall(r"\w+", text) if word not in _OPTIONAL]
    known = {kind.__name__ for kind in _NUMBERS}
    return " or ".join(dict.fromkeys(words)) if known.issuperset(words) else ""


def _check_text(name: str, parameter: inspect.Parameter, value: Any) -> None:
    """Raise TargetError where text is given for a number: any text would count as true."""
    wanted = _numbers(parameter) if isinstance(value, str) else ""
    if wanted:
        example = "true or false" if wanted == "bool" else "a number"
        raise TargetError(
            f"{name}() takes {wanted} for '{parameter.name}', and \"{value[:80]}\" is text: give "
            f"{parameter.name}=VALUE with {example}."
        )


def check_arguments(factory: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    """Raise TargetError naming arguments that do not fit the factory, or that it lacks."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (ValueError, TypeError):
        return  # written in C: the call itself will tell
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    accepted = [p.name for p in named]
    takes = f"it takes {', '.join(accepted)}" if accepted else "it takes none"
    if not any(p.kind == p.VAR_KEYWORD for p in parameters):
        unknown = [key for key in arguments if key not in accepted]
        if unknown:
            raise TargetError(f"{name}() has no argument {_listed(unknown)}: {takes}.")
    missing = [p.name for p in named if p.default is p.empty and p.name not in arguments]
    if missing:
        raise TargetError(
            f"{name}() needs the argument {_listed(missing)}: give {missing[0]}=VALUE ({takes})."
        )
    bare = [p.name for p in parameters if p.kind == p.POSITIONAL_ONLY and p.default is p.empty]
    if bare:
        raise TargetError(
            f"{name}() takes {_listed(bare)} by position only, and arguments are given by name."
        )
    for parameter in named:
        _check_text(name, parameter, arguments.get(parameter.name))


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Make new tensors on ``device``; the CPU is where they are made anyway."""
    if device == "cpu":
        yield
        return
    with torch.device(device):
        yield


def build(
    factory: Any, name: str, arguments: Mapping[str, Any], device: str, own_folder: str
) -> nn.Module:
    """The model that a factory returns, or that it is; raises TargetError."""
    if isinstance(factory, nn.Module):
        if arguments:
            raise TargetError(
                f"'{name}' is a model, not a factory: it takes no arguments "
                f"({_listed(list(arguments))})."
            )
        return factory
    check_arguments(factory, name, arguments)
    failure: InspectorError | None = None
    try:
        own = sys.modules.get(str(getattr(factory, "__module__", "")))
        with as_program(str(getattr(own, "__file__", name))), on_device(device):
            model = factory(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = failed(error, f"{name}()", own_folder)
    if failure is not None:
        raise failure
    if not issubclass(type(model), nn.Module):
        missing = "None (is a return missing?)"
        what = missing if model is None else f"an object of class {type(model).__name__}"
        raise TargetError(f"{name}() returned {what}: it must return a torch.nn.Module.")
    built: nn.Module = model
    return built
