"""What a Python file offers to build a model with: its functions and module classes.

Read from the syntax alone: nothing of the file is run or imported, so it is safe for any file and
quick enough for the window's own process.  What only exists while the code runs (names that are
assigned, made by a loop or imported) is not seen.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Literal

from inspector_app.protocol.errors import TargetError
from inspector_app.resources import sample_file

DEFAULT = "build_model"
_SAMPLE = "sample:"
_SIZE_LIMIT = 10 << 20  # bytes of a source file
_TEXT = 200  # characters of a default or annotation
_NOT_FACTORIES = ("example_inputs", "loss", "main")
_BUILDING = ("build", "make", "create", "get", "load")
_MODULE_WORDS = ("Module", "Model", "Net", "Network", "Sequential", "ModuleList", "ModuleDict")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_Function = ast.FunctionDef


@dataclass(frozen=True)
class Argument:
    """One argument of a factory, as its source says it."""

    name: str
    annotation: str = ""  # "int", "str | None"; "" where there is none
    default: str = ""  # "128"; "" where there is none
    required: bool = True
    keyword_only: bool = False


@dataclass(frozen=True)
class Factory:
    """A function or class of a file that may build a model.

    ``more`` says that it may take arguments which are not listed: it has ``**kwargs``, or is a
    class whose ``__init__`` is written elsewhere.
    """

    name: str
    kind: Literal["function", "class"]
    arguments: tuple[Argument, ...] = ()
    summary: str = ""  # first line of its docstring
    line: int = 0
    more: bool = False


# -- the file --------------------------------------------------------------------------------------


def _package(name: str) -> tuple[Path | None, list[Path]]:
    """Source and folders of a top-level package or module, by all that imports would ask.

    Imports nothing; the current folder comes first, as for a target that is opened.
    """
    spec: ModuleSpec | None = PathFinder.find_spec(name, [os.getcwd()])
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if spec is None and find is not None:
            spec = find(name, None)
    if spec is None:
        raise TargetError(
            f"There is no module '{name}' in {os.getcwd()} or among the installed packages."
        )
    source = Path(spec.origin) if spec.has_location and spec.origin else None
    return source, [Path(folder) for folder in spec.submodule_search_locations or ()]


def _module_file(name: str) -> Path:
    """The source of ``package.module``, from the current folder or where it is installed."""
    first, *inner = name.split(".")
    source, folders = _package(first)
    done = first
    for part in inner:
        if not folders:
            raise TargetError(f"'{done}' is no package, so there is no module '{name}' in it.")
        done = f"{done}.{part}"
        places = [folder / part for folder in folders]
        folders = [place for place in places if place.is_dir()]
        files = [place / "__init__.py" for place in folders]
        files += [place.with_name(f"{part}.py") for place in places]
        source = next((file for file in files if file.is_file()), None)
        if source is None and not folders:
            raise TargetError(f"There is no module '{done}' with a Python source to read.")
        if source is not None and source.name != "__init__.py":
            folders = []
    if source is None or source.suffix != ".py":
        raise TargetError(f"The module '{name}' has no Python source to read its factories from.")
    return source


def source_file(target: str) -> Path:
    """The Python file that a target means, with or without ``:factory`` behind it.

    ``target`` is a path, ``package.module`` or ``sample:NAME``.  Raises TargetError.
    """
    if not target.strip() or "\0" in target:
        raise TargetError("Name a Python file, a PACKAGE.MODULE or sample:NAME.")
    if target.startswith(_SAMPLE):
        return sample_file(target.removeprefix(_SAMPLE).partition(":")[0])
    head, colon, tail = target.rpartition(":")
    for text in (target, head) if colon and _TARGET.fullmatch(tail) else (target,):
        path = Path(text).expanduser()
        if path.suffix == ".py" and os.path.exists(path):  # which never raises
            return path
    name = head if colon and _TARGET.fullmatch(tail) else target
    if not name.endswith(".py") and _TARGET.fullmatch(name):
        return _module_file(name)
    path = Path(name).expanduser()
    if os.path.exists(path):
        what = "a folder" if path.is_dir() else "no Python file (.py)"
        raise TargetError(f"{path} is {what}, so it has no factories.")
    raise TargetError(f"There is no file '{name[:200]}'.")


def _parsed(path: Path) -> ast.Module:
    try:
        if not path.is_file():
            raise TargetError(f"{path} is not a regular file.")
        size = path.stat().st_size
        if size > _SIZE_LIMIT:
            raise TargetError(
                f"{path} has {size:,} bytes; of Python files, {_SIZE_LIMIT:,} are read at most."
            )
        with tokenize.open(path) as file:  # in the encoding that the file declares
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the person's own code: not ours to print
            return ast.parse(source, str(path))
    except OSError as error:
        raise TargetError(f"Cannot read {path}: {error.strerror or error}.") from None
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise TargetError(f"{path}{where}: SyntaxError: {error.msg}.") from None
    except UnicodeDecodeError:
        raise TargetError(f"{path} is no text in the encoding it declares (UTF-8).") from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deep"
        raise TargetError(f"{path} cannot be parsed: {reason}.") from None


# -- its syntax ------------------------------------------------------------------------------------


def _text(node: ast.expr | None) -> str:
    """Source of an expression, on one line."""
    if node is None:
        return ""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "…"
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements at the level of the module, those under ``if``, ``try`` and ``with`` as well."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _statements(statement.body)
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)
            yield from _statements(getattr(statement, "orelse", []))
            yield from _statements(getattr(statement, "finalbody", []))


def _arguments(function: _Function, *, method: bool) -> tuple[tuple[Argument, ...], bool]:
    """Arguments of a function by name, and whether it takes others as well."""
    takes = function.args
    positional = [*takes.posonlyargs, *takes.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(takes.defaults))
    pairs = list(zip(positional, [*defaults, *takes.defaults], strict=True))
    found = [
        Argument(given.arg, _text(given.annotation), _text(default), default is None)
        for given, default in (pairs[1:] if method else pairs)
    ]
    found += [
        Argument(given.arg, _text(given.annotation), _text(default), default is None, True)
        for given, default in zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    ]
    return tuple(found), takes.kwarg is not None


def _summary(node: ast.FunctionDef | ast.ClassDef) -> str:
    lines = (ast.get_docstring(node) or "").strip().splitlines()
    return lines[0].strip() if lines else ""


class _File:
    """The names of one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions: dict[str, ast.FunctionDef] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self._imported: dict[str, str] = {}
        for statement in _statements(tree.body):
            if isinstance(statement, ast.FunctionDef):
                self.functions[statement.name] = statement  # of several the last one holds
                self.classes.pop(statement.name, None)
            elif isinstance(statement, ast.ClassDef):
                self.classes[statement.name] = statement
                self.functions.pop(statement.name, None)
            elif isinstance(statement, ast.Import):
                for name in statement.names:
                    self._imported[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
            elif isinstance(statement, ast.ImportFrom):
                for name in statement.names:
                    whole = f"{statement.module or ''}.{name.name}"
                    self._imported[name.asname or name.name] = whole
        self._modules: dict[str, bool] = {}

    def _whole(self, text: str) -> str:
        """A dotted name with its first part as it was imported."""
        first, dot, rest = text.partition(".")
        return self._imported.get(first, first) + dot + rest

    def _means_module(self, text: str) -> bool:
        """Whether a name looks like a class of modules."""
        text = text.partition("[")[0].strip("\"' ")
        if text in self.classes:
            return self.is_module(text)
        whole = self._whole(text)
        if whole.startswith("torch.nn.") and not whole.startswith("torch.nn.functional."):
            return whole.rpartition(".")[2][:1].isupper() and not whole.endswith(".Parameter")
        return whole.rpartition(".")[2].endswith(_MODULE_WORDS)

    def is_module(self, name: str) -> bool:
        """Whether a class of this file looks like one of modules, by its bases."""
        if name not in self._modules:
            self._modules[name] = False  # a class cannot be its own base
            bases = [_text(base) for base in self.classes[name].bases]
            self._modules[name] = any(self._means_module(base) for base in bases)
        return self._modules[name]

    def returns_module(self, function: _Function) -> bool:
        """Whether the annotation of what a function returns looks like a module."""
        parts = re.split(r"\s*\|\s*", _text(function.returns).strip("\"'"))
        return any(part and self._means_module(part) for part in parts)

    def _init(self, name: str) -> _Function | None:
        """``__init__`` of a class, from its bases in this file where it has none of its own."""
        seen: set[str] = set()
        while name in self.classes and name not in seen:
            seen.add(name)
            node = self.classes[name]
            for statement in node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                    return statement
            bases = [_text(base).partition("[")[0] for base in node.bases]
            name = next((base for base in bases if base in self.classes), "")
        return None

    def of_class(self, name: str) -> Factory:
        """A class as a factory."""
        node, init = self.classes[name], self._init(name)
        bare = [self._whole(_text(base)) for base in node.bases] == ["torch.nn.Module"]
        arguments, more = _arguments(init, method=True) if init else ((), not bare)
        return Factory(name, "class", arguments, _summary(node), node.lineno, more)

    def of_function(self, name: str) -> Factory:
        """A function as a factory."""
        node = self.functions[name]
        arguments, more = _arguments(node, method=False)
        return Factory(name, "function", arguments, _summary(node), node.lineno, more)


def list_factories(target: str | os.PathLike[str]) -> list[Factory]:
    """What a Python file offers to build a model with, the likeliest first.

    ``build_model``, then functions that return a model by their name or annotation, then classes of
    modules, then all other public functions; each in the order of the file.  ``target`` is a path,
    ``package.module`` or ``sample:NAME``, with or without ``:factory``.  Raises TargetError.
    """
    names = _File(_parsed(source_file(os.fspath(target))))
    ranked: list[tuple[int, int, Factory]] = []
    for name, function in names.functions.items():
        if name.startswith("_") or name in _NOT_FACTORIES:
            continue
        builds = name.split("_")[0] in _BUILDING or names.returns_module(function)
        rank = 0 if name == DEFAULT else 1 if builds else 3
        ranked.append((rank, function.lineno, names.of_function(name)))
    for name, node in names.classes.items():
        if not name.startswith("_") and names.is_module(name):
            ranked.append((2, node.lineno, names.of_class(name)))
    return [factory for _, _, factory in sorted(ranked, key=lambda one: one[:2])]
