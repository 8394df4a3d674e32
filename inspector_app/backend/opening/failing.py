"""What a person's code raised while their target was opened, as one sentence."""

from __future__ import annotations

import importlib
import os
import traceback

from inspector_app.backend.failures import spoken
from inspector_app.protocol.errors import TargetError

_OURS = os.path.dirname(os.path.abspath(__file__))
_MACHINERY = ("<frozen importlib", "<frozen runpy", os.path.dirname(importlib.__file__))


def _theirs(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the person's code and what it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        frame
        for frame in frames
        if not frame.filename.startswith(_OURS) and not frame.filename.startswith(_MACHINERY)
    ]


def _detail(error: BaseException) -> str:
    """The traceback without our frames and without those of the import machinery."""
    lines = traceback.format_list(_theirs(error))
    head = ["Traceback (most recent call last):\n"] if lines else []
    return "".join([*head, *lines, *traceback.format_exception_only(type(error), error)])


def failed(error: BaseException, doing: str, own_folder: str, hint: str = "") -> TargetError:
    """A sentence with the innermost line of the person's own code, in ``own_folder``.

    ``doing`` is the subject of the sentence, ``hint`` says what to do.
    """
    if isinstance(error, SyntaxError) and error.filename:
        where, what = f"{error.filename}, line {error.lineno}", f"SyntaxError: {error.msg}"
    else:
        frames = _theirs(error)
        own = [frame for frame in frames if frame.filename.startswith(own_folder)] or frames
        where = f"{own[-1].filename}, line {own[-1].lineno}" if own else ""
        what = spoken(error)
    if isinstance(error, SystemExit):
        what = f"it ended the program (sys.exit({error.code!r})); let it return the model instead"
    if isinstance(error, ModuleNotFoundError) and error.name:
        what += f" (install '{error.name}' where this program runs, or correct the import)"
    sentence = f"{doing} failed{' in ' + where if where else ''}: {what}".rstrip(".")
    return TargetError(f"{sentence}{': ' + hint if hint else ''}.", _detail(error))
