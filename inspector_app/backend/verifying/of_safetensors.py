"""A safetensors file, read once: hashed as a whole, by its contents, and compared."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.hashing import HashLane, PayloadHash, payload_beginning
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import OURS, PAYLOAD, PAYLOAD_PREFIX, noted_aliases
from inspector_app.backend.pieces import Comparison, in_pieces, read_through
from inspector_app.backend.states import Spec, StateSource
from inspector_app.backend.verifying.examined import (
    Examined,
    Expected,
    Progress,
    Recorded,
    compare_sources,
    hash_through,
    item_sizes,
    missing,
)


def examine(file: SafetensorsFile, against: StateSource | None, job: Job = NO_JOB) -> Examined:
    """Read an open file from front to end; raises Cancelled."""
    moved = Progress(job, file.size - file.data_start).moved
    noted = file.metadata.get(PAYLOAD, "")
    names = list(file.entries)
    specs = {
        name: Spec(entry.dtype, entry.shape, entry.nbytes) for name, entry in file.entries.items()
    }
    expected = Expected(names, specs)
    comparison = Comparison(item_sizes(list(specs.values())))
    with ExitStack() as stack:
        lanes: list[Any] = [stack.enter_context(HashLane())]
        payload = None
        if noted.startswith(PAYLOAD_PREFIX):
            beginning = payload_beginning(file.metadata, file.entries.values())
            payload = stack.enter_context(PayloadHash(beginning))
        start = hash_through(
            file.descriptor, file.path, 0, file.data_start, lanes, lambda size: None
        )
        read_through(
            file.descriptor,
            file.path,
            start,
            in_pieces(expected.runs(against)),
            comparison=comparison,
            lanes=[*lanes, payload] if payload is not None else lanes,
            moved=moved,
        )
        sha256 = lanes[0].hexdigest()
        digest = PAYLOAD_PREFIX + payload.hexdigest() if payload is not None else ""
    differences = expected.differences(comparison)
    recorded: Recorded = "absent"
    if noted:
        recorded = "matches" if noted == digest else "differs"
    if against is not None:
        aliases = noted_aliases(file.metadata, names)
        wrong = {difference.name for difference in differences}
        apart = {
            name: kept
            for name, kept in aliases.items()
            if name in against.names() and kept not in wrong and not _one(against, name, kept)
        }
        differences += compare_sources(Checkpoint(file), against, apart, lambda size: None)
        differences += missing(against, file.entries, aliases)
    ours = any(key.startswith(OURS) for key in file.metadata)
    return Examined(len(names), file.size, sha256, recorded, ours, differences)


def _one(source: StateSource, name: str, other: str) -> bool:
    """Whether two names are one tensor beyond doubt, so that one comparison is enough."""
    if other not in source.names():
        return False
    first, second = source.spec(name), source.spec(other)
    return first.memory is not None and first.memory == second.memory and first.sure
