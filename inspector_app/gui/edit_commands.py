"""Commands that edit the model: freezing, holding statistics, initialising."""

from __future__ import annotations

from collections.abc import Callable

from inspector_app.gui.commands import SEPARATOR, Command, Entry, Submenu
from inspector_app.protocol.presets import INITIAL, PRESETS

FREEZE_READY = {
    pattern: Command(
        f"edit.freeze_{info.name}",
        f"&{info.title.capitalize()}…",
        "",
        "",
        info.summary,
    )
    for pattern, info in PRESETS.items()
}
"""By pattern: each opens the dialog with this ready selection filled in."""

EDITING = (
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
    *FREEZE_READY.values(),
    Command(
        "edit.freeze_pattern",
        "Freeze by &pattern or class…",
        "filter",
        "Ctrl+Shift+F",
        "Freeze or unfreeze a ready selection, a class, or all rows whose path matches.",
    ),
    Command(
        "edit.hold",
        "&Hold statistics",
        "lock",
        "H",
        "Set the selected layers with running statistics to eval mode, so that these stay.",
    ),
    Command(
        "edit.release",
        "&Let statistics move",
        "unlock",
        "Shift+H",
        "Set the selected layers with running statistics to train mode.",
    ),
    Command(
        "edit.initialize",
        "&Initialise…",
        "initialize",
        "I",
        "Write new values into the parameters of the selected rows.",
    ),
    Command(
        "edit.initialize_initial",
        "Initialise what is s&till initial…",
        "",
        "",
        "Write new values into what a checkpoint that was laid on has not written.",
    ),
)

FREEZE_MENU = Submenu(
    "Freeze &all of", "freeze", tuple(command.id for command in FREEZE_READY.values())
)
EDITING_MENU: tuple[Entry, ...] = (
    "edit.undo",
    "edit.redo",
    SEPARATOR,
    "edit.freeze",
    "edit.unfreeze",
    FREEZE_MENU,
    "edit.freeze_pattern",
    SEPARATOR,
    "edit.hold",
    "edit.release",
    SEPARATOR,
    "edit.initialize",
    "edit.initialize_initial",
)

_ALL_LOADED = "No checkpoint was laid on that left rows at their initial value."


def edit_reasons(
    lost: str, none: str, refused: Callable[[str, str], str], initial: int
) -> dict[str, str]:
    """Why each command but undo and redo cannot be carried out; "" where it can.

    ``lost``: why nothing can be asked; ``none``: that, or that nothing is selected; ``refused``
    gives the target's own reason for an operation, after one that comes before; ``initial``: rows
    still at their initial value.
    """
    freeze, initialize = refused("freeze", lost), refused("initialize", lost)
    still_initial = "" if initial else _ALL_LOADED
    blocked = {command.id: freeze for command in FREEZE_READY.values()}
    blocked[FREEZE_READY[INITIAL].id] = freeze or still_initial
    return blocked | {
        "edit.freeze": refused("freeze", none),
        "edit.unfreeze": refused("freeze", none),
        "edit.freeze_pattern": freeze,
        "edit.hold": refused("freeze", none),
        "edit.release": refused("freeze", none),
        "edit.initialize": refused("initialize", none),
        "edit.initialize_initial": initialize or still_initial,
    }
