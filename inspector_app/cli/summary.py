"""``summary``: the tree and its totals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TextIO

from inspector_app.cli.opening import open_with_state
from inspector_app.cli.output import DONE, plain, print_json, table
from inspector_app.cli.parser import Commands, add_command, add_json, add_opening, add_state
from inspector_app.protocol.errors import RequestError

if TYPE_CHECKING:
    from inspector_app.protocol import messages as m


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(commands, "summary", "print the tree and its totals")
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--depth", type=int, metavar="N", help="levels below the root to print")
    add_json(parser)
    add_state(parser)
    add_opening(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Print it."""
    if chosen.depth is not None and chosen.depth < 0:
        raise RequestError("--depth is a number of levels, 0 or more.")
    target = open_with_state(chosen, chosen.target)
    session, trust = target.session, target.opened.trust
    if chosen.json:
        more = {"trust": plain(trust)} if trust else {}
        state = {"state": plain(target.plan)} if target.plan else {}
        summary = session.summary_json(depth=chosen.depth)
        print_json(output, {**summary, "notes": target.notes, **more, **state})
        return DONE
    text = session.summary_text(depth=chosen.depth)
    output.write(text)
    for note in target.notes:
        if note not in text:
            output.write(f"note: {note}\n")
    if trust is not None:
        output.write("\n".join(_trust_lines(trust, chosen.target)) + "\n")
    return DONE


def _trust_lines(trust: m.Trust, target: str) -> list[str]:
    """What loading the file as Python does would import, and how to ask for it."""
    known = {True: "torch or the standard library", False: "not known to be harmless"}
    # What a person must judge comes first.
    ordered = sorted(trust.imports, key=lambda one: (one.known, one.name))
    rows = [(one.name, known[one.known]) for one in ordered]
    lines = ["Loading it as a model would import:"]
    lines += [f"  {line}" for line in table(("name", ""), rows)[1:]]
    if trust.source:
        lines.append(f"It carries the source of {', '.join(trust.source)}.")
    return [*lines, f"Where you trust it: inspector-app summary {target} --trust"]
