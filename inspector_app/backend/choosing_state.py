"""Which of the state dicts of a file a person means by a prefix.

A file may hold several: the weights and their moving average, a generator and a discriminator.  One
is found by its usual name; a prefix that no key of that has leads to another one.
"""

from __future__ import annotations

import os

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.named_file import PartFile, part_named
from inspector_app.backend.matching import PUT, unwrapped
from inspector_app.backend.planning import name_list
from inspector_app.protocol.errors import RefusedError


def chosen_state(checkpoint: Checkpoint, prefix: str | None) -> tuple[Checkpoint, str | None]:
    """The state dict that a prefix means, and what of the prefix is left to be taken off its keys.

    The rest is None where the prefix ended at a state dict: one inside of it is found by itself.
    Raises RefusedError where no key of the file has the prefix.
    """
    if not prefix or prefix.startswith(PUT):
        return checkpoint, prefix
    if _begins(checkpoint, prefix):
        return checkpoint, prefix
    file = checkpoint.file
    found = part_named(file, prefix)
    if found is not None:
        path, rest = found
        part = Checkpoint(PartFile(file, path), checkpoint.target)
        if not rest or _begins(part, rest):
            return part, rest or None
    elif file.wrapper and f"{prefix}.".startswith(f"{file.wrapper}."):
        rest = prefix[len(file.wrapper) + 1 :]
        if not rest or _begins(checkpoint, rest):
            return checkpoint, rest or None
    raise RefusedError(_unknown(checkpoint, prefix))


def _begins(checkpoint: Checkpoint, prefix: str) -> bool:
    """Whether a key begins with a prefix, parts that wrappers make passed over."""
    names = checkpoint.names()
    if any(name.startswith(prefix) for name in names):
        return True
    front = unwrapped(prefix)
    return bool(front) and any(unwrapped(name).startswith(front) for name in names)


def _unknown(checkpoint: Checkpoint, prefix: str) -> str:
    """The sentence about a prefix that no key has."""
    file = checkpoint.file
    fronts = list(dict.fromkeys(f"“{name.partition('.')[0]}.”" for name in file.state))
    others = [f"“{other}.”" for other in file.others]
    sentence = (
        f"No key of {os.path.basename(checkpoint.path)} begins with the prefix “{prefix}”: they "
        f"begin with {name_list(fronts[:5], len(fronts))}"
    )
    return f"{sentence}, and beside them with {', '.join(others)}." if others else f"{sentence}."


def other_states(checkpoint: Checkpoint) -> list[str]:
    """The note that names the other state dicts of a file, where there are any."""
    return [
        f"also holds {other}: choose it with the prefix “{other}.” (--prefix {other}.)"
        for other in checkpoint.file.others[:5]
    ]
