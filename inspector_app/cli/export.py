"""``export``: edits, then a verified file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal, TextIO

from inspector_app.cli.edits import Told, add_edits, carry_out, print_told, read_edits
from inspector_app.cli.opening import open_with_state, resolved
from inspector_app.cli.output import DONE, FAILED, TerminalJob, plain, print_result
from inspector_app.cli.parser import (
    PATTERNS,
    TARGETS,
    Commands,
    add_command,
    add_in_order,
    add_json,
    add_opening,
    add_state,
)
from inspector_app.protocol.errors import RequestError

if TYPE_CHECKING:
    from inspector_app.protocol import messages as m

_NAMED = 5  # keys named on one line
_DTYPES = ("float64", "float32", "float16", "bfloat16")
_RENAMES = (
    ("remove-prefix", "P", "keys that begin with P are written without it"),
    ("add-prefix", "P", "keys are written with P before them"),
    ("rename", "OLD=NEW", "keys that begin with OLD are written with NEW instead"),
)
_TIES: dict[str, Literal["every name", "alias"]] = {"all": "every name", "alias": "alias"}


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(
        commands,
        "export",
        "write a verified state_dict as safetensors or for torch.load",
        f"{TARGETS}\n{PATTERNS}\n"
        "Edits are made in the order in which they stand, after --state; of the renaming options\n"
        "the first that fits a key is carried out.",
    )
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("out", metavar="OUT", help="the file to write")
    add_edits(parser.add_argument_group("edits"))
    keys = parser.add_argument_group("what is written")
    keys.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="write these keys only"
    )
    keys.add_argument(
        "--skip", action="append", default=[], metavar="PATTERN", help="leave these keys out"
    )
    keys.add_argument(
        "--trainable", action="store_true", help="only parameters that are not frozen"
    )
    keys.add_argument(
        "--dtype", choices=_DTYPES, default="", help="of all floating-point tensors in the file"
    )
    add_in_order(keys, "renames", _RENAMES)
    how = parser.add_argument_group("how it is written")
    how.add_argument(
        "--format",
        choices=("safetensors", "torch"),
        default="safetensors",
        help="torch: a state_dict for torch.load",
    )
    how.add_argument(
        "--shard-size",
        metavar="SIZE",
        help="at most this much in a file (2GB, 500MiB), with an index beside the files",
    )
    how.add_argument(
        "--ties",
        choices=tuple(_TIES),
        default="all",
        help="a tied tensor under all its names (default), or once with a note of the others",
    )
    how.add_argument(
        "--from-disk", action="store_true", help="compare with the disk itself, past the page cache"
    )
    how.add_argument(
        "--no-proof", action="store_true", help="do not try the file on a freshly built model"
    )
    add_json(parser, "print the report as JSON")
    add_state(parser)
    add_opening(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Edit, write, compare and report; the exit code says whether a fresh model takes the file."""
    edits = read_edits(chosen)
    options = _options(chosen)
    out = resolved(chosen.out) if chosen.out else ""
    target = open_with_state(chosen, chosen.target)
    told = carry_out(target.session, edits, chosen.seed)
    told = Told(told.refused, list(dict.fromkeys(target.notes + told.notes)))
    report = target.session.export(out, options, job=TerminalJob())
    code = FAILED if report.proof.state == "failed" else DONE
    if chosen.json:
        notes = list(dict.fromkeys(told.notes + report.notes))
        state = {"state": plain(target.plan)} if target.plan else {}
        print_result(output, report, **state, refused=plain(told.refused), notes=notes)
        return code
    files = f" in {len(report.files):,} files" if len(report.files) > 1 else ""
    output.write(
        f"{report.path}: {report.tensors:,} tensors, {report.bytes:,} bytes{files}, written and "
        f"compared bit by bit in {report.seconds:.1f} s\nsha256 {report.sha256}\n"
    )
    if report.proof.sentence:
        output.write(f"{report.proof.sentence}\n")
    for file in report.files[1:]:
        output.write(f"file: {file}\n")
    for tie in report.ties:
        output.write(f"tied: {', '.join(tie.names)} ({tie.kept})\n")
    for line in _left_out_lines(report.left_out):
        output.write(f"left out: {line}\n")
    for note in report.notes:
        output.write(f"note: {note}\n")
    print_told(output, told)
    return code


def _left_out_lines(left_out: list[m.LeftOut]) -> list[str]:
    """Keys that are not in the file by reason, the first of many; ``--json`` has them all."""
    reasons: dict[str, list[str]] = {}
    for one in left_out:
        reasons.setdefault(one.reason, []).append(one.name)
    lines = []
    for reason, names in reasons.items():
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        lines.append(f"{', '.join(names[:_NAMED])}{more} ({reason})")
    return lines


def _options(chosen: argparse.Namespace) -> m.ExportOptions:
    """What the call says of the file; raises RequestError."""
    from inspector_app.protocol import messages as m
    from inspector_app.protocol.sizes import parse_size

    for option in ("only", "skip"):
        if "" in getattr(chosen, option):  # an unset shell variable must not mean everything
            raise RequestError(f'--{option} has an empty pattern; "*" means everything.')
    return m.ExportOptions(
        format=chosen.format,
        only=m.Selection(patterns=chosen.only) if chosen.only else None,
        skip=chosen.skip,
        trainable=chosen.trainable,
        dtype=chosen.dtype,
        renames=[_rename(kind, text) for kind, text in chosen.renames],
        shard_bytes=parse_size(chosen.shard_size) if chosen.shard_size is not None else 0,
        ties=_TIES[chosen.ties],
        from_disk=chosen.from_disk,
        prove=not chosen.no_proof,
    )


def _rename(kind: str, text: str) -> m.Rename:
    from inspector_app.protocol import messages as m

    if kind == "rename":
        old, equals, new = text.partition("=")
        if not equals or not old:
            raise RequestError(f"--rename takes OLD=NEW, for example backbone.=body.; got {text}.")
        return m.Rename(old=old, new=new)
    if not text:
        raise RequestError(f"--{kind} is empty: name the beginning of keys.")
    return m.Rename(old=text) if kind == "remove-prefix" else m.Rename(old="", new=text)
