"""Menus and toolbar of the main window, derived from the command registry."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QMainWindow, QMenu, QToolBar

from inspector_app.gui.command_list import MENUS, THEMES, TOOLBAR
from inspector_app.gui.commands import CommandRegistry
from widgets.icons import icon
from widgets.theme import GRID


def fill_menu_bar(
    window: QMainWindow,
    registry: CommandRegistry,
    samples: list[str],
    open_sample: Callable[[str], None],
    recent: QMenu,
) -> None:
    """All menus, with samples and recent targets below File, the themes below View."""
    menus = dict(zip(MENUS, registry.menu_bar(window.menuBar(), {**MENUS}), strict=True))
    file_menu, view_menu = menus["&File"], menus["&View"]
    sample_menu = QMenu("Open &sample", window)
    sample_menu.setObjectName("sampleMenu")
    sample_menu.setIcon(icon("sample"))
    for name in samples:
        action = sample_menu.addAction(name)
        action.setObjectName(f"sample.{name}")
        action.triggered.connect(lambda _=False, name=name: open_sample(name))
    second = file_menu.actions()[1]
    file_menu.insertMenu(second, recent)
    file_menu.insertMenu(second, sample_menu)
    theme_menu = registry.menu("&Theme", [command.id for command in THEMES.values()], window)
    theme_menu.setIcon(icon("contrast"))
    view_menu.addMenu(theme_menu)


def add_tool_bar(window: QMainWindow, registry: CommandRegistry) -> QToolBar:
    """The toolbar, which stays where it is."""
    bar = window.addToolBar("Commands")
    bar.setObjectName("toolBar")
    bar.setMovable(False)
    bar.setIconSize(QSize(2 * GRID, 2 * GRID))
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
    registry.fill(bar, TOOLBAR)
    return bar
