"""The window of a training process: a process of its own, which may die as it likes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from inspector_app.sessions import TOKEN_VARIABLE


def has_display() -> bool:
    """Whether a window could be seen."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(address: str, token: str) -> subprocess.Popen[bytes] | None:
    """Start the window and return at once; None, and a sentence, where there is no display."""
    if not has_display():
        sys.stderr.write(
            "Model Inspector: there is no display here. Attach a window from another terminal "
            f"with: inspector-app attach {address}\n"
        )
        return None
    environment = {**os.environ, TOKEN_VARIABLE: token}
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            [sys.executable, "-m", "inspector_app", "attach", address],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C ends the training, not the window that shows its end
        )
    sys.stderr.write("Model Inspector: the window could not be started; training goes on.\n")
    return None
