"""Which sessions are found on this machine: those that can be attached to."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from inspector_app.sessions import (
    SessionEntry,
    announce,
    make_folder,
    running_sessions,
    where_looked,
)

GONE = 999_999_999
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such sockets")


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short path, since that of a socket may not be long."""
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def announced(address: str, process: int) -> SessionEntry:
    folder = make_folder()
    entry = SessionEntry(
        address=address.format(folder=folder),
        title="Net",
        process=process,
        started=0.0,
        folder=str(folder),
    )
    announce(folder, entry, "ab" * 32)
    return entry


def bound(entry: SessionEntry, backlog: int) -> socket.socket:
    """Who listens at the socket of a session, and takes nobody in."""
    one = socket.socket(socket.AF_UNIX)
    one.bind(entry.address.removeprefix("unix:"))
    one.listen(backlog)
    return one


@pytest.mark.parametrize("process", [os.getpid(), 1, GONE], ids=["ours", "another", "gone"])
def test_what_listens_counts_and_not_the_id_of_the_process(process):
    entry = announced("unix:{folder}/socket", process)
    with bound(entry, 5):
        assert running_sessions() == [entry]
    assert running_sessions() == []  # its socket is left, as by a process that was killed
    assert not Path(entry.folder).exists()


def test_a_socket_that_is_gone_is_no_session():
    announced("unix:{folder}/socket", os.getpid())
    assert running_sessions() == []


def test_a_session_that_answers_nobody_now_is_kept():
    entry = announced("unix:{folder}/socket", os.getpid())
    with bound(entry, 0), socket.socket(socket.AF_UNIX) as waits:
        waits.connect(entry.address.removeprefix("unix:"))
        assert running_sessions() == [entry]
        assert running_sessions() == [entry]


def test_of_any_other_address_the_process_counts():
    entry = announced("tcp:127.0.0.1:7000", os.getpid())
    announced("tcp:127.0.0.1:7001", GONE)
    assert running_sessions() == [entry]


def test_who_misses_one_is_told_where_it_was_looked_for(own_folder):
    assert f"in {own_folder / 'model-inspector'}:" in where_looked()
