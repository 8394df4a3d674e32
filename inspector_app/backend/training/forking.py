"""What a fork must leave behind: the child of a process that is watched is not watched itself.

A child (of a data loader, of ``os.fork``) gets a copy of the hooks, of locks that nobody will ever
open again, and of the sockets: with these a window would not see the end of the parent.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from inspector_app.backend.probing.probe_set import ProbeSet


class LetsGo(Protocol):
    """A session that a fork copies."""

    def let_go_in_child(self) -> None:
        """Give up all that belongs to the parent; takes no lock."""


_sessions: weakref.WeakSet[LetsGo] = weakref.WeakSet()


def remember(session: LetsGo) -> None:
    """Let a session be given up in every child of this process."""
    _sessions.add(session)


def unhook(probes: ProbeSet) -> None:
    """Remove every hook in the child; takes no lock, since the parent may have held it."""
    probes.captures.waiting = False  # nobody waits here
    for row in probes.rows:
        probes.unwatch(row)


def _forked() -> None:
    for session in list(_sessions):
        session.let_go_in_child()
    _sessions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
