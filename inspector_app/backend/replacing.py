"""Writing files so that their places hold the old ones or the new ones, whole, at every moment.

A draft is written beside each destination, synced, and renamed over it
(https://danluu.com/file-consistency/).  Nothing else ever touches the destination.  A draft is
hidden, bears the number of its process and is locked by it; where a process was killed, the next
one that writes to the same place removes what is left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inspector_app.protocol.errors import RequestError

_REASONS = {
    errno.ENOSPC: "the disk is full. Free some space or choose another place",
    errno.EDQUOT: "your share of the disk is used up. Free some space or choose another place",
    errno.EFBIG: "files of this size are not allowed there. Choose another place",
    errno.EROFS: "the disk is read-only. Choose another place",
    errno.EACCES: "writing there is not allowed. Choose another place",
    errno.EPERM: "writing there is not allowed. Choose another place",
    errno.EBUSY: "it is in use by the system, as a mounted file is. Choose another name",
    errno.ENOENT: "its folder has gone meanwhile. Choose another place",
    errno.EMFILE: "so many files cannot be open at once. Let there be fewer and larger ones",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
}
_LARGE = 64 << 20  # bytes; to give so many back takes the file system a while


@dataclass(frozen=True)
class Draft:
    """A file that is being written: an open descriptor (read and write) and its present path."""

    descriptor: int
    path: str
    target: str  # what it will replace, links followed
    asked: str  # the destination as it was named


# -- where it goes ---------------------------------------------------------------------------------


def _own_streams() -> Iterator[os.stat_result]:
    """What stdout and stderr lead to: /dev/stdout may name a regular file."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            yield os.fstat(descriptor)


def destination(path: str) -> tuple[str, os.stat_result | None]:
    """Where ``path`` leads through links, and what is there now.

    Raises RequestError if nothing can be written there.
    """

    def refused(why: str) -> RequestError:
        return RequestError(f"Cannot write {path}: {why}.")

    if not path or "\0" in path:
        raise RequestError("Cannot write a file without a name: name one.")
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    try:
        present = os.lstat(target)
    except FileNotFoundError:
        present = None
    except OSError as error:
        raise refused(_REASONS.get(error.errno or 0, error.strerror or "")) from None
    if path.endswith(os.sep) or (present is not None and stat.S_ISDIR(present.st_mode)):
        raise refused("it is a folder. Add a file name")
    if present is not None and stat.S_ISLNK(present.st_mode):
        raise refused("it is a link that leads to itself")
    if present is not None and not stat.S_ISREG(present.st_mode):
        raise refused("it is a device or a pipe, not a file. Choose another name")
    if present is not None and any(os.path.samestat(present, own) for own in _own_streams()):
        raise refused("it is where this program's own words go. Choose another name")
    if not os.path.isdir(folder):
        raise refused(f"the folder {folder} does not exist. Create it or choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise refused(f"the folder {folder} cannot be written to. Choose another place")
    if present is not None and not os.access(target, os.W_OK):
        raise refused("the file there is write-protected. Choose another name")
    return target, present


# -- drafts ----------------------------------------------------------------------------------------


def _hidden(name: str) -> str:
    """What the names of all drafts of a file begin with."""
    return f".{name[:40]}."


def _open_draft(asked: str, target: str, present: os.stat_result | None) -> Draft:
    """A new hidden file beside ``target``, with the rights of the file it will replace."""
    folder, name = os.path.split(target)
    path = os.path.join(folder, f"{_hidden(name)}{os.getpid()}-{secrets.token_hex(8)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    # Without a file to replace, the person's umask decides; else nobody may read the draft who
    # could not read that file.
    mode = 0o666 if present is None else stat.S_IMODE(present.st_mode) & 0o777
    descriptor = os.open(path, flags, mode)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if present is not None:
        with contextlib.suppress(OSError):  # only root gives files away
            os.fchown(descriptor, present.st_uid, present.st_gid)
        os.fchmod(descriptor, mode)
    return Draft(descriptor, path, target, asked)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of somebody else, or no number of a process
    return True


def _remove_stale(target: str) -> None:
    """Remove drafts of the same destination whose process is dead and whose lock is free.

    The lock tells of processes that this one cannot see: on another machine, in a container.
    """
    folder, name = os.path.split(target)
    form = re.compile(re.escape(_hidden(name)) + r"(\d{1,10})-[0-9a-f]{16}\.part")
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            match = form.fullmatch(entry.name)
            if match is None or _alive(int(match[1])) or not entry.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                descriptor = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)
                finally:
                    os.close(descriptor)


def _replace(draft: Draft) -> None:
    """Let a draft take its place."""
    old = None
    with contextlib.suppress(OSError):
        if os.stat(draft.target).st_size >= _LARGE:
            old = os.open(draft.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.replace(draft.path, draft.target)
    finally:
        if old is not None:
            # The old file's blocks go back to the disk when its last descriptor is closed: a third
            # of a second a gigabyte, for which nobody needs to wait.
            threading.Thread(target=os.close, args=(old,), name="old file", daemon=True).start()


def _sync_folder(folder: str) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Drafts:
    """The files of one export: all take their places together, or none does.

    Used as a context: leaving it without :meth:`put_in_place` removes every draft.
    """

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self.notes: list[str] = []

    def __enter__(self) -> Drafts:
        return self

    def __exit__(self, *error: object) -> None:
        for draft in self._drafts:
            with contextlib.suppress(OSError):
                os.unlink(draft.path)
            os.close(draft.descriptor)
        self._drafts.clear()

    def open(self, path: str) -> Draft:
        """A new draft for ``path``; a link there stays, and what it leads to is replaced.

        Raises RequestError with a sentence where nothing can be written there.
        """
        target, present = destination(path)
        _remove_stale(target)
        if present is not None and present.st_nlink > 1:
            self.notes.append(
                f"{path} was one of {present.st_nlink} hard links to a file: the others keep the "
                "old file"
            )
        with writing_to(path):
            draft = _open_draft(path, target, present)
        self._drafts.append(draft)
        return draft

    def put_in_place(self) -> None:
        """Sync all drafts, then let them take their places in the order in which they were opened.

        Raises RequestError; before the first one has its place, nothing was changed.
        """
        for draft in self._drafts:
            with writing_to(draft.asked):
                os.fsync(draft.descriptor)
        total, done = len(self._drafts), 0

        def changed() -> str:
            if not done:
                return "Nothing was changed"
            return f"{done:,} of {total:,} files are new already: export again"

        while self._drafts:
            draft = self._drafts[0]
            with writing_to(draft.asked, changed):
                _replace(draft)
            del self._drafts[0]
            os.close(draft.descriptor)
            done += 1
            if len(self._drafts) <= 1:  # an index is new on the disk only after its files are
                _sync_folder(os.path.dirname(draft.target))


@contextlib.contextmanager
def writing_to(
    path: str, changed: Callable[[], str] = lambda: "Nothing was changed"
) -> Iterator[None]:
    """Turn errors of the disk into a RequestError that names ``path`` and says what is there."""
    try:
        yield
    except OSError as error:
        why = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise RequestError(f"Cannot write {path}: {why}. {changed()}.") from None
