"""What a target's text means, and what kind of file a path leads to.

A target is ``path/file.py:factory``, ``path/file.py`` (its ``build_model``),
``package.module:factory``, ``sample:NAME``, or the path of a checkpoint.  What ends in ``.py`` is
Python; all other files are told apart by their content, never by their ending.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The submodule itself: it and this package need each other, and a name in it may come later.
from inspector_app.backend import checkpoint
from inspector_app.backend.opening.factory import (
    OpenModel,
    build,
    find_factory,
    load_file,
    load_package,
    seed_everything,
)
from inspector_app.backend.opening.torch_archive import BEGINNING
from inspector_app.protocol.errors import TargetError
from inspector_app.resources import sample_file, sample_names

_SAMPLE = "sample:"
_KNOWN = "a Python file with a factory (FILE.py:FACTORY) or a checkpoint (safetensors, torch.save)"
_LATER = (
    "that is not read yet. Convert it to safetensors, or open a Python file with a factory that "
    "loads it"
)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LEGACY_PICKLE = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")


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
    if not -(2**63) <= seed < 2**64:
        raise TargetError(f"The seed {seed} is too large: torch takes -2**63 to 2**64 - 1.")
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


def _is_text(start: bytes) -> bool:
    try:
        start[:-4].decode("utf-8")  # the cut may fall inside a character
    except UnicodeDecodeError:
        return False
    return b"\0" not in start


def _what_it_is(path: Path, start: bytes) -> str:
    """Words for a file that is no safetensors file."""
    text = start.lstrip()[:64].lower()
    if not start:
        return "is empty: a download or a copy may have been cut short"
    if start.startswith(b"version https://git-lfs"):
        return (
            "is a git-lfs pointer, not the file itself. Fetch the content with 'git lfs pull', "
            "then open it again"
        )
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "is a web page, not a model: the download went to a page. Download the raw file"
    if start.startswith((_LEGACY_PICKLE, b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return f"is a pickle, as older torch.save writes it; {_LATER}"
    if start.startswith(b"GGUF"):
        return f"is a GGUF file; {_LATER}"
    if start.startswith(b"\x89HDF"):
        return f"is an HDF5 file; {_LATER}"
    if path.suffix == ".json" and text.startswith(b"{"):
        return "is a JSON file. Open the safetensors file that belongs to it"
    kind = "is a text file" if _is_text(start) else "has unknown content"
    return f"{kind}. What can be opened is {_KNOWN}"


def _open_content(path: Path, target: str) -> checkpoint.Checkpoint:
    """A file that is not Python, by what is in it."""
    try:
        if path.is_fifo():  # reading it would wait for a writer
            raise TargetError(f"{path} is a pipe, not a file: save what comes out of it first.")
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TargetError(f"{path} cannot be read: {reason}.") from None
    # u64 length of the header, then a JSON object.
    looks_like = len(start) >= 9 and start[8:9] == b"{"
    if (
        start.startswith(BEGINNING)
        or looks_like
        or (path.suffix == ".safetensors" and not _is_text(start))
    ):
        return checkpoint.Checkpoint(str(path), target)
    raise TargetError(f"{path} {_what_it_is(path, start).rstrip('.')}.")


def _refuse_arguments(arguments: Mapping[str, Any], what: str) -> None:
    if arguments:
        raise TargetError(
            f"{what} is not built by a factory, so it takes no arguments ({', '.join(arguments)})."
        )


def _missing(target: str, head: str, path: Path) -> TargetError:
    """There is nothing at a path."""
    near = ""
    if path.parent.is_dir():
        suffix = path.suffix or ".py"
        siblings = sorted(p.name for p in path.parent.glob(f"*{suffix}"))[:5]
        if siblings:
            near = f" {path.parent} has {', '.join(siblings)}."
    else:
        near = f" The folder {path.parent} does not exist either."
    return TargetError(f"There is no file '{head}'.{near}")


def open_target(
    target: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seed: int = 0,
    user_path: bool = True,
) -> OpenModel | checkpoint.Checkpoint:
    """The model or checkpoint that ``target`` names.

    ``arguments`` are the factory's keyword arguments; ``device`` is "cpu" or "meta"; ``seed`` is
    set for torch, numpy and Python before the file is loaded and before the factory runs.  With
    ``user_path`` the file's folder (the current folder for ``package.module``) is put in front of
    ``sys.path``.  Raises TargetError with a sentence that says what to do.
    """
    given = dict(arguments or {})
    if device not in ("cpu", "meta"):
        raise TargetError(f"Models are opened on 'cpu' or 'meta', not on '{device}'.")
    if not target.strip():
        raise TargetError(f"The target is empty: name {_KNOWN}, or sample:NAME.")
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
    path = whole if whole.exists() else Path(head).expanduser()
    if path is whole:
        head, factory_name = target, None
    is_package = factory_name is not None and re.fullmatch(_DOTTED, head) is not None
    if path.is_dir() and not is_package:
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".safetensors", ".py"))[:5]
        known = f" It holds {', '.join(inside)}." if inside else ""
        raise TargetError(f"{path} is a folder: name a file in it.{known}")
    if path.suffix == ".py":
        if not path.is_file():
            raise _missing(target, head, path)
        return _open_factory(
            target, path.resolve(), "", factory_name, given, device, seed, user_path
        )
    if path.exists() and not path.is_dir():
        if factory_name is not None:
            raise TargetError(f"{path} is no Python file, so it has no factory '{factory_name}'.")
        _refuse_arguments(given, path.name)
        return _open_content(path, target)
    if is_package:
        return _open_factory(target, None, head, factory_name, given, device, seed, user_path)
    if target in sample_names():
        raise TargetError(f"There is no file '{target}'. For the sample, open {_SAMPLE}{target}.")
    if factory_name is None and "." in target and re.fullmatch(_DOTTED, target):
        raise TargetError(
            f"There is no file '{target}'. For a module, name its factory: {target}:FACTORY."
        )
    raise _missing(target, head, path)
