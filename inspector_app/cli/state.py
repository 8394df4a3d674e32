"""``state``: how a checkpoint lies on a model, with nothing loaded."""

from __future__ import annotations

import argparse
from typing import TextIO

from inspector_app.cli.opening import difference_lines, open_session, resolved
from inspector_app.cli.output import DONE, FAILED, TerminalJob, print_result
from inspector_app.cli.parser import Commands, add_command, add_json, add_opening, add_prefix


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(commands, "state", "compare a checkpoint with a model; load nothing")
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("file", metavar="FILE", help="the checkpoint")
    add_prefix(parser)
    add_json(parser)
    add_opening(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Print the differences; the exit code says whether there are any."""
    file = resolved(chosen.file)
    session = open_session(chosen, chosen.target).session
    plan = session.plan_state(file, chosen.prefix, job=TerminalJob())
    code = DONE if plan.complete else FAILED
    if chosen.json:
        print_result(output, plan, complete=plan.complete)
        return code
    output.write(
        f"{chosen.file}: {plan.matching:,} of {plan.tensors:,} tensors of {chosen.target} match\n"
    )
    if not plan.complete:
        count = len(plan.differences)
        output.write(f"{count:,} difference{'s' * (count > 1)}; --state with --fit loads ")
        output.write(f"{plan.fits:,} tensor{'s' * (plan.fits != 1)}\n")
        output.write("\n".join(difference_lines(plan)) + "\n")
    if plan.requires_grad:
        output.write(
            f"note: the requires_grad that the file notes differs in {plan.requires_grad:,} "
            "parameters\n"
        )
    for note in plan.notes:
        output.write(f"note: {note}\n")
    return code
