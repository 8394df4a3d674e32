"""Verified export of a state dict to a safetensors file.

The file is written as a draft beside its destination, synced, read back, compared bit by bit with
the source and only then renamed, so that the destination is the old file or a proven new one.  The
header tells what rebuilds the model, under keys that begin with ``model_inspector.``; values that
are not plain text are JSON:

``version``, ``torch`` of what wrote the file · ``target``, ``arguments``, ``device``, ``seed``,
``class`` of what was open · ``edits`` made since, as journal entries · ``requires_grad`` by name ·
``ties``, lists of names that are one tensor · ``payload``, a hash of all the file says and holds
(:func:`~inspector_app.backend.hashing.payload_beginning`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import accumulate
from re import compile as compile_pattern
from typing import Any

import msgspec
import numpy as np
import torch

from inspector_app import __version__
from inspector_app.backend.hashing import HashLane, payload_beginning
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import OURS, PAYLOAD, PAYLOAD_PREFIX, noted_requires_grad
from inspector_app.backend.opening.safetensors_file import (
    BLOCK,
    CODES,
    HEADER_LIMIT,
    KINDS,
    METADATA,
    SafetensorsFile,
    TensorEntry,
)
from inspector_app.backend.replacing import replacing
from inspector_app.backend.states import Bytes, Spec, StateSource
from inspector_app.backend.verifying import examine
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import Exported, ExportPlan, JournalEntry, LeftOut, Tie

_NO_DIGEST = "0" * 64
_DEPTH = 32  # dotted prefixes of a key that patterns may mean
# Told anew by every export.
_OF_THE_FILE = {PAYLOAD, *(OURS + key for key in ("version", "torch", "requires_grad", "ties"))}
_NAMED = 5  # names told in one sentence


@dataclass(frozen=True)
class ExportFacts:
    """What the file says of its origin.

    ``carried`` are the metadata of an open checkpoint.  They are kept; what they tell of the
    model behind the checkpoint goes before what is told here.
    """

    target: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    seed: int = 0
    class_name: str = ""
    edits: list[JournalEntry] = field(default_factory=list)
    requires_grad: dict[str, bool] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)


# -- what is written ------------------------------------------------------------------------------


def keys_matching(names: list[str], patterns: Iterable[str]) -> set[str]:
    """Keys that any of the patterns means.

    A pattern that is a key, or a dotted prefix of keys, means that and all below it; any other is a
    glob over keys and their prefixes (case-sensitive, ``*`` crosses dots).

    Raises RequestError naming a pattern that means nothing.
    """
    below: dict[str, list[str]] = {"": names}
    for name in names:
        for prefix in accumulate(name.split(".", _DEPTH), "{}.{}".format):
            if prefix:
                below.setdefault(prefix, []).append(name)
    chosen: set[str] = set()
    for pattern in patterns:
        if pattern in below:
            chosen.update(below[pattern])
            continue
        matches = compile_pattern(translate(pattern)).match
        found = [key for key in below if key and matches(key)]
        if not found:
            raise RequestError(
                f'No key of the state dict matches "{pattern}": '
                "name a key, a module or a glob such as 'encoder.*'."
            )
        for key in found:
            chosen.update(below[key])
    return chosen


def _reason_against(name: str, spec: Spec) -> str:
    """Why the format cannot hold a value under this name; "" where it can."""
    if spec.reason:
        return spec.reason
    if name == METADATA:
        return "the format keeps this name for itself"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not valid text"
    return ""


def _plan(
    source: StateSource, only: list[str] | None, skip: list[str]
) -> tuple[ExportPlan, dict[str, Spec]]:
    """What an export would write, and the specs of it by name."""
    names = source.names()
    wanted = keys_matching(names, only) if only else set(names)
    unwanted = keys_matching(names, skip)
    chosen: dict[str, Spec] = {}
    left_out: list[LeftOut] = []
    refused: list[LeftOut] = []
    for name in names:
        if name not in wanted:
            left_out.append(LeftOut(name=name, reason="not selected"))
            continue
        spec = source.spec(name)
        reason = _reason_against(name, spec)
        if name in unwanted:
            words = f"skipped as asked ({reason})" if reason else "skipped as asked"
            left_out.append(LeftOut(name=name, reason=words))
        elif reason:
            refused.append(LeftOut(name=name, reason=reason))
        else:
            chosen[name] = spec
    by_memory: dict[Any, list[str]] = {}
    for name, spec in chosen.items():
        if spec.memory is not None:
            by_memory.setdefault(spec.memory, []).append(name)
    ties = [
        Tie(
            names=group,
            kept=f"written under each of the {len(group)} names, so that the file loads strictly; "
            "its metadata notes that they are one tensor",
        )
        for group in by_memory.values()
        if len(group) > 1
    ]
    size = sum(spec.nbytes for spec in chosen.values())
    plan = ExportPlan(
        tensors=len(chosen), bytes=size, ties=ties, left_out=left_out, refused=refused
    )
    return plan, chosen


def plan_export(
    source: StateSource, *, only: list[str] | None = None, skip: Iterable[str] = ()
) -> ExportPlan:
    """What :func:`export` would write, leave out and refuse; ``only`` empty or None means all.

    Raises RequestError naming a pattern that matches nothing.
    """
    return _plan(source, only, list(skip))[0]


def _refuse(refused: list[LeftOut]) -> None:
    """Raise RefusedError naming what the format cannot hold."""
    told = [f'"{value.name}" ({value.reason})' for value in refused]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    raise RefusedError(
        f"safetensors cannot hold {', '.join(told[:_NAMED])}{more}: "
        "leave out what you can do without by naming it (--skip PATTERN).",
        detail="\n".join(told),
    )


# -- the header -----------------------------------------------------------------------------------


def _metadata(facts: ExportFacts, chosen: Mapping[str, Spec], ties: list[Tie]) -> dict[str, str]:
    """All strings of the header; the payload's hash stands first, still without its digits."""

    def text(value: Any) -> str:
        return msgspec.json.encode(value, enc_hook=repr).decode()

    grad = noted_requires_grad(facts.carried) or facts.requires_grad
    ours = {
        "version": __version__,
        "torch": str(torch.__version__),
        "target": facts.target,
        "arguments": text(facts.arguments),
        "device": facts.device,
        "seed": str(facts.seed),
        "class": facts.class_name,
        "edits": text(facts.edits),
        "requires_grad": text({name: grad[name] for name in sorted(grad) if name in chosen}),
        "ties": text([tie.names for tie in ties]),
    }
    notes = {
        "format": "pt",
        **{OURS + key: value for key, value in ours.items()},
        **{key: value for key, value in facts.carried.items() if key not in _OF_THE_FILE},
    }
    return {PAYLOAD: PAYLOAD_PREFIX + _NO_DIGEST, **dict(sorted(notes.items()))}


def _lay_out(chosen: Mapping[str, Spec]) -> list[TensorEntry]:
    """Entries in the order of their bytes.

    Large elements come first, so that every tensor is aligned (as the format's library does), then
    it goes by name.
    """

    def order(name: str) -> tuple[int, str]:
        return -KINDS[CODES[chosen[name].dtype]].bits, name

    entries: list[TensorEntry] = []
    end = 0
    for name in sorted(chosen, key=order):
        spec = chosen[name]
        entries.append(TensorEntry(name, spec.dtype, spec.shape, end, end + spec.nbytes))
        end += spec.nbytes
    return entries


def _encode_header(metadata: Mapping[str, str], entries: list[TensorEntry]) -> bytes:
    """Length and header, padded so that the data begins at a multiple of 8 bytes."""
    table: dict[str, Any] = {METADATA: metadata}
    for entry in entries:
        shape = entry.shape
        if KINDS[CODES[entry.dtype]].bits == 4:  # torch packs two elements into one
            shape = (*shape[:-1], 2 * shape[-1])
        table[entry.name] = {
            "dtype": CODES[entry.dtype],
            "shape": shape,
            "data_offsets": (entry.start, entry.stop),
        }
    text = msgspec.json.encode(table)
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise RefusedError(
            f"The names and notes of this model take {len(text):,} bytes, safetensors files may "
            f"have {HEADER_LIMIT:,}: export it in parts (--only PATTERN)."
        )
    return len(text).to_bytes(8, "little") + text


# -- the data -------------------------------------------------------------------------------------


def _gathered(blocks: Iterable[Bytes]) -> Iterator[Bytes]:
    """The same bytes, with small blocks put together."""
    waiting: list[Bytes] = []
    size = 0
    for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= BLOCK // 4:
            yield np.concatenate(waiting) if len(waiting) > 1 else block
            waiting, size = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(descriptor, view) :]


class _Bytes:
    """Progress of an export: every byte is written and read back."""

    def __init__(self, job: Job, total: int) -> None:
        self._job = job
        self._total = total
        self._done = 0
        self.label = "Writing"

    def moved(self, size: int) -> None:
        """Count ``size`` bytes; raises Cancelled."""
        self._done += size
        self._job.check()
        self._job.progress(self._done, self._total, self.label)


def export(
    source: StateSource,
    path: str,
    *,
    only: list[str] | None = None,
    skip: Iterable[str] = (),
    facts: ExportFacts | None = None,
    job: Job = NO_JOB,
) -> Exported:
    """Write a verified safetensors file to ``path``, whatever its ending.

    ``only`` and ``skip`` are patterns as :func:`keys_matching` takes them; ``only`` empty or None
    means all.  On any error and on cancel, whatever was at ``path`` is still there, untouched.

    Raises RefusedError naming what the format cannot hold, or if what was read back is not what the
    source holds; RequestError if ``path`` cannot be written or a pattern matches nothing.
    """
    began = time.perf_counter()
    plan, chosen = _plan(source, only, list(skip))
    if plan.refused:
        _refuse(plan.refused)
    metadata = _metadata(facts or ExportFacts(), chosen, plan.ties)
    entries = _lay_out(chosen)
    header = _encode_header(metadata, entries)
    progress = _Bytes(job, 2 * plan.bytes)
    with replacing(path) as draft:
        _write_all(draft.descriptor, header)
        with HashLane(payload_beginning(metadata, entries)) as payload:
            blocks = (block for entry in entries for block in source.blocks(entry.name))
            for block in _gathered(blocks):
                payload.update(block.data)
                _write_all(draft.descriptor, block.data)
                progress.moved(len(block))
            digest = payload.hexdigest()
        # The hash is the first thing in the header, so its digits stand at a known place.
        place = header.index(_NO_DIGEST.encode())
        os.pwrite(draft.descriptor, digest.encode(), place)
        os.fsync(draft.descriptor)
        progress.label = "Reading back"
        sha256, size = _read_back(draft.path, source, len(entries), digest, progress)
    return Exported(
        path=path,
        tensors=plan.tensors,
        bytes=size,
        sha256=sha256,
        payload_sha256=digest,
        ties=plan.ties,
        left_out=plan.left_out,
        seconds=time.perf_counter() - began,
    )


def _read_back(
    path: str, source: StateSource, tensors: int, digest: str, progress: _Bytes
) -> tuple[str, int]:
    """Hash and size of a draft that is proven to hold what ``source`` holds.

    That its data are those that were hashed while they were written follows from both being equal
    to the source, so the payload is not hashed again.
    """
    file = SafetensorsFile(path)
    try:
        examined = examine(file, source, payload=False, moved=progress.moved, missing_matters=False)
        wrong = [f'"{difference.name}" ({difference.what})' for difference in examined.differences]
        if wrong or len(file.entries) != tensors or not file.metadata[PAYLOAD].endswith(digest):
            raise RefusedError(
                f"What was read back is not what the model holds: {', '.join(wrong[:_NAMED])}. "
                "Either the model changed meanwhile or the disk is faulty. Nothing was changed.",
                detail="\n".join(wrong),
            )
        return examined.sha256, file.size
    finally:
        file.close()
