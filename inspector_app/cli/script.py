"""``script``: edits as a Python script in plain torch."""

from __future__ import annotations

import argparse
from typing import TextIO

from inspector_app.cli.edits import add_edits, carry_out, read_edits
from inspector_app.cli.opening import open_with_state
from inspector_app.cli.output import DONE, complain, print_result
from inspector_app.cli.parser import (
    PATTERNS,
    TARGETS,
    Commands,
    add_command,
    add_json,
    add_opening,
    add_state,
)


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(
        commands,
        "script",
        "print a script in plain torch that makes the same edits",
        f"{TARGETS}\n{PATTERNS}",
    )
    parser.add_argument("target", metavar="TARGET")
    add_edits(parser)
    add_json(parser)
    add_state(parser)
    add_opening(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Make the edits and print the script; what it cannot do goes to stderr."""
    edits = read_edits(chosen)
    target = open_with_state(chosen, chosen.target)
    told = carry_out(target.session, edits, chosen.seed)
    script = target.session.get_script()
    if chosen.json:
        print_result(output, script)
        return DONE
    output.write(script.text)
    for note in [*told.notes, *script.notes]:
        complain(f"note: {note}")
    return DONE
