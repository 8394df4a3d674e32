"""Starts the real program, and answers from inside of it where things stand on the screen.

``python -m tests.end_to_end.guided SOCKET [ARGUMENTS OF inspector-app]``.  Nothing of the program
is replaced: mouse and keys come from the X server, and what is asked here only reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import sys
import threading
from typing import Any

from PySide6.QtCore import QObject, QRect, Qt, Signal
from PySide6.QtWidgets import QApplication, QMenu, QMenuBar, QTabBar, QToolButton, QWidget

from inspector_app.cli import main
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.models.tree_model import RowTreeModel
from widgets.tree_painter import freeze_box


def centre(widget: QWidget, rect: QRect) -> list[int]:
    place = widget.mapToGlobal(rect.center())
    return [place.x(), place.y()]


def window() -> MainWindow | None:
    shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)]
    return shown[0] if shown else None


def find_widget(name: str) -> list[int] | None:
    """Centre of an enabled, visible widget by its object name."""
    for top in QApplication.topLevelWidgets():
        for widget in [top, *top.findChildren(QWidget, name)]:
            if widget.objectName() == name and widget.isVisible() and widget.isEnabled():
                return centre(widget, widget.rect())
    return None


def find_command(name: str) -> list[int] | None:
    """Centre of a tool button or an entry of an open menu, by the command's id."""
    for top in QApplication.topLevelWidgets():
        for menu in [top, *top.findChildren(QMenu)]:
            if isinstance(menu, QMenu) and menu.isVisible():
                for action in menu.actions():
                    if action.objectName() == name and action.isEnabled():
                        return centre(menu, menu.actionGeometry(action))
        for button in top.findChildren(QToolButton):
            action = button.defaultAction()
            if action is not None and action.objectName() == name and button.isVisible():
                return centre(button, button.rect()) if button.isEnabled() else None
    return None


def find_tab(name: str, title: str) -> list[int] | None:
    """Centre of a tab by the name of its bar and the beginning of its title."""
    for top in QApplication.topLevelWidgets():
        for bar in top.findChildren(QTabBar, name):
            for number in range(bar.count()):
                if bar.isVisible() and bar.tabText(number).startswith(title):
                    return centre(bar, bar.tabRect(number))
    return None


def find_menu(text: str) -> list[int] | None:
    """Centre of a title in the menu bar, or of a submenu in an open menu."""
    for top in QApplication.topLevelWidgets():
        for bar in [top, *top.findChildren(QWidget)]:
            if isinstance(bar, QMenuBar | QMenu) and bar.isVisible():
                for action in bar.actions():
                    if action.text().replace("&", "").startswith(text) and action.menu():
                        return centre(bar, bar.actionGeometry(action))
    return None


def find_row(path: str, part: str) -> list[int] | None:
    """Centre of a visible row's name, or of its freeze box."""
    main_window = window()
    if main_window is None:
        return None
    view, model = main_window.tree_panel.view, main_window.tree_model
    if path not in model.table.paths:
        return None
    row = int(model.table.ids[model.table.paths.index(path)])
    rect = view.visualRect(model.index_of(row))
    if not rect.isValid() or not view.viewport().rect().contains(rect.center()):
        return None
    if part == "box":
        rect = freeze_box(rect)
    elif part == "arrow":
        return centre(view.viewport(), QRect(rect.left() - 16, rect.top(), 16, rect.height()))
    else:
        rect = QRect(rect.left() + 60, rect.top(), 20, rect.height())
    return centre(view.viewport(), rect)


def state() -> dict[str, Any]:
    """What a person can read off the window."""
    main_window = window()
    if main_window is None or not main_window.isVisible():
        return {}
    model: RowTreeModel = main_window.tree_model
    table = model.table
    active = QApplication.activeModalWidget() or QApplication.activeWindow()
    boxes = {}
    for position in range(len(table)):
        if table.parent[position] <= 0:
            with contextlib.suppress(LookupError):
                boxes[table.path(position)] = model.sums.freeze_state(position)
    loop = main_window.training.state
    return {
        "title": main_window.windowTitle(),
        "worker": main_window.session.state,
        "process": os.getpid(),
        "notice": main_window.notices.text,
        "rows": len(table),
        "filter": main_window.tree_panel.status.text(),
        "selected": main_window.selected.paths,
        "boxes": boxes,
        "history": [(e.title, e.done) for e in main_window.history_model.entries],
        "step": loop.step if loop is not None else 0,
        "held": loop is not None and loop.held,
        "view": main_window.live_panel.views.view.title,
        "records": main_window.live_panel.views.store.next,
        "watched": sorted(main_window.live.watched),
        "forwards": main_window.live.forwards,
        "running": main_window.live.running,
        "dialog": active.objectName() if active is not None else "",
        "torch": "torch" in sys.modules,
        "size": [main_window.width(), main_window.height()],
        "clipboard": QApplication.clipboard().text(),
    }


ANSWERS = {
    "widget": find_widget,
    "command": find_command,
    "menu": find_menu,
    "tab": find_tab,
    "row": find_row,
    "state": state,
}


class Guide(QObject):
    """Takes questions from a socket's thread to Qt's."""

    asked = Signal(object, object)

    def __init__(self, path: str) -> None:
        super().__init__()
        self.asked.connect(self._answer, Qt.ConnectionType.QueuedConnection)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _answer(self, question: list[Any], answers: queue.Queue[Any]) -> None:
        name, *arguments = question
        try:
            answers.put(ANSWERS[name](*arguments))
        except Exception as error:  # noqa: BLE001 - the test tells
            answers.put({"error": repr(error)})

    def _serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                for line in stream:
                    answers: queue.Queue[Any] = queue.Queue()
                    self.asked.emit(json.loads(line), answers)
                    stream.write(json.dumps(answers.get()) + "\n")
                    stream.flush()


if __name__ == "__main__":
    guide = Guide(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
