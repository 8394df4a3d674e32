"""What a target's text means, and what kind of file a path leads to.

A target is ``path/file.py:factory``, ``path/file.py`` (its ``build_model``),
``package.module:factory``, ``sample:NAME``, or the path of a checkpoint.  What ends in ``.py`` is
Python; all other files are told apart by their content, never by their ending.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.content import KNOWN, is_torch_file, open_file
from inspector_app.backend.formats.pickle_reader import PickleError
from inspector_app.backend.formats.values import Check, unchecked
from inspector_app.backend.opening.factory import (
    build,
    find_factory,
    load_file,
    load_package,
    seed_everything,
)
from inspector_app.backend.opening.folder import checkpoint_of_folder, open_folder
from inspector_app.backend.opening.model import OpenModel
from inspector_app.backend.opening.trusted import load_trusted
from inspector_app.protocol.errors import TargetError
from inspector_app.resources import sample_file, sample_names

_SAMPLE = "sample:"
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def _open_factory(
    target: str,
    path: Path | None,
    module_name: str,
    factory: str | None,
    arguments: Mapping[str, Any],
    device: str,
    seed: int,
    user_path: bool,
) -> OpenModel:
    """Load the code, seed, call the factory."""
    seed_everything(seed)
    if path is not None:
        where, title, own_folder = path.name, path.stem, str(path.parent)
        namespace = load_file(path, user_path=user_path)
    else:
        where = title = module_name
        own_folder = os.getcwd()
        namespace = load_package(module_name, user_path=user_path)
    name, found = find_factory(namespace, factory, where, own_folder)
    # Again: importing may have drawn numbers, and a module that is loaded already draws none.
    seed_everything(seed)
    model = build(found, name, arguments, device, own_folder)
    return OpenModel(
        model=model,
        target=target,
        title=title if name == "build_model" else f"{title}:{name}",
        path=str(path or vars(namespace).get("__file__") or ""),
        arguments=dict(arguments),
        device=device,
        seed=seed,
        namespace=namespace,
        factory_name=name,
    )


def _split(target: str) -> tuple[str, str | None]:
    """File or module and factory of a target; the drive of a Windows path is no file."""
    head, colon, tail = target.rpartition(":")
    if colon and re.fullmatch(_DOTTED, tail) and not (len(head) == 1 and head.isalpha()):
        return head, tail
    return target, None


def _exists(path: Path) -> bool:
    """Whether there is something at a path; raises TargetError where that cannot be told."""
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise TargetError(f"{str(path)[:200]} cannot be read: {error.strerror}.") from None


def open_checkpoint(path: str | os.PathLike[str], check: Check = unchecked) -> Checkpoint:
    """The checkpoint at a path, by its content, or the one in a folder; raises TargetError.

    Close it after use.  ``check`` is called now and then, and may raise to end the work.
    """
    found = Path(path).expanduser()
    if not _exists(found):
        raise _missing(str(path), str(path), found)
    if found.is_dir():
        return checkpoint_of_folder(found, str(path), check)
    return Checkpoint(open_file(found, check), str(path))


def _refuse_arguments(arguments: Mapping[str, Any], what: str) -> None:
    if arguments:
        raise TargetError(
            f"{what} is not built by a factory, so it takes no arguments ({', '.join(arguments)})."
        )


def _refuse_trust(trusted: bool, path: Path) -> None:
    if trusted:
        raise TargetError(
            f"{path} is no file of torch.save, so there is nothing in it to trust and load."
        )


def _open_trusted(path: Path, target: str, device: str, seed: int, user_path: bool) -> OpenModel:
    """A model that is pickled in a file of torch.save, on a person's word."""
    if device != "cpu":
        raise TargetError(f"A pickled model is loaded as it is, on 'cpu': not on '{device}'.")
    # What is damaged, or another kind of archive, is told before anything is run.
    with suppress(PickleError):  # what our own reader cannot follow, Python's may
        open_file(path).close()
    return load_trusted(path, target, seed, user_path=user_path)


def _missing(target: str, head: str, path: Path) -> TargetError:
    """There is nothing at a path."""
    near = ""
    if path.parent.is_dir():
        suffix = path.suffix or ".py"
        siblings = sorted(p.name for p in path.parent.glob(f"*{suffix}"))[:5]
        if siblings:
            where = "The current folder" if path.parent == Path() else str(path.parent)
            near = f" {where} has {', '.join(siblings)}."
    else:
        near = f" The folder {path.parent} does not exist either."
    return TargetError(f"There is no file '{head}'.{near}")


def open_target(
    target: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seed: int = 0,
    trusted: bool = False,
    user_path: bool = True,
    check: Check = unchecked,
) -> OpenModel | Checkpoint:
    """The model or checkpoint that ``target`` names.

    ``arguments`` are the factory's keyword arguments; ``device`` is "cpu" or "meta"; ``seed`` is
    set for torch, numpy and Python before the file is loaded and before the factory runs.  With
    ``user_path`` the file's folder (the current folder for ``package.module``) is put in front of
    ``sys.path``.  ``trusted`` unpickles a file of torch.save, which runs what it names; else
    nothing of such a file is run.  ``check`` is called now and then while a file is read, and may
    raise to end that.  Raises TargetError with a sentence that says what to do.
    """
    given = dict(arguments or {})
    if device not in ("cpu", "meta"):
        raise TargetError(f"Models are opened on 'cpu' or 'meta', not on '{device}'.")
    if not -(2**63) <= seed < 2**64:
        raise TargetError(f"The seed {seed} is too large: torch takes -2**63 to 2**64 - 1.")
    if not target.strip():
        raise TargetError(f"The target is empty: name {KNOWN}, or sample:NAME.")
    if target.startswith(_SAMPLE):
        name, colon, factory = target.removeprefix(_SAMPLE).partition(":")
        path = sample_file(name)
        return _open_factory(
            target, path, "", factory if colon else None, given, device, seed, user_path
        )
    if "\0" in target:
        raise TargetError("A target cannot hold a NUL character.")
    whole = Path(target).expanduser()
    head, factory_name = _split(target)
    # A file whose own name has a colon is that file.
    path = whole if _exists(whole) else Path(head).expanduser()
    if path is whole:
        head, factory_name = target, None
    is_package = factory_name is not None and re.fullmatch(_DOTTED, head) is not None
    if path.is_dir() and not is_package:
        _refuse_arguments(given, path.name)
        _refuse_trust(trusted, path)
        return open_folder(path, target, device, seed, check)
    if path.suffix == ".py":
        if not path.is_file():
            raise _missing(target, head, path)
        _refuse_trust(trusted, path)
        return _open_factory(
            target, path.resolve(), "", factory_name, given, device, seed, user_path
        )
    if _exists(path) and not path.is_dir():
        if factory_name is not None:
            raise TargetError(f"{path} is no Python file, so it has no factory '{factory_name}'.")
        _refuse_arguments(given, path.name)
        if trusted and is_torch_file(path):
            return _open_trusted(path, target, device, seed, user_path)
        _refuse_trust(trusted, path)
        return Checkpoint(open_file(path, check), target)
    if is_package:
        return _open_factory(target, None, head, factory_name, given, device, seed, user_path)
    if target in sample_names():
        raise TargetError(f"There is no file '{target}'. For the sample, open {_SAMPLE}{target}.")
    if factory_name is None and "." in target and re.fullmatch(_DOTTED, target):
        raise TargetError(
            f"There is no file '{target}'. For a module, name its factory: {target}:FACTORY."
        )
    raise _missing(target, head, path)
