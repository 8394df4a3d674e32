"""The plotting library, imported beside the event loop before the first plot asks for it.

Importing pyqtgraph takes 0.7 s, which would hold up the window's start, or freeze it later.
Whoever imports a widget that plots calls :func:`ready` first: two threads must not import the
library at the same time, since it imports itself in circles.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from threading import Thread, current_thread

_thread: Thread | None = None


def prepare(then: Callable[[], object] = lambda: None) -> None:
    """Begin to import; ``then`` is called in that thread once it is done."""
    global _thread
    if _thread is None:
        _thread = Thread(target=_import, args=(then,), name="plotting", daemon=True)
        _thread.start()


def ready() -> None:
    """Wait until an import that has begun is over."""
    if _thread is not None and _thread is not current_thread():
        _thread.join()


def _import(then: Callable[[], object]) -> None:
    import_module("pyqtgraph")
    then()
