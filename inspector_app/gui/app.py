"""The window's process: starts Qt, shows the window at once, and only then a worker."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

from inspector_app import __version__
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import PROGRAM, MainWindow
from inspector_app.gui.settings import Settings
from inspector_app.resources import asset_folder
from widgets import plotting
from widgets.icons import set_icon_folder
from widgets.theme import ThemeManager, install_fonts


def run(
    target: str | None,
    arguments: dict[str, Any],
    device: str = "cpu",
    seed: int = 0,
    state: str = "",
    trusted: bool = False,
) -> int:
    """Show the window, open ``target`` where one is given, and return the exit code.

    ``state`` is a checkpoint that is laid on the target; ``trusted`` unpickles it.
    """

    def open_target(window: MainWindow) -> None:
        if target is not None:
            window.opening.open(target, arguments, device, seed, state, trusted)

    return _show(open_target)


def run_attached(address: str, token: str) -> int:
    """Show the window, join the session at ``address``, and return the exit code.

    ``token``: the session's secret in hexadecimal digits.
    """

    def attach(window: MainWindow) -> None:
        window.session.attach(address, token)

    return _show(attach)


def _show(then: Callable[[MainWindow], None]) -> int:
    """Show the window; ``then`` is called once it can be seen."""
    application = make_application()
    settings = Settings()
    themes = ThemeManager(application, settings.theme)  # type: ignore[arg-type]
    window = MainWindow(ClientSession(), settings, themes)
    with told_of_errors(window), ended_by_interrupt(window):
        after_first_paint(window, lambda: then(window))
        after_first_paint(window, lambda: plotting.prepare(gc.freeze))
        after_first_paint(window, spare_collector)
        window.show()
        return application.exec()


_TYPING = 1000  # milliseconds between letters of one name that is looked for in a list


def make_application() -> QApplication:
    """The application with its name, fonts and icons."""
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("inspector-app")
    application.setApplicationDisplayName("")  # the window's title says it already
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("inspector-app")
    application.setKeyboardInputInterval(_TYPING)
    install_fonts(asset_folder("fonts"))
    set_icon_folder(asset_folder("icons"))
    return application


class _FirstPaint(QObject):
    """Calls back once, after the first time a window was painted."""

    def __init__(self, window: MainWindow, then: Callable[[], None]) -> None:
        super().__init__(window)
        self._window = window
        self._then = then
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() == QEvent.Type.Paint:
            self._window.removeEventFilter(self)
            QTimer.singleShot(0, self._window, self._then)
            self.deleteLater()
        return False


def after_first_paint(window: MainWindow, then: Callable[[], None]) -> None:
    """Call ``then`` once the window can be seen: importing torch must not delay that."""
    _FirstPaint(window, then)


def spare_collector() -> None:
    """Leave all that is there by now to the end of the process.

    Modules, classes and the window itself stay as long as the program; looking at them again and
    again takes the collector 20 ms in the middle of a key.
    """
    gc.freeze()


@contextmanager
def told_of_errors(window: MainWindow) -> Iterator[None]:
    """An exception that nobody caught goes to stderr and into the notice bar; the window lives."""

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, where))
        sys.stderr.write(text)
        window.tell(f"A mistake in {PROGRAM} itself: {error}", "danger", text)

    former, sys.excepthook = sys.excepthook, hook
    try:
        yield
    finally:
        sys.excepthook = former


@contextmanager
def ended_by_interrupt(window: MainWindow) -> Iterator[None]:
    """Ctrl+C in the terminal and a polite kill close the window, without a question.

    Python runs a signal's handler only between its own instructions, and while Qt waits there are
    none: a byte written by the signal itself wakes Qt up.
    """
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    notifier = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read)
    notifier.activated.connect(lambda: reader.recv(64))
    signals = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda *_: window.close_now()) for number in signals}
    waking = signal.set_wakeup_fd(writer.fileno())
    try:
        yield
    finally:
        signal.set_wakeup_fd(waking)
        for number, handler in former.items():
            signal.signal(number, handler)
        notifier.setEnabled(False)
        reader.close()
        writer.close()
