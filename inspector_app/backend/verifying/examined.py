"""What one look at a file finds, whatever its format, and how values are compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from inspector_app.backend.hashing import HashLane
from inspector_app.backend.jobs import Job
from inspector_app.backend.pieces import (
    Comparison,
    Lane,
    Run,
    Uneven,
    in_pieces,
    read_through,
    runs_of,
)
from inspector_app.backend.states import Spec, StateSource
from inspector_app.protocol.messages import Difference

Recorded = Literal["matches", "differs", "absent"]
Moved = Callable[[int], None]


class Progress:
    """Bytes that were looked at, of all that will be."""

    def __init__(self, job: Job, total: int) -> None:
        self._job = job
        self._total = total
        self._done = 0

    def moved(self, size: int) -> None:
        """Count ``size`` bytes; raises Cancelled."""
        self._done += size
        self._job.check()
        self._job.progress(min(self._done, self._total), self._total, "Verifying")


class Examined(NamedTuple):
    """What was found.  ``ours``: this program wrote it, so a hash should be there."""

    tensors: int
    size: int
    sha256: str
    recorded: Recorded
    ours: bool
    differences: list[Difference]


def mismatch(name: str, spec: Spec | None, other: Spec) -> str:
    """In what two specs of one name differ; "" where their values can be compared.

    ``spec`` is what the other side has, ``other`` what the file says.
    """
    if spec is None:
        return "unexpected"
    if spec.reason or other.reason:
        return f"cannot be compared: {spec.reason or other.reason}"
    if other.shape != spec.shape:
        return f"shape {other.shape} instead of {spec.shape}"
    if other.dtype != spec.dtype:
        return f"dtype {other.dtype} instead of {spec.dtype}"
    return ""


def differing(count: int, elements: int) -> str:
    """Words for values that are not the same."""
    return f"values differ in {count:,} of {elements:,} elements"


CHANGED = "changed while it was compared"


class Expected:
    """The values that a file should hold, as runs in the order of the file.

    Those that cannot be compared become runs without bytes.
    """

    def __init__(self, names: Sequence[str], file: Mapping[str, Spec]) -> None:
        self._names = names
        self._file = file
        self.found: dict[str, str] = {}  # differences by name

    def runs(self, against: StateSource | None) -> Iterator[Run]:
        """All runs; where there is nothing to compare with, none of them has bytes."""
        known = set(against.names()) if against is not None else set()
        for owner, name in enumerate(self._names):
            spec = self._file[name]
            what = ""
            if against is not None:
                what = mismatch(name, against.spec(name) if name in known else None, spec)
            if against is None or what:
                if what:
                    self.found[name] = what
                yield Run(owner, 0, spec.nbytes, None)
                continue
            position = 0
            try:
                for run in runs_of(owner, spec.nbytes, against.blocks(name)):
                    position += run.size
                    yield run
            except Uneven:
                self.found[name] = CHANGED
                yield Run(owner, position, spec.nbytes - position, None)

    def differences(self, comparison: Comparison) -> list[Difference]:
        """All that was found, in the order of the file."""
        for owner, count in comparison.differing.items():
            name = self._names[owner]
            elements = int(np.prod(self._file[name].shape, dtype=np.int64))
            self.found.setdefault(name, differing(count, elements))
        return [
            Difference(name=name, what=self.found[name])
            for name in self._names
            if name in self.found
        ]


def item_sizes(specs: Sequence[Spec]) -> list[int]:
    """Bytes of an element of each value."""
    counts = [int(np.prod(spec.shape, dtype=np.int64)) for spec in specs]
    return [max(1, spec.nbytes // max(1, count)) for spec, count in zip(specs, counts, strict=True)]


def tensors_of(source: StateSource, against: StateSource) -> list[str]:
    """Names of the tensors of a file; those inside of extra state are no keys of their own."""
    extra = tuple(f"{name}." for name in against.names() if not against.spec(name).is_tensor)
    return [n for n in source.names() if source.spec(n).is_tensor and not n.startswith(extra)]


def missing(
    against: StateSource, held: Collection[str], aliases: Mapping[str, str]
) -> list[Difference]:
    """Tensors of the other side that the file has under no name."""
    return [
        Difference(name=name, what="missing")
        for name in against.names()
        if name not in held and name not in aliases and against.spec(name).is_tensor
    ]


def compare_sources(
    source: StateSource, against: StateSource, names: Mapping[str, str], moved: Moved
) -> list[Difference]:
    """Compare values of a file, one by one; ``names`` lead from those of the other side to its own.

    The differences are by the names of the other side.
    """
    known = set(against.names())
    found = []
    for name, own in names.items():
        spec, other = against.spec(name) if name in known else None, source.spec(own)
        what = mismatch(name, spec, other) or _values(source, against, name, own, moved)
        if what:
            found.append(Difference(name=name, what=what))
    return found


def _values(source: StateSource, against: StateSource, name: str, own: str, moved: Moved) -> str:
    """In what two values of one form differ; "" where in nothing."""
    spec = source.spec(own)
    count = int(np.prod(spec.shape, dtype=np.int64))
    comparison = Comparison([max(1, spec.nbytes // max(1, count))])
    pieces = in_pieces(runs_of(0, spec.nbytes, against.blocks(name)))
    try:
        blocks = in_pieces(runs_of(0, spec.nbytes, source.blocks(own)))
        for got, piece in zip(blocks, pieces, strict=True):
            comparison.compare(got.block, piece)
            moved(got.size)
    except Uneven:
        return CHANGED
    wrong = comparison.differing.get(0, 0)
    return differing(wrong, count) if wrong else ""


def hash_through(
    descriptor: int, path: str, start: int, size: int, lanes: Sequence[Lane], moved: Moved
) -> int:
    """Read ``size`` bytes from ``start`` on and hand them to the lanes; returns where they end."""
    pieces = in_pieces([Run(0, 0, size, None)])
    comparison = Comparison([1])
    return read_through(
        descriptor, path, start, pieces, comparison=comparison, lanes=lanes, moved=moved
    )


def sha256_of(descriptor: int, path: str, size: int, moved: Moved) -> str:
    """sha256 of a whole file."""
    with HashLane() as whole:
        hash_through(descriptor, path, 0, size, [whole], moved)
        return whole.hexdigest()
