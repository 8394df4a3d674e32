"""Checking a file of any format, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

from inspector_app.backend.formats.content import open_file
from inspector_app.backend.formats.mapped_file import DamagedFileError
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.formats.sharded_file import begins_like_index
from inspector_app.backend.formats.torch_file import TorchFile
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import OURS
from inspector_app.backend.states import StateSource
from inspector_app.backend.verifying import of_archives, of_indexes, of_safetensors
from inspector_app.backend.verifying.examined import Examined, sha256_of
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import Difference, Verified

_START = 4096


def _is_index(path: str) -> bool:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            start = file.read(_START)
    except (OSError, ValueError):
        return False  # which opening it tells in a sentence
    return begins_like_index(start, Path(path).suffix)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would never answer


def _examine(path: str, against: StateSource | None, job: Job) -> Examined:
    if _is_index(path):
        return of_indexes.examine(path, against, job)
    file = open_file(path)
    try:
        if isinstance(file, SafetensorsFile):
            return of_safetensors.examine(file, against, job)
        assert isinstance(file, TorchFile)
        return of_archives.examine(file, against, job)
    finally:
        file.close()


def _is_ours(path: str) -> bool:
    """Whether what cannot be read as its format was written by this program all the same."""
    if of_archives.noted_hash(path):
        return True
    named = Path(path).suffix == ".json" and os.path.isfile(path)
    return named and f'"{OURS}'.encode() in Path(path).read_bytes()


def _sha256(path: str) -> tuple[str, int]:
    """Hash and size of a file that cannot be read as what it is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        return sha256_of(descriptor, path, size, lambda moved: None), size
    finally:
        os.close(descriptor)


def verify(
    path: str, *, against: StateSource | None = None, against_name: str = "", job: Job = NO_JOB
) -> Verified:
    """Check a file by the hash it carries and, bit by bit, with ``against``.

    A file that begins like one of its format and breaks a rule of it is a verification that failed.
    Of an index, the files beside it are checked.  Raises TargetError where there is no such file,
    it is something else, or there is nothing to check it by.
    """
    try:
        found = _examine(path, against, job)
    except TargetError as error:
        if not isinstance(error, DamagedFileError) and not _is_ours(path):
            raise
        sha256, size = _sha256(path)
        found = Examined(
            0, size, sha256, "absent", False, [Difference(name="", what=error.sentence)]
        )
    else:
        found = found._replace(ours=found.ours or _is_ours(path))
        if found.recorded == "absent" and not found.ours and against is None:
            raise TargetError(
                f"{path} carries no hash of its contents, so there is nothing to verify it by: "
                "name a model or file to compare it with (--against TARGET)."
            )
    differences = list(found.differences)
    if found.recorded == "absent" and found.ours:
        lost = f"{path} is damaged: it was exported with a hash of its contents, which is gone"
        differences.insert(0, Difference(name="", what=lost))
    return Verified(
        ok=found.recorded != "differs" and not differences,
        path=path,
        tensors=found.tensors,
        bytes=found.size,
        sha256=found.sha256,
        recorded=found.recorded,
        against=against_name,
        differences=differences,
    )
