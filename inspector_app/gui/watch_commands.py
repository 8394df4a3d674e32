"""Commands that watch rows, and keep what passes through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inspector_app.gui.commands import SEPARATOR, Command, Entry, Submenu
from inspector_app.protocol.messages import ProbeKind

_PRESETS = (
    Command(
        "model.watch_all_leaves",
        "All &leaf modules",
        "",
        "",
        "Watch every module of the model that has none below it.",
    ),
    Command(
        "model.watch_class",
        "All of this &class",
        "",
        "",
        "Watch all modules of the class that is selected.",
    ),
    Command(
        "model.watch_below",
        "Everything &below",
        "",
        "",
        "Watch the selection and all below it that can be watched.",
    ),
    Command(
        "model.watch_found",
        "What the &filter found",
        "",
        "",
        "Watch all rows that the filter above the tree found.",
    ),
    Command(
        "model.watch_pattern",
        "By &pattern or class…",
        "filter",
        "Ctrl+Shift+W",
        "Watch a ready selection, a class, or all rows whose path matches.",
    ),
)
_MEASURED: dict[ProbeKind, tuple[str, str]] = {
    "input": ("&Input", "what goes into modules."),
    "output": ("&Output", "what modules put out."),
    "gradient": ("&Gradient of the output", "the gradients of what modules put out."),
    "value": ("Parameter &value", "parameters after each step of the optimizer."),
    "parameter gradient": ("&Parameter gradient", "gradients of parameters as they accumulate."),
    "optimizer gradient": (
        "Gradient as the optimi&zer sees it",
        "gradients of parameters as they are used: unscaled and clipped.",
    ),
    "update": ("&Update ratio", "how far a step moves parameters, relative to their size."),
}
MEASURED: dict[ProbeKind, Command] = {
    kind: Command(
        f"model.measure_{kind.replace(' ', '_')}",
        text,
        "",
        "",
        f"Measure, of what is watched, {help_text}",
        checkable=True,
    )
    for kind, (text, help_text) in _MEASURED.items()
}
WATCHING = (
    Command("model.watch", "&Watch", "watch", "W", "Draw what the selected modules put out."),
    Command(
        "model.watch_leaves",
        "Watch &leaves below",
        "watch",
        "Shift+W",
        "Watch all modules below the selection that have none below them.",
    ),
    *_PRESETS,
    *MEASURED.values(),
    Command(
        "model.exact",
        "E&xact statistics",
        "",
        "X",
        "Measure all elements of the watched rows selected, not samples.",
        checkable=True,
    ),
    Command("model.unwatch", "&Unwatch", "", "U", "Stop watching the selected modules."),
    Command(
        "model.unwatch_all",
        "Unwatch &all",
        "close",
        "Shift+U",
        "Stop watching everything.",
        short="Unwatch",
    ),
    Command(
        "model.capture_output",
        "&Capture output",
        "",
        "C",
        "Keep the next output of the selected rows as a whole.",
    ),
    Command(
        "model.capture_gradient",
        "Capture &gradient",
        "",
        "Shift+C",
        "Keep the next gradient of the selected rows as a whole.",
    ),
    Command(
        "model.capture_step",
        "Capture at a &step…",
        "",
        "Alt+C",
        "Keep an output or gradient of a step to come as a whole.",
    ),
)

PRESETS_MENU = Submenu("Watch &many", "watch", tuple(command.id for command in _PRESETS))
MEASURED_MENU = Submenu("What is &measured", "", tuple(command.id for command in MEASURED.values()))
WATCHING_MENU: tuple[Entry, ...] = (
    "model.watch",
    "model.watch_leaves",
    PRESETS_MENU,
    MEASURED_MENU,
    "model.exact",
    "model.unwatch",
    "model.unwatch_all",
    SEPARATOR,
    "model.capture_output",
    "model.capture_gradient",
    "model.capture_step",
)
WATCHING_CONTEXT: tuple[Entry, ...] = (
    "model.watch",
    "model.watch_leaves",
    PRESETS_MENU,
    MEASURED_MENU,
    "model.exact",
    "model.unwatch",
    "model.capture_output",
    "model.capture_gradient",
    "model.capture_step",
)

_MODULE = "Select a module first: only modules can be watched."


def watch_reasons(
    lost: str,
    none: str,
    refused: Callable[[str, str], str],
    *,
    modules: int,
    watchable: int,
    selected_watched: int,
    watched: int,
    matches: int,
    unmeasured: Mapping[ProbeKind, str],
) -> dict[str, str]:
    """Why each command cannot be carried out; "" where it can.

    ``lost``, ``none`` and ``refused`` are as those of
    :func:`~inspector_app.gui.edit_commands.edit_reasons`; ``modules``, ``watchable`` and
    ``selected_watched`` count rows of the selection; ``matches`` those that the filter found;
    ``unmeasured`` says of which kinds there is nothing, and why.
    """
    watch, whole = refused("watch", none), refused("watch", lost)
    unwatched = "" if selected_watched else "Watch it first: only what is watched is captured."
    return {
        "model.watch": watch or ("" if watchable else _MODULE),
        "model.watch_leaves": watch or ("" if modules else _MODULE),
        "model.watch_all_leaves": whole,
        "model.watch_class": watch or ("" if modules else _MODULE),
        "model.watch_below": watch,
        "model.watch_found": whole or ("" if matches else "The filter found no row."),
        "model.watch_pattern": whole,
        **{command.id: whole or unmeasured.get(kind, "") for kind, command in MEASURED.items()},
        "model.exact": watch or ("" if selected_watched else "Watch it first."),
        "model.unwatch": watch or ("" if selected_watched else "It is not watched."),
        "model.unwatch_all": lost or ("" if watched else "Nothing is watched."),
        "model.capture_output": watch or unwatched,
        "model.capture_gradient": watch or unwatched,
        "model.capture_step": watch or unwatched,
    }
