"""What the commands of the main window do: each asks the part whose affair it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from inspector_app.gui.panels.about_dialog import AboutDialog
from inspector_app.gui.panels.shortcuts_dialog import ShortcutsDialog
from inspector_app.gui.tree_commands import TREE_KEYS
from inspector_app.gui.watching import watching_commands

if TYPE_CHECKING:
    from inspector_app.gui.main_window import MainWindow

Run = Callable[[], object] | Callable[[bool], object]


def window_commands(window: MainWindow) -> dict[str, Run]:
    """By the id of each command; the parts of the window may be made later."""
    return {
        "file.open": lambda: window.opening.ask_open(),
        "file.attach": lambda: window.ask_attach(),
        "file.load_state": lambda: window.states.ask_load(),
        "file.trust": lambda: window.opening.ask_trust(),
        "file.export": lambda: window.files.ask_export(
            window.selected.rows, window.selected.words()
        ),
        "file.verify": lambda: window.files.ask_verify(),
        "file.quit": window.close,
        **window.edits.commands(lambda: window.selected),
        "edit.copy": lambda: window.selected.copy_rows(),
        "edit.copy_markdown": lambda: window.selected.copy_markdown(),
        "edit.copy_path": lambda: window.selected.copy_paths(),
        "edit.copy_name": lambda: window.selected.copy_names(),
        "edit.copy_cell": lambda: window.selected.copy_cell(),
        "edit.copy_script": lambda: window.files.copy_script(),
        "edit.find": lambda: window.tree_panel.focus_filter(),
        "edit.find_next": lambda: window.tree_panel.go_to_match(1),
        "edit.find_previous": lambda: window.tree_panel.go_to_match(-1),
        **watching_commands(lambda: window.watching),
        "model.capture_output": lambda: window.capturing.capture(window.selected.rows, "output"),
        "model.capture_gradient": lambda: window.capturing.capture(
            window.selected.rows, "gradient"
        ),
        "model.capture_step": lambda: window.capturing.ask_step(window.selected.rows),
        "model.run_once": lambda: window.live.run(1),
        "model.run_repeatedly": lambda: window.live.run(0),
        "model.stop": lambda: window.live.stop(),
        "model.inputs": lambda: window.live.ask_inputs(),
        "training.pause": lambda stand: window.training.pause(stand),
        "training.step": lambda: window.training.step(),
        "model.restart": lambda: window.supervision.restart(),
        "model.output": lambda: window.supervision.show_output(),
        "view.expand": lambda: window.tree_panel.expand_below(window.selected.rows, True),
        "view.collapse": lambda: window.tree_panel.expand_below(window.selected.rows, False),
        "view.live": _of_its_dock,
        "view.history": _of_its_dock,
        "help.filter": lambda: window.tree_panel.show_help(),
        "help.shortcuts": lambda: window.show_dialog(
            ShortcutsDialog([*window.registry.shortcuts(), *TREE_KEYS], window)
        ),
        "help.about": lambda: window.show_dialog(AboutDialog(window)),
    }


def _of_its_dock(_: bool) -> None:
    """Showing and hiding a dock is carried out by :class:`inspector_app.gui.docks.Docks`."""
