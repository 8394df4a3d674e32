"""A model unpickled as Python does it, on a person's word: this runs whatever the file names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import SourceChangeWarning

from inspector_app.backend.formats.torch_listing import WRAPPERS
from inspector_app.backend.opening.factory import put_first, seed_everything
from inspector_app.backend.opening.failing import failed
from inspector_app.backend.opening.model import OpenModel
from inspector_app.protocol.errors import TargetError


def _hint(error: BaseException) -> str:
    """What to do about classes that are not where the file says."""
    text = str(error) if type(error) is AttributeError else ""
    if "__main__" in text or "__mp_main__" in text:
        return (
            "the class was defined in the script that saved the file; write a Python file with a "
            "factory that imports it and loads the file's state dict"
        )
    if text.startswith("Can't get attribute"):
        return "the code that the file was saved with has changed; open it beside that code"
    return ""


@contextmanager
def _collected(notes: list[str]) -> Iterator[None]:
    """Turn torch's warnings about classes whose source has changed into notes."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if category is not SourceChangeWarning:
                shown(message, category, *where, **more)
                return
            name = str(message).split("'")
            notes.append(f"The source of {name[1]} has changed since the file was saved.")

        warnings.simplefilter("always", SourceChangeWarning)
        warnings.showwarning = show
        yield


def _unpickled(path: Path, notes: list[str]) -> Any:
    """What the file holds, with what there is to note."""
    failure = None
    try:
        with _collected(notes), open(path, "rb") as file:
            return torch.load(file, map_location="cpu", weights_only=False)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the code that it names raises
        failure = failed(error, f"Loading {path.name}", str(path.parent), _hint(error))
    raise failure


def _model_in(held: Any, name: str) -> tuple[nn.Module, str, list[str]]:
    """The model that was loaded, its key and what to note; TargetError tells of anything else."""
    if issubclass(type(held), nn.Module):
        model: nn.Module = held
        return model, "", []
    if isinstance(held, Mapping):
        # By exact type of keys: a person's own key may compare as it likes.
        found = {key: held[key] for key in list(held) if type(key) is str}
        for key in WRAPPERS:
            if issubclass(type(found.get(key)), nn.Module):
                model = found[key]
                note = f"The model was found under “{key}”; what stands beside it was left out."
                return model, key, [note] if len(found) > 1 else []
        keys = [str(key)[:50] for key in list(found)[:5]]
        more = "…" if len(found) > 5 else ""
        what = f"a {type(held).__name__} with the keys {', '.join(keys)}{more}"
    else:
        what = f"an object of class {type(held).__name__}"
    raise TargetError(
        f"{name} holds no model but {what}. Open it without trust to see what is in it."
    )


def load_trusted(path: Path, target: str, seed: int, *, user_path: bool) -> OpenModel:
    """The model that is pickled in a file; runs the code that the file names.

    With ``user_path`` the current folder and the file's own are put in front of ``sys.path``, so
    that the classes are found there.  Raises TargetError.
    """
    path = path.resolve()
    if user_path:
        put_first(os.getcwd())
        put_first(str(path.parent))
    seed_everything(seed)  # what is unpickled may draw numbers
    notes: list[str] = []
    held = _unpickled(path, notes)
    failure = None
    try:
        model, key, more = _model_in(held, path.name)
    except TargetError:
        raise
    except Exception as error:  # noqa: BLE001 - a mapping of the person's own class
        failure = failed(error, f"Looking into {path.name}", str(path.parent))
    if failure is not None:
        raise failure
    return OpenModel(
        model=model,
        target=target,
        title=path.name,
        path=str(path),
        arguments={},
        device="cpu",
        seed=seed,
        factory_name=key,
        kind="trusted",
        notes=notes + more,
    )
