"""The compiled loops of :mod:`inspector_app.backend.probing.loops`, once they are ready.

numba is no dependency: ``pip install inspector-app[fast]`` brings it.  To compile takes seconds, in
which no other thread gets on: so a process of its own does it, and leaves the code in numba's
cache, from where it is read in a moment.  Until then, and for ever where that fails (no numba, no
place that can be written), numpy does the same in several passes.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import threading
from types import ModuleType

from inspector_app.starting import python_command

_LOOPS = "inspector_app.backend.probing.loops"
_COMPILE = f"""
import faulthandler, importlib, sys
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
importlib.import_module("{_LOOPS}").compile_all()
"""
_LONGEST = 600.0  # seconds after which the process that compiles ends itself, also without us
_lock = threading.Lock()
_thread: threading.Thread | None = None
_ready: ModuleType | None = None


def loops() -> ModuleType | None:
    """The compiled loops; None where they are not ready."""
    return _ready


def prepare() -> threading.Thread:
    """Get the loops ready in a thread that ends when they are, or will never be; begun once."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_prepare, name="inspector-compiling", daemon=True)
            _thread.start()
        return _thread


def _prepare() -> None:
    global _ready
    try:
        if importlib.util.find_spec("numba") is None or not _compiled_elsewhere():
            return
        found = importlib.import_module(_LOOPS)
        found.compile_all()
    except Exception:  # noqa: BLE001 - it may be impossible in more ways than can be listed
        return
    _ready = found


def _compiled_elsewhere() -> bool:
    """Whether another process could compile the loops, and keep them."""
    quiet = subprocess.DEVNULL
    done = subprocess.run(
        python_command(_COMPILE, str(_LONGEST)),
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,  # Ctrl+C is meant for the training
        check=False,
    )
    return done.returncode == 0
