"""The window of a training process: a process of its own, which may die as it likes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

from inspector_app.sessions import TOKEN_VARIABLE
from inspector_app.starting import python_command

_ATTACH = """
from inspector_app.cli import main
sys.exit(main())
"""


def has_display() -> bool:
    """Whether a window could be seen."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(address: str, token: str) -> subprocess.Popen[bytes] | None:
    """Start the window and return at once; None, and a sentence, where that is not possible.

    The token goes by the environment, where no other user sees it.
    """
    attach = f"inspector-app attach {address}"
    if not has_display():
        say(f"there is no display here. Attach a window from another terminal with: {attach}")
        return None
    try:
        process = subprocess.Popen(
            python_command(_ATTACH, "attach", address),
            env={**os.environ, TOKEN_VARIABLE: token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what the script prints stays its own
            start_new_session=True,  # Ctrl+C ends the training, not the window that shows its end
        )
    except (OSError, ValueError) as error:
        say(f"the window could not be started ({error}). Training goes on; attach with: {attach}")
        return None
    # Somebody must wait for it, or it stays behind as a zombie.
    threading.Thread(target=process.wait, name="inspector-window", daemon=True).start()
    return process


def say(sentence: str) -> None:
    """Tell the person on stderr, which is no warning that a program may turn into an error."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # it may be closed
            sys.stderr.write(f"Model Inspector: {sentence}\n")
