"""All commands of the main window, where they stand, and when they can be carried out."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector_app.gui.commands import SEPARATOR, Command
from widgets.theme import CHOICES

COMMANDS = (
    Command("file.open", "&Open…", "open", "Ctrl+O", "Open a model or a checkpoint."),
    Command(
        "file.export",
        "&Export state_dict…",
        "export",
        "Ctrl+E",
        "Write a safetensors file, read it back and compare it bit by bit.",
    ),
    Command(
        "file.verify",
        "&Verify a file…",
        "verify",
        "Ctrl+Shift+V",
        "Check a file against the hash it records and against the open model.",
    ),
    Command("file.quit", "&Quit", "quit", "Ctrl+Q", "Close the window and end its process."),
    Command("edit.undo", "&Undo", "undo", "Ctrl+Z", "Take back the newest edit."),
    Command("edit.redo", "&Redo", "redo", "Ctrl+Shift+Z; Ctrl+Y", "Carry out an edit again."),
    Command(
        "edit.freeze", "&Freeze", "freeze", "F", "Stop training the rows selected and all below."
    ),
    Command(
        "edit.unfreeze",
        "Unf&reeze",
        "unfreeze",
        "Shift+F",
        "Train the rows selected and all below.",
    ),
    Command(
        "edit.freeze_pattern",
        "Freeze by &pattern…",
        "filter",
        "Ctrl+Shift+F",
        "Freeze or unfreeze all rows whose path matches.",
    ),
    Command(
        "edit.initialize",
        "&Initialise…",
        "initialize",
        "I",
        "Write new values into the parameters of the selected rows.",
    ),
    Command(
        "edit.copy_path",
        "&Copy path",
        "copy",
        "Ctrl+Shift+C",
        "Copy the paths of the rows selected.",
    ),
    Command("edit.find", "Fi&nd", "search", "Ctrl+F", "Filter the tree by path."),
    Command("model.watch", "&Watch", "watch", "W", "Draw what the selected modules put out."),
    Command(
        "model.watch_leaves",
        "Watch &leaves below",
        "watch",
        "Shift+W",
        "Watch all modules below the selection that have none below them.",
    ),
    Command("model.unwatch", "&Unwatch", "", "U", "Stop watching the selected modules."),
    Command("model.unwatch_all", "Unwatch &all", "close", "Shift+U", "Stop watching everything."),
    Command("model.run_once", "&Run once", "run", "F5", "Run one forward with the example inputs."),
    Command(
        "model.run_repeatedly", "Run re&peatedly", "run-repeat", "F6", "Run forwards until stopped."
    ),
    Command("model.stop", "&Stop", "stop", "Shift+F5", "Stop after the forward under way."),
    Command(
        "model.inputs",
        "E&xample inputs…",
        "settings",
        "Ctrl+I",
        "Choose the inputs that the model runs with.",
    ),
    Command(
        "model.restart",
        "Res&tart and replay",
        "restart",
        "",
        "Open the same target in a new process and carry out the edits again.",
    ),
    Command("model.output", "Show &output", "info", "", "Show what the model's process printed."),
    Command("view.expand", "&Expand below", "expand", "Ctrl+Right", "Open all rows below."),
    Command("view.collapse", "&Collapse below", "collapse", "Ctrl+Left", "Close all rows below."),
    Command("view.live", "&Live panel", "live", "", "Show or hide the live panel.", checkable=True),
    Command("view.history", "&History", "history", "", "Show or hide the edits.", checkable=True),
    Command("help.shortcuts", "&Keyboard shortcuts", "keyboard", "F1", "List all keys."),
    Command("help.about", "&About Model Inspector", "info", "", "Tell what this program is."),
)

_THEME_ICONS = {"system": "system", "light": "light", "dark": "dark", "high contrast": "contrast"}
THEMES = {
    choice: Command(
        f"view.theme_{choice.replace(' ', '_')}",
        f"&{choice.capitalize()}",
        _THEME_ICONS[choice],
        "",
        "Follow the desktop." if choice == "system" else f"Use the {choice} theme.",
        checkable=True,
    )
    for choice in CHOICES
}

MENUS: dict[str, tuple[str, ...]] = {
    "&File": ("file.open", SEPARATOR, "file.export", "file.verify", SEPARATOR, "file.quit"),
    "&Edit": (
        "edit.undo",
        "edit.redo",
        SEPARATOR,
        "edit.freeze",
        "edit.unfreeze",
        "edit.freeze_pattern",
        "edit.initialize",
        SEPARATOR,
        "edit.copy_path",
        "edit.find",
    ),
    "&Model": (
        "model.watch",
        "model.watch_leaves",
        "model.unwatch",
        "model.unwatch_all",
        SEPARATOR,
        "model.run_once",
        "model.run_repeatedly",
        "model.stop",
        "model.inputs",
        SEPARATOR,
        "model.restart",
        "model.output",
    ),
    "&View": ("view.expand", "view.collapse", SEPARATOR, "view.live", "view.history", SEPARATOR),
    "&Help": ("help.shortcuts", "help.about"),
}
TOOLBAR = (
    "file.open",
    "file.export",
    SEPARATOR,
    "edit.undo",
    "edit.redo",
    SEPARATOR,
    "edit.freeze",
    "edit.unfreeze",
    "edit.initialize",
    SEPARATOR,
    "model.watch",
    "model.watch_leaves",
)
LIVE_BAR = (
    "model.run_once",
    "model.run_repeatedly",
    "model.stop",
    SEPARATOR,
    "model.unwatch_all",
    SEPARATOR,
    "model.inputs",
)
CONTEXT = (
    "edit.freeze",
    "edit.unfreeze",
    "edit.initialize",
    SEPARATOR,
    "model.watch",
    "model.watch_leaves",
    "model.unwatch",
    SEPARATOR,
    "file.export",
    SEPARATOR,
    "edit.copy_path",
    "view.expand",
    "view.collapse",
)
_LOST = "The model's process has ended: restart it first."
_MODULE = "Select a module first: only modules can be watched."


@dataclass(frozen=True)
class Situation:
    """What decides which commands can be carried out."""

    is_open: bool = False
    is_lost: bool = False  # the target has no process
    disabled: dict[str, str] = field(default_factory=dict)  # operation -> reason, of the target
    selected: int = 0
    selected_modules: int = 0
    selected_watched: int = 0
    watched: int = 0
    running: bool = False
    undo_title: str = ""
    redo_title: str = ""
    dead_end: str = ""  # why the newest edit cannot be undone


def reasons(now: Situation) -> dict[str, str]:
    """Why each command cannot be carried out; "" where it can."""
    gone = "" if now.is_open else "Nothing is open."
    lost = gone or (_LOST if now.is_lost else "")
    none = lost or ("" if now.selected else "Select rows of the tree first.")

    def refused(operation: str, before: str) -> str:
        return before or now.disabled.get(operation, "")

    watch = refused("watch", none)
    run = refused("run", lost) or ("The model is running." if now.running else "")
    undo = now.dead_end or ("" if now.undo_title else "There is no edit to undo.")
    return {
        "file.export": refused("export", lost),
        "file.verify": lost,
        "edit.undo": lost or undo,
        "edit.redo": lost or ("" if now.redo_title else "There is no edit to redo."),
        "edit.freeze": refused("freeze", none),
        "edit.unfreeze": refused("freeze", none),
        "edit.freeze_pattern": refused("freeze", lost),
        "edit.initialize": refused("initialize", none),
        "edit.copy_path": gone or ("" if now.selected else "Select rows of the tree first."),
        "edit.find": gone,
        "model.watch": watch or ("" if now.selected_modules else _MODULE),
        "model.watch_leaves": watch or ("" if now.selected_modules else _MODULE),
        "model.unwatch": watch or ("" if now.selected_watched else "It is not watched."),
        "model.unwatch_all": lost or ("" if now.watched else "Nothing is watched."),
        "model.run_once": run,
        "model.run_repeatedly": run,
        "model.stop": lost or ("" if now.running else "The model is not running."),
        "model.inputs": refused("run", lost),
        "model.restart": gone,
        "view.expand": gone,
        "view.collapse": gone,
    }
