"""``verify``: whether a file is what was written."""

from __future__ import annotations

import argparse
from typing import TextIO

from inspector_app.cli.opening import check_state_options, open_with_state, resolved
from inspector_app.cli.output import DONE, FAILED, TerminalJob, print_result
from inspector_app.cli.parser import Commands, add_command, add_json, add_opening, add_state
from inspector_app.protocol.errors import RequestError


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(commands, "verify", "check that an exported file is what was written")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--against", metavar="TARGET", help="compare with a model bit by bit")
    add_json(parser, "print the report as JSON")
    add_state(parser)
    add_opening(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Check it; the exit code says whether it is."""
    from inspector_app.backend.session import Session

    check_state_options(chosen)
    if not chosen.against:
        if chosen.arg:
            raise RequestError("--arg belongs to the factory that --against names; there is none.")
        if chosen.state:
            raise RequestError("--state belongs to the model that --against names; there is none.")
    file = resolved(chosen.file) if chosen.against else chosen.file
    session = open_with_state(chosen, chosen.against).session if chosen.against else Session()
    report = session.verify(file, against="." if chosen.against else "", job=TerminalJob())
    code = DONE if report.ok else FAILED
    if chosen.json:
        print_result(output, report)
        return code
    verdict = "verified" if report.ok else "NOT verified"
    words = "equal to" if report.ok else "compared with"
    compared = f", {words} {report.against}" if report.against else ""
    output.write(
        f"{report.path}: {verdict}, {report.tensors:,} tensors, {report.bytes:,} bytes"
        f"{compared}\nsha256 {report.sha256}\n"
    )
    if report.recorded != "absent":
        output.write(f"recorded hash {report.recorded}\n")
    for difference in report.differences:
        about = f"{difference.name}: " if difference.name else ""  # else the file as a whole
        output.write(f"{about}{difference.what}\n")
    return code
