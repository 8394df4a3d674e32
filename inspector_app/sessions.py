"""Where the sessions of running training processes are found on this machine.

Each session has a folder of its own below one that only its user may enter, with the socket it
listens on, its token, and a few words about it.  Needs neither torch nor Qt: the training process
writes it, the window and the command line read it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from inspector_app.protocol.errors import RequestError

_ABOUT = "about.json"
_TOKEN = "token"
TOKEN_VARIABLE = "INSPECTOR_TOKEN"


@dataclass(frozen=True)
class SessionEntry:
    """One session that can be attached to."""

    address: str
    title: str
    process: int
    started: float  # seconds since 1970
    rank: int = 0
    ranks: int = 1
    folder: str = ""
    group: int = 0  # the same for all ranks of one training: the process that started them


def sessions_folder() -> Path:
    """The folder of all sessions of this user; made where it is not there.

    Raises RequestError where somebody else owns it or could enter it.
    """
    home = os.environ.get("XDG_RUNTIME_DIR")
    if home and os.path.isdir(home):
        folder = Path(home) / "model-inspector"
    else:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        folder = Path(tempfile.gettempdir()) / f"model-inspector-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        about = folder.stat()
        if about.st_uid != os.getuid() or about.st_mode & 0o077:
            raise RequestError(
                f"{folder} can be entered by others, so no session is kept in it: remove it, or "
                "set XDG_RUNTIME_DIR to a folder of your own."
            )
    return folder


def make_folder() -> Path:
    """A new folder for one session."""
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=sessions_folder()))


def announce(folder: Path, entry: SessionEntry, token: str) -> None:
    """Let others find a session; the words about it come last, when all else is there."""
    descriptor = os.open(folder / _TOKEN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    draft = folder / f"{_ABOUT}.draft"
    draft.write_text(json.dumps(asdict(entry)))
    draft.replace(folder / _ABOUT)


def withdraw(folder: Path) -> None:
    """Remove a session's folder; may be called twice."""
    shutil.rmtree(folder, ignore_errors=True)


def running_sessions() -> list[SessionEntry]:
    """All sessions whose process still runs, oldest first; what dead ones left is removed."""
    found: list[SessionEntry] = []
    for folder in sorted(sessions_folder().iterdir()):
        try:
            entry = SessionEntry(**json.loads((folder / _ABOUT).read_text()))
        except (OSError, ValueError, TypeError):
            continue  # not ready yet, or nothing of ours
        if _is_there(entry):
            found.append(entry)
        else:
            withdraw(folder)
    return sorted(found, key=lambda entry: (entry.started, entry.rank))


def where_looked() -> str:
    """A sentence for those who miss a session."""
    return (
        f"Looked for in {sessions_folder()}: a process with another TMPDIR or XDG_RUNTIME_DIR "
        "keeps its session elsewhere."
    )


def token_of(address: str) -> str:
    """The token of the session at an address; "" where it is not known here.

    It stands in the session's folder; that of a session elsewhere, and of the one that a training
    process starts its window for, in the environment.
    """
    for entry in running_sessions():
        if entry.address == address:
            with contextlib.suppress(OSError):
                return (Path(entry.folder) / _TOKEN).read_text().strip()
    return os.environ.get(TOKEN_VARIABLE, "").strip()


def _is_there(entry: SessionEntry) -> bool:
    """Whether a session can still be attached to.

    Who listens at its socket decides where there is one: an id of a process is given anew to
    others, and that of another container is none here.
    """
    kind, _, place = entry.address.partition(":")
    if kind == "unix" and hasattr(socket, "AF_UNIX"):
        return _listens(place)
    return _runs(entry.process)


def _runs(process: int) -> bool:
    if sys.platform == "win32":
        return True  # a signal 0 would end it there; a dead one refuses the connection
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _listens(place: str) -> bool:
    """Whether somebody listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(1.0)
        try:
            one.connect(place)
        except (ConnectionRefusedError, FileNotFoundError, ValueError):
            return False
        except OSError:  # as where one that stands still has not answered many others yet
            return True
    return True
