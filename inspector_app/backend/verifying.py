"""Whether a file is what was written, and equals a model, bit by bit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from inspector_app.backend.hashing import HashLane, payload_beginning
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import OURS, PAYLOAD, PAYLOAD_PREFIX
from inspector_app.backend.opening.mapped_file import DamagedFileError
from inspector_app.backend.opening.safetensors_file import (
    BLOCK,
    SafetensorsFile,
    TensorEntry,
)
from inspector_app.backend.states import Bytes, Spec, StateSource
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import Difference, Verified


class Examined(NamedTuple):
    """What one pass over a file found."""

    sha256: str  # of the whole file
    payload: str  # recomputed, as the metadata records it; "" where it was not asked for
    differences: list[Difference]


class _Reader:
    """The data of a file from front to end in large pieces, each handed to the hashes."""

    def __init__(
        self, file: SafetensorsFile, lanes: list[HashLane], moved: Callable[[int], None]
    ) -> None:
        self._file = file
        self._lanes = lanes
        self._moved = moved
        self._next = file.data_start
        self._piece: Bytes = np.empty(0, np.uint8)

    def take(self, size: int) -> Iterator[Bytes]:
        """The next ``size`` bytes, as one piece or more."""
        while size:
            if not len(self._piece):
                length = min(BLOCK, self._file.size - self._next)
                self._piece = np.frombuffer(self._file.read(self._next, length), np.uint8)
                for lane in self._lanes:
                    lane.update(self._piece.data)
                self._next += length
                self._moved(length)
            piece, self._piece = self._piece[:size], self._piece[size:]
            size -= len(piece)
            yield piece


def _same(first: Bytes, second: Bytes) -> bool:
    """Whether two arrays of one length hold the same bytes; eight at a time, as that is faster."""
    whole = len(first) & ~7
    return bool(
        (first[:whole].view(np.int64) == second[:whole].view(np.int64)).all()
        and (first[whole:] == second[whole:]).all()
    )


def _differing(reader: _Reader, entry: TensorEntry, blocks: Iterator[Bytes]) -> int:
    """Elements of one tensor whose bits differ; -1 where ``blocks`` are not as many bytes."""
    item = max(1, entry.nbytes // max(1, entry.count))
    position = differing = 0
    last = -1
    for block in blocks:
        if position + len(block) > entry.nbytes:
            break
        taken = 0
        for piece in reader.take(len(block)):
            other = block[taken : taken + len(piece)]
            if not _same(piece, other):
                # An element may stand across two pieces.
                elements = np.unique((position + taken + np.flatnonzero(piece != other)) // item)
                differing += len(elements) - int(elements[0] == last)
                last = int(elements[-1])
            taken += len(piece)
        position += len(block)
    for _ in reader.take(entry.nbytes - position):
        differing = -1
    return differing


def _difference(reader: _Reader, entry: TensorEntry, spec: Spec | None, other: StateSource) -> str:
    """In what a tensor of the file differs from its counterpart; "" where in nothing.

    Takes the tensor's bytes from ``reader`` in any case.
    """
    what = ""
    if spec is None:
        what = "unexpected"
    elif spec.reason:
        what = f"cannot be compared: {spec.reason}"
    elif entry.shape != spec.shape:
        what = f"shape {entry.shape} instead of {spec.shape}"
    elif entry.dtype != spec.dtype:
        what = f"dtype {entry.dtype} instead of {spec.dtype}"
    if what:
        for _ in reader.take(entry.nbytes):
            pass
        return what
    differing = _differing(reader, entry, other.blocks(entry.name))
    if differing < 0:
        return "changed while it was compared"
    return f"values differ in {differing:,} of {entry.count:,} elements" if differing else ""


def examine(
    file: SafetensorsFile,
    against: StateSource | None,
    *,
    payload: bool,
    moved: Callable[[int], None],
    missing_matters: bool = True,
) -> Examined:
    """Read a file once from front to end: hash it and compare it with ``against``.

    ``moved`` is called with the number of bytes after each piece.  Values that are no tensors
    have no place in a safetensors file and are not missed there.
    """
    differences: list[Difference] = []
    beginning = payload_beginning(file.metadata, file.entries.values()) if payload else b""
    with HashLane(file.read(0, file.data_start)) as whole, HashLane(beginning) as contents:
        reader = _Reader(file, [whole, contents] if payload else [whole], moved)
        names = set(against.names()) if against is not None else set()
        for entry in file.entries.values():
            if against is None:
                for _ in reader.take(entry.nbytes):
                    pass
                continue
            spec = against.spec(entry.name) if entry.name in names else None
            what = _difference(reader, entry, spec, against)
            if what:
                differences.append(Difference(name=entry.name, what=what))
        if against is not None and missing_matters:
            differences += [
                Difference(name=name, what="missing")
                for name in against.names()
                if name not in file.entries and against.spec(name).is_tensor
            ]
        digest = PAYLOAD_PREFIX + contents.hexdigest() if payload else ""
        return Examined(whole.hexdigest(), digest, differences)


def _hash_of_file(path: str) -> str:
    """sha256 of a file that cannot be read as safetensors."""
    with open(path, "rb") as file:
        whole = hashlib.sha256()
        while block := file.read(BLOCK):
            whole.update(block)
    return whole.hexdigest()


def verify(
    path: str, *, against: StateSource | None = None, against_name: str = "", job: Job = NO_JOB
) -> Verified:
    """Check a file by the hash it carries and, bit by bit, with ``against``.

    A file that begins like safetensors and breaks the format is a verification that failed.
    Raises TargetError where there is no such file, it is something else, or there is nothing to
    check it by.
    """
    try:
        file = SafetensorsFile(path)
    except DamagedFileError as error:
        return Verified(
            ok=False,
            path=path,
            tensors=0,
            bytes=os.path.getsize(path),
            sha256=_hash_of_file(path),
            recorded="absent",
            against=against_name,
            differences=[Difference(name="", what=error.sentence)],
        )
    try:
        noted = file.metadata.get(PAYLOAD, "")
        ours = any(key.startswith(OURS) for key in file.metadata)
        if not noted and not ours and against is None:
            raise TargetError(
                f"{path} carries no hash of its contents, so there is nothing to verify it by: "
                "name a model or file to compare it with (--against TARGET)."
            )
        done = 0

        def moved(size: int) -> None:
            nonlocal done
            done += size
            job.check()
            job.progress(done, file.size - file.data_start, "Verifying")

        examined = examine(file, against, payload=bool(noted), moved=moved)
        differences = examined.differences
        recorded: Literal["matches", "differs", "absent"] = "absent"
        if noted:
            recorded = "matches" if noted == examined.payload else "differs"
        elif ours:
            lost = f"{path} is damaged: it was exported with a hash of its contents, which is gone"
            differences.insert(0, Difference(name="", what=lost))
        return Verified(
            ok=recorded != "differs" and not differences,
            path=path,
            tensors=len(file.entries),
            bytes=file.size,
            sha256=examined.sha256,
            recorded=recorded,
            against=against_name,
            differences=differences,
        )
    finally:
        file.close()
