"""Edits on the command line, carried out in the order in which they stand."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from inspector_app.cli.opening import resolved
from inspector_app.cli.output import TerminalJob
from inspector_app.cli.parser import Options, add_in_order
from inspector_app.protocol.errors import RequestError

if TYPE_CHECKING:
    from inspector_app.backend.session import Session
    from inspector_app.protocol import messages as m

_OPTIONS = (
    ("freeze", "PATTERN", "stop gradients (requires_grad False)"),
    ("unfreeze", "PATTERN", "let gradients flow again"),
    ("hold", "PATTERN", "hold running statistics: set these norm layers to eval mode"),
    ("release", "PATTERN", "set these norm layers back to train mode"),
    ("init", "PATTERN=SCHEME", "initialise, e.g. 'head=normal_(std=0.02)'"),
    ("requires-grad", "FILE", "set requires_grad as noted in a file exported before"),
)


@dataclass(frozen=True)
class Told:
    """What there is to say of edits that were carried out."""

    refused: list[m.Refusal]
    notes: list[str]


def add_edits(parser: Options) -> None:
    """``--freeze`` and the like; ``chosen.edits`` keeps their order."""
    add_in_order(parser, "edits", _OPTIONS)


def read_edits(chosen: argparse.Namespace) -> list[tuple[str, str, m.Scheme | None]]:
    """Kind, pattern or file, and scheme of each edit; raises RequestError before anything runs."""
    from inspector_app.protocol.schemes import parse_scheme

    edits: list[tuple[str, str, m.Scheme | None]] = []
    for kind, text in chosen.edits:
        if kind == "init":
            pattern, equals, scheme = text.partition("=")
            if not equals or not pattern:
                raise RequestError(
                    f"--init takes PATTERN=SCHEME, for example head=zeros_; got {text}."
                )
            edits.append((kind, pattern, parse_scheme(scheme)))
        elif text == "" and kind == "requires-grad":
            raise RequestError("--requires-grad is empty: name a file.")
        elif kind == "requires-grad":
            edits.append((kind, resolved(text), None))
        elif text == "":  # an unset shell variable must not mean everything
            raise RequestError(f'--{kind} has an empty pattern; "*" means everything.')
        else:
            edits.append((kind, text, None))
    return edits


def carry_out(session: Session, edits: list[tuple[str, str, m.Scheme | None]], seed: int) -> Told:
    """Carry the edits out, one after the other."""
    from inspector_app.protocol import messages as m

    job = TerminalJob()
    done: list[m.Edited] = []
    for kind, text, scheme in edits:
        if kind == "requires-grad":
            done.append(session.apply_requires_grad(text, job=job))
            continue
        selection = m.Selection(patterns=[text])
        if scheme is not None:
            done.append(session.initialize(selection, scheme, seed=seed, job=job))
        elif kind in ("hold", "release"):
            done.append(session.hold_statistics(selection, kind == "hold", job=job))
        else:
            done.append(session.freeze(selection, kind == "freeze", job=job))
    return Told(
        refused=[refusal for edited in done for refusal in edited.refused],
        notes=list(dict.fromkeys(note for edited in done for note in edited.notes)),
    )


def print_told(output: TextIO, told: Told) -> None:
    """Notes and refusals for a terminal."""
    for note in told.notes:
        output.write(f"note: {note}\n")
    for refusal in told.refused:
        output.write(f"not edited: {', '.join(refusal.examples)} ({refusal.reason})\n")
