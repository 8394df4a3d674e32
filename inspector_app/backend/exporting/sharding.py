"""One state dict in several files, with an index beside them, as Hugging Face writes them.

``model.safetensors`` becomes ``model-00001-of-00003.safetensors`` and so on, and
``model.safetensors.index.json``: ``metadata`` with ``total_size`` (bytes of all values) and our
notes, ``weight_map`` from each name to its file.  ``pytorch_model.bin`` likewise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inspector_app.backend.exporting.facts import ExportFacts, notes_of
from inspector_app.backend.exporting.transforming import Written
from inspector_app.backend.notes import PAYLOAD
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import ExportOptions

INDEX = ".index.json"
_MOST = 2_000  # files; so many are read, too
_ENTRY = 512  # bytes at most that a format spends on one value, but for its name


def _cost(written: Written, name: str) -> int:
    """Bytes at most that one value takes in a file."""
    quoted = len(msgspec.json.encode(msgspec.json.encode(name).decode()))
    return written.spec(name).nbytes + 4 * quoted + _ENTRY  # its name stands in the notes as well


def shards(
    written: Written,
    names: Sequence[str],
    ties: Sequence[Sequence[str]],
    options: ExportOptions,
    facts: ExportFacts,
) -> list[list[str]]:
    """The names of each file, none of which is larger than was asked for if it can be helped.

    Names of one tensor stay together.  Raises RequestError where that makes too many files.
    """
    limit = options.shard_bytes
    if limit < 0:
        raise RequestError("The largest file cannot be smaller than 0 bytes; 0 writes one file.")
    if not limit:
        return [list(names)]
    fixed = sum(len(msgspec.json.encode(pair)) for pair in notes_of(facts, {}, [], {}).items())
    fixed += 2 * _ENTRY
    group_of = {name: number for number, group in enumerate(ties) for name in group}
    known = set(names)
    placed: set[str] = set()
    parts: list[list[str]] = [[]]
    room = limit - fixed
    for name in names:
        if name in placed:
            continue
        together = [name]
        if name in group_of:
            together = [other for other in ties[group_of[name]] if other in known]
        placed.update(together)
        size = sum(_cost(written, other) for other in together)
        if options.format == "torch":  # one storage under all names
            size -= (len(together) - 1) * written.spec(name).nbytes
        if size > room and parts[-1]:
            parts.append([])
            room = limit - fixed
        parts[-1] += together
        room -= size
    if len(parts) > _MOST:
        raise RequestError(
            f"Files of {limit:,} bytes would be {len(parts):,} files; {_MOST:,} are the most "
            "there can be: allow larger ones."
        )
    return parts


def base_of(path: str) -> str:
    """The name that files and index are made of: the path, or what an index's path begins with."""
    return path[: -len(INDEX)] if path.endswith(INDEX) else path


def shard_path(base: str, number: int, total: int) -> str:
    """Path of one of several files; the first is number 1."""
    stem, ending = os.path.splitext(base)
    return f"{stem}-{number:05d}-of-{total:05d}{ending}"


def others_beside(base: str, written: Sequence[str]) -> list[str]:
    """Names beside an export that belong to another one of the same name."""
    folder, name = os.path.split(os.path.abspath(base))
    stem, ending = os.path.splitext(name)
    form = re.compile(re.escape(stem) + r"-\d{5}-of-\d{5}" + re.escape(ending))
    own = {os.path.basename(path) for path in written}
    try:
        found = sorted(os.listdir(folder))
    except OSError:
        return []  # it may be entered and not listed
    # A reader would take one of these two instead of what was written, so they are told first.
    first = [other for other in (name, name + INDEX) if other in found and other not in own]
    return first + [other for other in found if other not in own and form.fullmatch(other)]


def payload_of_index(metadata: Mapping[str, Any], weight_map: Mapping[str, str]) -> str:
    """The hash of all that an index says, its own hash left out, in one fixed form.

    It is sha256 of ``[metadata, weight_map]``, both as pairs sorted by key, as JSON in UTF-8
    without blanks or needless escapes.
    """
    notes = sorted((key, value) for key, value in metadata.items() if key != PAYLOAD)
    return hashlib.sha256(msgspec.json.encode((notes, sorted(weight_map.items())))).hexdigest()


def index_text(metadata: Mapping[str, Any], weight_map: Mapping[str, str]) -> bytes:
    """The file itself, as Hugging Face writes it."""
    content = {"metadata": metadata, "weight_map": dict(sorted(weight_map.items()))}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
