"""Commands: each registered once; menus, toolbars, shortcuts and their help derive from that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QIcon, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar, QWidget

from widgets.icons import icon

SEPARATOR = "-"
_PORTABLE = QKeySequence.SequenceFormat.PortableText
_NATIVE = QKeySequence.SequenceFormat.NativeText


@dataclass(frozen=True)
class Command:
    """Something a person can ask for.

    ``id`` is dotted ("edit.freeze"); ``text`` as in menus ("&Freeze"); ``icon`` the name of an
    icon or ""; ``shortcut`` portable key names ("Ctrl+O"), several separated by "; ", or "";
    ``help`` one sentence that says what it does.
    """

    id: str
    text: str
    icon: str = ""
    shortcut: str = ""
    help: str = ""
    checkable: bool = False
    short: str = ""  # for toolbars, where the text in menus is too long

    @property
    def plain_text(self) -> str:
        """The text without the mark of its access key and the dots of a dialog."""
        marked = self.text.replace("&&", "\0").replace("&", "").replace("\0", "&")
        return marked.removesuffix("…").removesuffix("...")


class Submenu(NamedTuple):
    """A menu within a menu; ``title`` as in menus ("&Copy"), ``icon`` a name or ""."""

    title: str
    icon: str
    entries: tuple[str, ...]


Entry = str | Submenu
"""What a menu holds: the id of a command, :data:`SEPARATOR`, or a menu."""


def ids_in(entries: Iterable[Entry]) -> list[str]:
    """Ids of all commands in a menu and in those within it."""
    ids: list[str] = []
    for entry in entries:
        if isinstance(entry, Submenu):
            ids += ids_in(entry.entries)
        elif entry != SEPARATOR:
            ids.append(entry)
    return ids


class Shortcut(NamedTuple):
    """One line of the help page and of README's table."""

    section: str
    text: str
    keys: str
    help: str


class CommandRegistry(QObject):
    """All commands of a window, and their actions."""

    def __init__(self, window: QWidget) -> None:
        """``window`` owns the actions: their shortcuts work wherever its focus is."""
        super().__init__(window)
        self._window = window
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, QAction] = {}

    def register(self, command: Command, run: Callable[..., object]) -> QAction:
        """Add a command; ``run`` is called with the check mark where the command has one.

        Raises ValueError where the id, or one of the shortcuts, is taken.
        """
        if command.id in self._commands:
            raise ValueError(f"the command {command.id!r} is registered twice")
        portable = QKeySequence.SequenceFormat.PortableText
        # Qt reads "" as one empty sequence.
        keys = QKeySequence.listFromString(command.shortcut, portable) if command.shortcut else []
        for other in self._actions.values():
            for key in keys:
                if key in other.shortcuts():
                    raise ValueError(
                        f"{key.toString()} is a shortcut of {other.objectName()!r} too"
                    )
        action = QAction(command.text, self._window)
        action.setObjectName(command.id)
        action.setIconText(command.short or command.plain_text)
        action.setCheckable(command.checkable)
        action.setShortcuts(keys)
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        if command.icon:
            action.setIcon(icon(command.icon))
        if command.checkable:
            action.triggered.connect(lambda checked: run(checked))
        else:
            action.triggered.connect(lambda: run())
        self._window.addAction(action)
        self._commands[command.id] = command
        self._actions[command.id] = action
        self._explain(command, "")
        return action

    def action(self, command_id: str) -> QAction:
        """The action of a command; raises KeyError where none has that id."""
        return self._actions[command_id]

    def command(self, command_id: str) -> Command:
        """A command by its id; raises KeyError where none has it."""
        return self._commands[command_id]

    @property
    def commands(self) -> list[Command]:
        """All commands, in the order they were registered."""
        return list(self._commands.values())

    def set_enabled(self, command_id: str, enabled: bool, reason: str = "") -> None:
        """Enable a command, or disable it; the tooltip then gives the reason."""
        self._actions[command_id].setEnabled(enabled)
        self._explain(self._commands[command_id], "" if enabled else reason)

    def set_checked(self, command_id: str, checked: bool) -> None:
        """Show a state that changed elsewhere; the command is not run."""
        self._actions[command_id].setChecked(checked)

    def fill(self, bar: QMenu | QToolBar, entries: Iterable[Entry]) -> None:
        """Add commands to a menu or toolbar; :data:`SEPARATOR` draws a line."""
        for entry in entries:
            if isinstance(entry, Submenu):
                below = self.menu(entry.title, entry.entries, bar)
                below.setIcon(icon(entry.icon) if entry.icon else QIcon())
                bar.addAction(below.menuAction())
            elif entry == SEPARATOR:
                bar.addSeparator()
            else:
                bar.addAction(self._actions[entry])

    def menu(self, title: str, entries: Iterable[Entry], parent: QWidget | None = None) -> QMenu:
        """A menu, also for a right click."""
        menu = QMenu(title, parent or self._window)
        menu.setToolTipsVisible(True)
        self.fill(menu, entries)
        return menu

    def menu_bar(self, bar: QMenuBar, menus: Mapping[str, Iterable[Entry]]) -> list[QMenu]:
        """All menus of a menu bar, by their titles."""
        filled = [self.menu(title, entries, bar) for title, entries in menus.items()]
        for menu in filled:
            bar.addMenu(menu)
        return filled

    def shortcuts(self) -> list[Shortcut]:
        """(section, text, keys, help) of every command that has keys, as people press them here."""
        return [
            Shortcut(_section(command), command.plain_text, self._keys(command), command.help)
            for command in self._commands.values()
            if command.shortcut
        ]

    def _keys(self, command: Command) -> str:
        return QKeySequence.listToString(self._actions[command.id].shortcuts(), _NATIVE)

    def _explain(self, command: Command, reason: str) -> None:
        action = self._actions[command.id]
        keys = f" ({self._keys(command)})" if command.shortcut else ""
        lines = [command.plain_text + keys, command.help, reason]
        action.setToolTip("\n".join(line for line in lines if line))
        action.setStatusTip(reason or command.help)


def _section(command: Command) -> str:
    """The first part of the id: "Edit" for "edit.freeze"."""
    return command.id.partition(".")[0].replace("_", " ").capitalize()
