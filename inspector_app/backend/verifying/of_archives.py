"""A file by torch.save: hashed as a whole, and its values compared without unpickling it."""

from __future__ import annotations

import os

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.torch_file import TorchFile
from inspector_app.backend.hashing import HashLane
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import COMMENT, OURS
from inspector_app.backend.states import StateSource
from inspector_app.backend.verifying.examined import (
    Examined,
    Progress,
    Recorded,
    compare_sources,
    hash_through,
    missing,
    tensors_of,
)

_DIGITS = 64
_TAIL = len(COMMENT) + _DIGITS


def noted_hash(path: str) -> str:
    """The hash at the end of a file that we wrote for torch.load; "" where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            tail = file.read().decode("latin-1")
    except OSError:
        return ""
    return tail[len(COMMENT) :] if tail.startswith(COMMENT) else ""


def examine(file: TorchFile, against: StateSource | None, job: Job = NO_JOB) -> Examined:
    """Hash an open file, and compare its state dict; raises Cancelled."""
    descriptor, path, size = file.descriptor, file.path, file.size
    moved = Progress(job, size + (file.nbytes if against is not None else 0)).moved
    noted = noted_hash(path)
    recorded: Recorded = "absent"
    with HashLane() as whole:
        end = hash_through(descriptor, path, 0, max(0, size - _DIGITS), [whole], moved)
        if noted:
            recorded = "matches" if whole.hexdigest() == noted else "differs"
        hash_through(descriptor, path, end, size - end, [whole], moved)
        sha256 = whole.hexdigest()
    source = Checkpoint(file)
    differences = []
    if against is not None:
        names = {name: name for name in tensors_of(source, against)}
        differences = compare_sources(source, against, names, moved)
        differences += missing(against, names, {})
    ours = bool(noted) or any(key.startswith(OURS) for key in file.metadata)
    tensors = sum(source.spec(name).is_tensor for name in source.names())
    return Examined(tensors, size, sha256, recorded, ours, differences)
