"""Writing a file so that its place holds the old one or the new one, whole, at every moment.

A draft is written beside the destination, synced, and renamed over it
(https://danluu.com/file-consistency/).  Nothing else ever touches the destination.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from inspector_app.protocol.errors import RequestError

_REASONS = {
    errno.ENOSPC: "the disk is full. Free some space or choose another place",
    errno.EDQUOT: "your share of the disk is used up. Free some space or choose another place",
    errno.EFBIG: "files of this size are not allowed there. Choose another place",
    errno.EROFS: "the disk is read-only. Choose another place",
    errno.EACCES: "writing there is not allowed. Choose another place",
    errno.EPERM: "writing there is not allowed. Choose another place",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
}


@dataclass(frozen=True)
class Draft:
    """A file that is being written: an open descriptor (read and write) and its present path."""

    descriptor: int
    path: str


def _own_streams() -> Iterator[os.stat_result]:
    """What stdout and stderr lead to: /dev/stdout may name a regular file."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            yield os.fstat(descriptor)


def _destination(path: str) -> tuple[str, os.stat_result | None]:
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


def _open_draft(target: str, present: os.stat_result | None) -> Draft:
    """A new hidden file beside ``target``, with the rights of the file it will replace."""
    folder, name = os.path.split(target)
    hidden = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(8)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    # Without a file to replace, the person's umask decides; else nobody may read the draft who
    # could not read that file.
    mode = 0o666 if present is None else stat.S_IMODE(present.st_mode) & 0o777
    descriptor = os.open(hidden, flags, mode)
    if present is not None:
        with contextlib.suppress(OSError):  # only root gives files away
            os.fchown(descriptor, present.st_uid, present.st_gid)
        os.fchmod(descriptor, mode)
    return Draft(descriptor, hidden)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Draft]:
    """Write a draft inside ``with``; it takes the place of ``path`` when the block ends well.

    A link at ``path`` stays and what it leads to is replaced.  If the block raises, the draft is
    removed and the destination has not been touched.  Raises RequestError with a sentence where
    nothing can be written there or the disk fails.
    """
    target, present = _destination(path)
    try:
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            draft = _open_draft(target, present)
            try:
                yield draft
                os.fsync(draft.descriptor)
                os.replace(draft.path, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft.path)
                raise
            finally:
                os.close(draft.descriptor)
            with contextlib.suppress(OSError):  # some file systems cannot sync a folder
                os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        why = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise RequestError(f"Cannot write {path}: {why}. Nothing was changed.") from None
