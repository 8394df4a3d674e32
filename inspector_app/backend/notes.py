"""What the files that we export note in their metadata, under keys that begin with our name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec

OURS = "model_inspector."
PAYLOAD = f"{OURS}payload"  # hash of all that the file says and holds
PAYLOAD_PREFIX = "sha256-of-sums:"  # see hashing.PayloadHash
NOTES_MEMBER = "model_inspector.json"  # of an archive of torch.save: the metadata, as JSON
COMMENT = f"{PAYLOAD}=sha256:"  # of such an archive, then the sha256 of all bytes before
INDEX_PREFIX = "sha256:"  # of the payload of an index, see exporting.sharding
FILES = f"{OURS}files"  # of an index: sha256 by the name of each file

T = TypeVar("T")


def noted(metadata: Mapping[str, str], key: str, kind: type[T]) -> T | None:
    """A note that is JSON, as ``kind``; None where there is none or it is something else."""
    try:
        return msgspec.json.decode(metadata[OURS + key], type=kind)
    except (KeyError, ValueError, RecursionError):
        return None


def noted_ties(metadata: Mapping[str, str]) -> list[list[str]]:
    """Groups of names that are one tensor, as noted."""
    return noted(metadata, "ties", list[list[str]]) or []


def noted_requires_grad(metadata: Mapping[str, str]) -> dict[str, bool] | None:
    """``requires_grad`` of every parameter by name, as noted."""
    return noted(metadata, "requires_grad", dict[str, bool])


def noted_aliases(metadata: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Names that a file leaves out, and the name under which it holds the same tensor.

    ``names`` are those that the file holds.  They were noted by us (a group of ties of which some
    names are there and some are not) or by ``safetensors.torch.save_model``, whose metadata lead
    from a name that was left out to the one that was kept.
    """
    known = set(names)
    found = {
        key: value
        for key, value in metadata.items()
        if value in known and key not in known and key != "format" and not key.startswith(OURS)
    }
    for group in noted_ties(metadata):
        kept = next((name for name in group if name in known), None)
        if kept is not None:
            found.update({name: kept for name in group if name not in known})
    return found
