"""What tests of the whole window do with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector_app.gui import app
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from widgets.theme import ThemeManager


@contextmanager
def real_window(qtbot, qapp, folder: Path) -> Iterator[MainWindow]:
    """The window as the program makes it, with a session that starts real workers."""
    app.make_application()
    before = qapp.palette(), qapp.styleSheet(), qapp.font()
    themes = ThemeManager(qapp, "light")
    window = MainWindow(ClientSession(), Settings(folder / "settings.ini"), themes)
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close_now()
    window.session.deleteLater()
    themes.deleteLater()
    qapp.setPalette(before[0])
    qapp.setStyleSheet(before[1])
    qapp.setFont(before[2])


def settle(qtbot, window) -> None:
    qtbot.waitUntil(lambda: not window.session.pending)


def asked(window, kind) -> list:
    return [request for request in window.session.requests if isinstance(request, kind)]


def trigger(window, name: str) -> None:
    action = window.registry.action(name)
    assert action.isEnabled(), action.toolTip()
    action.trigger()
