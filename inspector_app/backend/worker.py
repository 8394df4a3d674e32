"""The worker process: one session, served to the window that started it.

Start protocol: the parent writes one JSON line to stdin, ``{"token": hex, "socket": path or ""}``,
and reads one JSON line from stdout, ``{"address": ..., "version": ...}``.  The parent keeps stdin
open; its end means that the parent is gone, and the worker goes too.  What a model prints never
meets this conversation: before any of it runs, file descriptor 1 becomes a copy of stderr and
file descriptor 0 reads nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
from typing import BinaryIO


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the parent's stdin and stdout for ourselves."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, errors="backslashreplace")
    return requests, answers


def _leave_with(parent: BinaryIO) -> None:
    """End this process when the parent is gone, whatever the model is doing."""
    with contextlib.suppress(OSError):
        while parent.read(4096):
            pass
    os._exit(0)


def main() -> None:
    """Serve until the parent goes."""
    requests, answers = _take_over_streams()
    faulthandler.enable()
    # Ctrl+C in the window's terminal is the window's affair; it then closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start = json.loads(requests.readline())
    threading.Thread(
        target=_leave_with, args=(requests,), name="inspector-parent", daemon=True
    ).start()

    from inspector_app import __version__
    from inspector_app.backend.jobs import ThreadExecutor
    from inspector_app.backend.server import Server
    from inspector_app.backend.session import Session

    executor = ThreadExecutor()
    server = Server(Session(), executor, bytes.fromhex(start["token"]))
    address = server.start(start["socket"])
    answers.write(json.dumps({"address": address, "version": __version__}).encode() + b"\n")
    answers.close()
    executor.run_forever()
