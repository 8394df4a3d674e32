"""What a test leaves behind: threads, processes, sockets, Qt threads, timers and windows.

In the spirit of napari's fixtures: a leak is named with what it is and, for what Qt starts, with
the line that started it.  Nothing here imports Qt or torch; what was never imported cannot leak.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE = 2.0  # seconds that something which is ending already may take

_PROCESS = Path("/proc/self")


def threads() -> dict[Any, str]:
    """Running threads that would keep the program from ending."""
    return {
        thread: f"thread {thread.name!r} is still running"
        for thread in threading.enumerate()
        if not thread.daemon
    }


def processes() -> dict[Any, str]:
    """Children of this process, those included that ended but were never waited for."""
    found: dict[Any, str] = {}
    for children in _PROCESS.glob("task/*/children"):
        for pid in _read(children).split():
            command = _read(Path("/proc", pid, "cmdline")).replace("\0", " ").strip()
            if "resource_tracker" not in command:  # multiprocessing keeps one for good
                found[pid] = f"process {pid} ({command or 'ended, not waited for'})"
    return found


def sockets() -> dict[Any, str]:
    """Open sockets of this process."""
    found: dict[Any, str] = {}
    with os.scandir(_PROCESS / "fd") as entries:
        for entry in entries:
            try:
                link = os.readlink(entry.path)
            except OSError:  # the descriptor of the scan itself
                continue
            if link.startswith("socket:"):
                found[link] = f"{link} is open as descriptor {entry.name}"
    return found


def windows() -> dict[Any, str]:
    """Top-level widgets, shown or not; what has a parent is its parent's affair."""
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return {}
    return {
        widget: f"top-level widget {type(widget).__name__}({widget.windowTitle()!r})"
        for widget in widgets.QApplication.topLevelWidgets()
        if widget.parentWidget() is None
        and type(widget).__name__ != "QTipLabel"  # Qt's own, kept for the next tooltip
    }


SOURCES = (threads, processes, sockets, windows)


def snapshot() -> set[Any]:
    """All that is there now."""
    return {thing for source in SOURCES for thing in source()}


class Started:
    """Qt threads and timers started since, each with the line that started it."""

    def __init__(self) -> None:
        self._started: list[tuple[weakref.ref[Any], str]] = []

    def note(self, thing: Any) -> None:
        """Remember a timer or thread that starts now."""
        place = traceback.extract_stack(limit=3)[0]
        self._started.append((weakref.ref(thing), f"{place.filename}:{place.lineno}"))

    def running(self) -> list[str]:
        """Those that still run."""
        found = []
        for reference, place in self._started:
            thing = reference()
            if thing is None or not sys.modules["shiboken6"].isValid(thing):
                continue
            if thing.isRunning() if hasattr(thing, "isRunning") else thing.isActive():
                found.append(f"{type(thing).__name__} started at {place}")
        return found


@contextmanager
def watch_starts() -> Iterator[Started]:
    """Note every QThread and QTimer that Python starts, where Qt is loaded."""
    started = Started()
    core = sys.modules.get("PySide6.QtCore")
    replaced = [] if core is None else [(kind, kind.start) for kind in (core.QThread, core.QTimer)]
    for kind, start in replaced:
        kind.start = _noting(started, start)
    try:
        yield started
    finally:
        for kind, start in replaced:
            kind.start = start


def _noting(started: Started, start: Callable[..., None]) -> Callable[..., None]:
    def noted(self: Any, *arguments: Any) -> None:
        started.note(self)
        start(self, *arguments)

    return noted


def leaks(before: set[Any], started: Started) -> list[str]:
    """What came since ``before`` and is still there, after all that is due to end has ended."""
    found = _look(before, started)
    deadline = time.monotonic() + GRACE
    while found and time.monotonic() < deadline:
        gc.collect()  # a widget in a cycle of references is no leak
        found = _look(before, started)
        time.sleep(0.02)
    return found


def _look(before: set[Any], started: Started) -> list[str]:
    core = sys.modules.get("PySide6.QtCore")
    if core is not None and core.QCoreApplication.instance() is not None:
        core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete)
    found = [told for source in SOURCES for thing, told in source().items() if thing not in before]
    return found + started.running()


def hooks(model: Any) -> list[str]:
    """Hooks on a torch model or any module below it, as "class: kind"; survives cycles."""
    found = []
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if module is None or id(module) in seen:
            continue
        seen.add(id(module))
        waiting += module.__dict__["_modules"].values()
        for kind, registered in module.__dict__.items():
            if kind.endswith("_hooks") and registered:
                found += [f"{type(module).__name__}: {kind}"] * len(registered)
    return sorted(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended while we looked
        return ""
