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

TOKEN = "ab" * 32  # of sessions that nobody listens for


@contextmanager
def shown_window(qtbot, qapp, folder: Path, session: ClientSession) -> Iterator[MainWindow]:
    """The window as the program makes it, with settings in ``folder``."""
    app.make_application()
    before = qapp.palette(), qapp.styleSheet(), qapp.font()
    themes = ThemeManager(qapp, "light")
    window = MainWindow(session, Settings(folder / "settings.ini"), themes)
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close_now()
    themes.deleteLater()
    qapp.setPalette(before[0])
    qapp.setStyleSheet(before[1])
    qapp.setFont(before[2])


@contextmanager
def real_window(qtbot, qapp, folder: Path) -> Iterator[MainWindow]:
    """That window with a session that starts real workers."""
    session = ClientSession()
    with shown_window(qtbot, qapp, folder, session) as window:
        yield window
    session.deleteLater()


def settle(qtbot, window) -> None:
    qtbot.waitUntil(lambda: not window.session.pending)


def asked(window, kind) -> list:
    return [request for request in window.session.requests if isinstance(request, kind)]


def trigger(window, name: str) -> None:
    action = window.registry.action(name)
    assert action.isEnabled(), action.toolTip()
    action.trigger()
