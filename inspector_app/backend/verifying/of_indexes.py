"""Several files with an index: each by its noted hash, and all values compared."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.exporting.sharding import payload_of_index
from inspector_app.backend.formats.content import open_file
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import FILES, INDEX_PREFIX, OURS, PAYLOAD, noted_aliases
from inspector_app.backend.states import StateSource
from inspector_app.backend.verifying.examined import (
    Examined,
    Moved,
    Progress,
    Recorded,
    compare_sources,
    missing,
    sha256_of,
    tensors_of,
)
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import Difference


class _Index(msgspec.Struct):
    weight_map: dict[str, str]
    metadata: Any = None


def _noted_digests(metadata: dict[str, Any]) -> dict[str, str]:
    try:
        return msgspec.json.decode(metadata.get(FILES, "{}"), type=dict[str, str])
    except (ValueError, TypeError, RecursionError):
        return {}


def examine(path: str, against: StateSource | None, job: Job = NO_JOB) -> Examined:
    """Check an index and the files beside it.

    Raises TargetError where one is missing, Cancelled.
    """
    text = Path(path).read_bytes()
    checkpoint = Checkpoint(open_file(path))  # which checks the index and every header
    try:
        index = msgspec.json.decode(text, type=_Index)
        metadata = index.metadata if isinstance(index.metadata, dict) else {}
        noted = metadata.get(PAYLOAD, "")
        ours = any(key.startswith(OURS) for key in metadata)
        digests = _noted_digests(metadata)
        differences: list[Difference] = []
        size = len(text)
        recorded: Recorded = "absent"
        if noted:
            now = INDEX_PREFIX + payload_of_index(metadata, index.weight_map)
            recorded = "matches" if now == noted else "differs"
        names = sorted(set(index.weight_map.values()))
        places = [os.path.join(os.path.dirname(path), name) for name in names]
        total = sum(os.path.getsize(place) for place in places)
        moved = Progress(job, total if against is None else 2 * total).moved
        for name, place in zip(names, places, strict=True):
            found, length = _hash(place, moved)
            size += length
            if ours and digests.get(name) != found:
                differences.append(
                    Difference(name="", what=f"{name} is not the file that was exported")
                )
        if differences and noted:
            recorded = "differs"
        if against is not None:
            differences += _compare(checkpoint, against, moved)
        digest = hashlib.sha256(text).hexdigest()
        return Examined(len(index.weight_map), size, digest, recorded, ours, differences)
    finally:
        checkpoint.close()


def _hash(path: str, moved: Moved) -> tuple[str, int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise TargetError(f"Cannot open {path}: {error.strerror}.") from None
    try:
        size = os.fstat(descriptor).st_size
        return sha256_of(descriptor, path, size, moved), size
    finally:
        os.close(descriptor)


def _compare(checkpoint: Checkpoint, against: StateSource, moved: Moved) -> list[Difference]:
    names = {name: name for name in tensors_of(checkpoint, against)}
    held = set(names)
    theirs = set(against.names())
    aliases = noted_aliases(checkpoint.metadata, held)
    names |= {name: kept for name, kept in aliases.items() if name in theirs}
    return compare_sources(checkpoint, against, names, moved) + missing(against, held, aliases)
