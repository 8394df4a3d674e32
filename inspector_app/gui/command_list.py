"""All commands of the main window, where they stand, and when they can be carried out."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector_app.gui.commands import SEPARATOR, Command, Entry
from inspector_app.gui.edit_commands import EDITING, EDITING_MENU, edit_reasons
from inspector_app.gui.tree_commands import (
    COLUMNS_MENU,
    COPY_MENU,
    COPYING,
    FILTER_HELP,
    FINDING,
    SORT_MENU,
    tree_reasons,
)
from inspector_app.gui.watch_commands import (
    WATCHING,
    WATCHING_CONTEXT,
    WATCHING_MENU,
    watch_reasons,
)
from inspector_app.protocol.messages import ProbeKind
from widgets.theme import CHOICES

COMMANDS = (
    Command("file.open", "&Open…", "open", "Ctrl+O", "Open a model or a checkpoint."),
    Command(
        "file.attach",
        "&Attach to training…",
        "live",
        "Ctrl+Shift+A",
        "Join the session of a training process that runs.",
    ),
    Command(
        "file.load_state",
        "&Load state…",
        "import",
        "Ctrl+L",
        "Compare a checkpoint with the open model and lay its values on.",
    ),
    Command(
        "file.trust",
        "&Trust and load…",
        "trust",
        "",
        "Unpickle the open file as Python does, after a look at what that would run.",
    ),
    Command(
        "file.export",
        "&Export state_dict…",
        "export",
        "Ctrl+E",
        "Write a checkpoint, read it back and compare it bit by bit.",
    ),
    Command(
        "file.verify",
        "&Verify files…",
        "verify",
        "Ctrl+Shift+V",
        "Check files against the hashes they record and against the open model.",
    ),
    Command("file.quit", "&Quit", "quit", "Ctrl+Q", "Close the window and end its process."),
    *EDITING,
    *COPYING,
    Command(
        "edit.copy_script",
        "Cop&y as Python",
        "code",
        "Ctrl+Alt+C",
        "Copy the edits as a script in plain torch that does the same.",
    ),
    *FINDING,
    *WATCHING,
    Command("model.run_once", "&Run once", "run", "F5", "Run one forward, or one train step."),
    Command(
        "model.run_repeatedly",
        "Run re&peatedly",
        "run-repeat",
        "F6",
        "Run forwards, or train, until stopped.",
    ),
    Command("model.stop", "&Stop", "stop", "Shift+F5", "Stop after the step under way."),
    Command(
        "training.pause",
        "&Pause training",
        "pause",
        "F7",
        "Let the training loop stand at its next safe point, or go on.",
        checkable=True,
        short="Pause",
    ),
    Command(
        "training.step",
        "Train one s&tep",
        "step",
        "F8",
        "Let the training loop make one step and stand again.",
        short="One step",
    ),
    Command(
        "model.inputs",
        "Run settin&gs…",
        "settings",
        "Ctrl+I",
        "Choose the data, and whether the model runs forwards or is trained.",
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
    FILTER_HELP,
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

MENUS: dict[str, tuple[Entry, ...]] = {
    "&File": (
        "file.open",
        "file.attach",
        SEPARATOR,
        "file.load_state",
        "file.trust",
        SEPARATOR,
        "file.export",
        "file.verify",
        SEPARATOR,
        "file.quit",
    ),
    "&Edit": (
        *EDITING_MENU,
        SEPARATOR,
        COPY_MENU,
        "edit.copy_script",
        SEPARATOR,
        *(command.id for command in FINDING),
    ),
    "&Model": (
        *WATCHING_MENU,
        SEPARATOR,
        "model.run_once",
        "model.run_repeatedly",
        "model.stop",
        "model.inputs",
        SEPARATOR,
        "training.pause",
        "training.step",
        SEPARATOR,
        "model.restart",
        "model.output",
    ),
    "&View": (
        "view.expand",
        "view.collapse",
        SEPARATOR,
        COLUMNS_MENU,
        SORT_MENU,
        SEPARATOR,
        "view.live",
        "view.history",
        SEPARATOR,
    ),
    "&Help": ("help.filter", "help.shortcuts", "help.about"),
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
LOOP_BAR = (
    "training.pause",
    "training.step",
    SEPARATOR,
    "model.unwatch_all",
)
CONTEXT = (
    "edit.freeze",
    "edit.unfreeze",
    "edit.initialize",
    SEPARATOR,
    "edit.hold",
    "edit.release",
    SEPARATOR,
    *WATCHING_CONTEXT,
    SEPARATOR,
    "file.export",
    SEPARATOR,
    COPY_MENU,
    "view.expand",
    "view.collapse",
)
_LOST = "The model's process has ended: restart it first."
_LEFT = "The process that was attached has ended, or has left: start it again and attach to it."
_BY_ITSELF = (
    "This process runs by itself, so it is not started from here: start it again where you did, "
    "then attach to it."
)
_NO_LOOP = "No training loop is attached."


@dataclass(frozen=True)
class Situation:
    """What decides which commands can be carried out."""

    is_open: bool = False
    is_lost: bool = False  # the target has no process
    attached: bool = False  # that process is not the window's own
    disabled: dict[str, str] = field(default_factory=dict)  # operation -> reason, of the target
    selected: int = 0
    selected_modules: int = 0
    selected_watchable: int = 0
    selected_watched: int = 0
    watched: int = 0
    matches: int = 0  # rows that the filter found
    unmeasured: dict[ProbeKind, str] = field(default_factory=dict)  # kinds, and why not
    running: bool = False
    training: bool = False  # a training loop is attached
    initial: int = 0  # rows that a checkpoint which was laid on has not written
    undo_title: str = ""
    redo_title: str = ""
    can_trust: bool = False  # a pickled model is open that was not unpickled
    dead_end: str = ""  # why the newest edit cannot be undone


def reasons(now: Situation) -> dict[str, str]:
    """Why each command cannot be carried out; "" where it can."""
    gone = "" if now.is_open else "Nothing is open."
    ended = _LEFT if now.attached else _LOST
    lost = gone or (ended if now.is_lost else "")
    none = lost or ("" if now.selected else "Select rows of the tree first.")

    def refused(operation: str, before: str) -> str:
        return before or now.disabled.get(operation, "")

    run = refused("run", lost) or ("The model is running." if now.running else "")
    loop = refused("pause", lost or ("" if now.training else _NO_LOOP))
    undo = now.dead_end or ("" if now.undo_title else "There is no edit to undo.")
    trust = "" if now.can_trust else "Only a file with a pickled model asks for trust."
    editing = edit_reasons(lost, none, refused, now.initial)
    watching = watch_reasons(
        lost,
        none,
        refused,
        modules=now.selected_modules,
        watchable=now.selected_watchable,
        selected_watched=now.selected_watched,
        watched=now.watched,
        matches=now.matches,
        unmeasured=now.unmeasured,
    )
    return (
        tree_reasons(gone, now.selected, now.matches)
        | editing
        | watching
        | {
            "file.load_state": refused("load", lost),
            "file.trust": lost or trust,
            "file.export": refused("export", lost),
            "file.verify": lost,
            "edit.undo": lost or undo,
            "edit.redo": lost or ("" if now.redo_title else "There is no edit to redo."),
            "edit.copy_script": refused("freeze", lost),
            "model.run_once": run,
            "model.run_repeatedly": run,
            "model.stop": lost or ("" if now.running else "The model is not running."),
            "training.pause": loop,
            "training.step": loop,
            "model.inputs": refused("run", lost),
            "model.restart": gone or (_BY_ITSELF if now.attached else ""),
            "view.expand": gone,
            "view.collapse": gone,
        }
    )
