"""``window``: the graphical program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inspector_app.cli.opening import factory_arguments
from inspector_app.cli.output import WRONG, complain
from inspector_app.cli.parser import Commands, add_command, add_opening
from inspector_app.protocol.errors import InspectorError, RequestError

_OURS = Path(__file__).resolve().parent.parent.parent


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(commands, "window", "open the window (the word may be left out)")
    parser.add_argument("target", nargs="?", metavar="TARGET")
    parser.add_argument(
        "--tour",
        type=Path,
        metavar="PICTURE",
        help="do the main job by itself, save a screenshot as PICTURE and end",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="compare this checkpoint with the model, and load it where it fits",
    )
    add_opening(parser)


def run(chosen: argparse.Namespace) -> int:
    """Show the window until it is closed."""
    forget_current_folder()
    try:
        arguments = factory_arguments(chosen)
        if chosen.state is not None and not (chosen.target and chosen.state):
            raise RequestError("--state FILE lays a checkpoint onto a model: name TARGET as well.")
    except InspectorError as error:
        complain(error.sentence)
        return WRONG
    if chosen.tour is not None:
        from inspector_app.gui.tour import run_tour

        return run_tour(chosen.target or "sample:resnet", str(chosen.tour))
    from inspector_app.gui import app

    return app.run(
        chosen.target,
        arguments,
        chosen.device,
        chosen.seed,
        state=chosen.state or "",
        trusted=chosen.trust,
    )


def forget_current_folder() -> None:
    """Keep packages in the current folder from shadowing ours; the window needs nothing there."""
    here = Path.cwd()
    if here != _OURS:
        sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
