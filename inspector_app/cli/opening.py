"""Opening the target of a command, and laying a checkpoint onto it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from inspector_app.cli.output import TerminalJob, table
from inspector_app.protocol.errors import RefusedError, RequestError

if TYPE_CHECKING:
    from inspector_app.backend.session import Session
    from inspector_app.protocol import messages as m

_SHOWN = 20  # differences on stderr; the command "state" prints all

_KINDS = {
    "missing": "not in the file",
    "unexpected": "not in the model",
    "shape": "other shape",
    "dtype": "other dtype",
    "value": "cannot be held",
}


class Target:
    """An open target, the answer to its opening, and what was laid onto it."""

    def __init__(
        self,
        session: Session,
        opened: m.Opened,
        plan: m.StatePlan | None = None,
        loaded: m.Edited | None = None,
    ) -> None:
        self.session = session
        self.opened = opened
        self.plan = plan  # how the checkpoint lay on the model before it was loaded
        self.notes = [*opened.notes, *(loaded.notes if loaded else [])]


def resolved(path: str) -> str:
    """A path as it is meant now: a factory may change the current folder."""
    return os.path.join(os.getcwd(), os.path.expanduser(path))


def factory_arguments(chosen: argparse.Namespace) -> dict[str, Any]:
    """What ``--arg`` gives; raises RequestError."""
    from inspector_app.protocol.factory_arguments import parse_argument

    return dict(parse_argument(text) for text in chosen.arg)


def open_session(chosen: argparse.Namespace, target: str) -> Target:
    """Open ``target`` as the options say, and nothing more."""
    from inspector_app.backend.session import Session

    session = Session()
    opened = session.open(
        target,
        arguments=factory_arguments(chosen),
        device=chosen.device,
        seed=chosen.seed,
        trusted=chosen.trust,
        job=TerminalJob(),
    )
    return Target(session, opened)


def open_with_state(chosen: argparse.Namespace, target: str) -> Target:
    """Open ``target`` and load the checkpoint that ``--state`` names.

    Where it does not fit wholly the differences go to stderr, and without ``--fit`` RefusedError is
    raised and nothing has been loaded.
    """
    check_state_options(chosen)
    state = resolved(chosen.state) if chosen.state else ""
    found = open_session(chosen, target)
    if not chosen.state:
        return found
    session, job = found.session, TerminalJob()
    plan = session.plan_state(state, chosen.prefix, job=job)
    if not plan.complete:
        lines = difference_lines(plan, _SHOWN)
        more = len(plan.differences) - _SHOWN
        if more > 0:
            lines.append(f"... and {more:,} more: inspector-app state TARGET FILE shows all")
        print("\n".join(lines), file=sys.stderr)
        if not chosen.fit:
            count = len(plan.differences)
            keys = "1 key" if count == 1 else f"{count:,} keys"
            cure = "It is of another model."
            if plan.fits:
                cure = f"--fit loads what fits: {plan.fits:,} of {plan.tensors:,} tensors."
            raise RefusedError(
                f"{chosen.state} differs from the model in {keys}, so nothing was loaded. {cure}"
            )
    loaded = session.load_state(state, chosen.prefix, fit=chosen.fit, job=job)
    return Target(session, found.opened, plan, loaded)


def check_state_options(chosen: argparse.Namespace) -> None:
    """Raise RequestError where an option says something about a checkpoint that is not given."""
    if chosen.state == "":
        raise RequestError("--state is empty: name a checkpoint.")
    for option in ("fit", "prefix"):
        given = getattr(chosen, option)
        if chosen.state is None and given is not None and given is not False:
            raise RequestError(f"--{option} belongs to --state FILE; there is none.")


def difference_lines(plan: m.StatePlan, limit: int | None = None) -> list[str]:
    """The differences as a table: name, kind, what the model has, what the file has."""
    rows = [
        (one.name, one.sentence or _KINDS[one.kind], one.model or "-", one.file or "-")
        for one in plan.differences[:limit]
    ]
    return table(("name", "difference", "model", "file"), rows)
