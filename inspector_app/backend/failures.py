"""What a person's own code raised, told so that they can act on it."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

import torch
from torch import nn

from inspector_app.backend.modules import modules_of
from inspector_app.protocol.errors import ModelError

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def model_error(error: BaseException, doing: str, model: nn.Module | None = None) -> ModelError:
    """A sentence about ``error``, and the traceback through the person's own files as detail.

    ``doing`` is the subject of the sentence ("The model").  Where ``model`` is given, the innermost
    module that was running is named.  Raise the result outside of the ``except`` block: the
    original would keep every tensor of the failed call alive.
    """
    where = _where(error.__traceback__, model) if model is not None else ""
    if _is_out_of_memory(error):
        sentence = f"{doing} ran out of memory{where}: use a smaller shape. ({spoken(error)})"
    else:
        sentence = f"{doing} raised {spoken(error)}{where}."
    return ModelError(sentence, _detail(error))


def spoken(error: BaseException) -> str:
    """Class and first line of an exception, whatever its own ``__str__`` does.

    A first line that ends in a colon only announces the second one.
    """
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - a person's exception may fail to describe itself
        lines = []
    shown = lines[:2] if lines and lines[0].rstrip().endswith(":") else lines[:1]
    text = " ".join(line.strip() for line in shown).rstrip(".")
    text = text if len(text) <= 300 else text[:299] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # Its class settles that it can be asked for its text.
    return type(error) is RuntimeError and any(sign in str(error) for sign in _OUT_OF_MEMORY)


def _where(trace: TracebackType | None, model: nn.Module | None) -> str:
    """`` in PATH (CLASS)`` of the innermost module among the frames, as far as it can be told."""
    innermost: nn.Module | None = None
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if issubclass(type(owner), nn.Module):
            innermost = owner
        trace = trace.tb_next
    if innermost is None or model is None:
        return ""
    kind = type(innermost).__name__
    path = next((path for path, module in modules_of(model) if module is innermost), None)
    return f" in {path} ({kind})" if path else f" in {kind}"


def _detail(error: BaseException) -> str:
    """The traceback without our frames, and without torch's where others are left."""
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if not frame.filename.startswith(_OURS)]
    theirs = [frame for frame in frames if not frame.filename.startswith(_TORCH)]
    lines = traceback.format_list(theirs or frames)
    return "".join([*lines, *traceback.format_exception_only(type(error), error)])
