"""What the files that we export note in their metadata, under keys that begin with our name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

OURS = "model_inspector."
PAYLOAD = f"{OURS}payload"  # hash of all that the file says and holds
PAYLOAD_PREFIX = "sha256:"

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
