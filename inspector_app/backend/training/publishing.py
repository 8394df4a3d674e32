"""A session that windows can find and attach to."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

import torch
from torch import nn

from inspector_app.backend.jobs import Executor
from inspector_app.backend.server import Server
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.sessions import SessionEntry, announce, make_folder, withdraw

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 108 (104 on macOS) with the closing zero


class PublishedSession:
    """Serves a session and announces it; :meth:`close` takes both back.

    Raises RefusedError where that cannot be, as where no folder can be written.
    """

    def __init__(self, session: Session, executor: Executor, title: str) -> None:
        self.token = secrets.token_hex(32)
        try:
            self._publish(session, executor, title)
        except (OSError, RequestError) as error:
            reason = str(error).rstrip(".")
            raise RefusedError(f"No window can attach to this session: {reason}.") from error

    def _publish(self, session: Session, executor: Executor, title: str) -> None:
        self._folder = make_folder()
        try:
            self.server = Server(session, executor, bytes.fromhex(self.token))
            try:
                self.address = self.server.start(_socket_in(self._folder))
                self._announce(title)
            except BaseException:
                self.server.stop()
                raise
        except BaseException:
            withdraw(self._folder)
            raise

    def _announce(self, title: str) -> None:
        rank, ranks = rank_of_process()
        entry = SessionEntry(
            address=self.address,
            title=title,
            process=os.getpid(),
            started=time.time(),
            rank=rank,
            ranks=ranks,
            folder=str(self._folder),
            group=os.getppid(),
        )
        announce(self._folder, entry, self.token)

    def let_go_in_child(self) -> None:
        """In the child of a fork: leave the sockets to the parent."""
        self.server.let_go_in_child()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self.server.stop()
        withdraw(self._folder)


def _socket_in(folder: Path) -> str:
    """Where to listen; "" for loopback TCP, where there are no sockets or no room for the path."""
    path = str(folder / "socket")
    too_long = len(os.fsencode(path)) > _LONGEST_SOCKET_PATH
    return "" if sys.platform == "win32" or too_long else path


def title_of(model: nn.Module, title: str = "") -> str:
    """How a session is called: as it was asked for, else as the model's class."""
    return title or type(_inside(model)).__name__


def with_rank(title: str) -> str:
    """The title, and the rank where there are several."""
    rank, ranks = rank_of_process()
    return f"{title} (rank {rank} of {ranks})" if ranks > 1 else title


def _inside(model: nn.Module) -> nn.Module:
    """The model behind the wrappers of torch."""
    inner = model
    for name in ("_orig_mod", "module"):
        found = inner.__dict__.get("_modules", {}).get(name)
        if isinstance(found, nn.Module) and type(inner).__module__.startswith("torch."):
            inner = found
    return inner


def rank_of_process() -> tuple[int, int]:
    """Rank of this process and number of ranks."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
