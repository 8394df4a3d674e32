"""``attach``: the window of a model that trains, or stands, in another process."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import getpass
import sys
from datetime import datetime

from inspector_app.cli.output import DONE, INTERRUPTED, WRONG, complain, print_json, table
from inspector_app.cli.parser import Commands, add_command, add_json
from inspector_app.cli.window import forget_current_folder
from inspector_app.protocol.errors import InspectorError, RequestError
from inspector_app.sessions import (
    TOKEN_VARIABLE,
    SessionEntry,
    running_sessions,
    token_of,
    where_looked,
)

_ADDRESSES = f"""\
ADDRESS is one of
  1234                 the id of the process that trains
  unix:/path/socket    where a session listens, as the list shows it
  tcp:127.0.0.1:PORT   the same through an SSH tunnel: ssh -L PORT:/path/socket HOST
Without it the only session is taken; where there are several, they are listed.
A session of another machine asks for its token: the line in the file 'token' beside its socket.
It may also come from stdin or from {TOKEN_VARIABLE}."""
_NONE = (
    "No session runs here: call inspector_app.watch(model, optimizer) in the training script, "
    "or name the address of one elsewhere."
)


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(
        commands, "attach", "open the window of a model in another process", _ADDRESSES
    )
    parser.add_argument("address", nargs="?", metavar="ADDRESS")
    add_json(parser, "print the running sessions as one JSON object, and attach to none")


def run(chosen: argparse.Namespace) -> int:
    """Attach a window until it is closed, or list what there is to attach to."""
    try:
        found = _meant(chosen.address)
        if chosen.json:
            entries = [dataclasses.asdict(entry) for entry in found]
            print_json(sys.stdout, {"sessions": entries})
            return DONE
        if chosen.address is None and len(found) != 1:
            if not found:
                raise RequestError(f"{_NONE} {where_looked()}")
            print("\n".join(_listed(found)))
            print("\nAttach to one of them with: inspector-app attach ADDRESS")
            return DONE
        address = found[0].address if len(found) == 1 else _checked(chosen.address, found)
        return _attached(address, token_of(address) or _asked_for(address))
    except InspectorError as error:
        complain(error.sentence)
        return WRONG
    except KeyboardInterrupt:  # at the question for the token
        complain("interrupted")
        return INTERRUPTED


def _meant(address: str | None) -> list[SessionEntry]:
    """The sessions of this machine that an address may mean; all of them where there is none."""
    entries = running_sessions()
    if address is None:
        return entries
    if address.isdecimal():
        return [entry for entry in entries if entry.process == int(address)]
    return [entry for entry in entries if entry.address == address]


def _checked(address: str, found: list[SessionEntry]) -> str:
    """An address that is in no list, or a process with several sessions; raises RequestError."""
    if address.isdecimal():
        if found:
            places = ", ".join(entry.address for entry in found)
            raise RequestError(f"Process {address} has several sessions: name one of {places}.")
        raise RequestError(f"Process {address} has no session that you could attach to.")
    kind, _, place = address.partition(":")
    host, _, port = place.rpartition(":")
    if kind == "unix" and place:
        return address
    if kind == "tcp" and host and port.isdecimal():
        if host in ("127.0.0.1", "localhost"):
            return f"tcp:127.0.0.1:{port}"
        raise RequestError(
            f"{address} is on another machine: only this one is spoken with. Make a tunnel, as in "
            f"ssh -L 7000:127.0.0.1:{port} {host}, and attach to tcp:127.0.0.1:7000."
        )
    raise RequestError(
        f"'{address}' is no address: it is unix:/path/socket, tcp:127.0.0.1:PORT or a process id."
    )


def _listed(entries: list[SessionEntry]) -> list[str]:
    """The sessions as lines of a table."""
    rows = [
        (
            entry.title,
            f"{entry.rank} of {entry.ranks}" if entry.ranks > 1 else "",
            str(entry.process),
            f"{datetime.fromtimestamp(entry.started):%Y-%m-%d %H:%M:%S}",
            entry.address,
        )
        for entry in entries
    ]
    return table(("title", "rank", "process", "since", "address"), rows)


def _asked_for(address: str) -> str:
    """The token as somebody types it, or from a pipe; raises RequestError where nobody does."""
    token = ""
    if sys.stdin is None:
        pass  # as under pythonw
    elif sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            token = getpass.getpass(f"Token of {address}: ")
    else:
        token = sys.stdin.readline()
    token = token.strip()
    if not token:
        raise RequestError(
            f"The token of {address} is not known here: it is the line in the file 'token' beside "
            f"the session's socket. Give it on stdin, or in {TOKEN_VARIABLE}."
        )
    return token


def _attached(address: str, token: str) -> int:
    """Show the window until it is closed."""
    try:
        if len(bytes.fromhex(token)) != 32:
            raise ValueError
    except ValueError:
        raise RequestError(
            f"The token given for {address} is none: a token has 64 hexadecimal digits."
        ) from None
    forget_current_folder()
    try:
        from inspector_app.gui import app
    except ImportError as error:
        raise RequestError(f"The window cannot be shown here: {error}.") from None
    return app.run_attached(address, token)
