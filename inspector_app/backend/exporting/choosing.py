"""Which keys of a state dict patterns mean, and the names that they get in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import translate
from itertools import accumulate
from re import compile as compile_pattern

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Rename

_DEPTH = 32  # dotted prefixes of a key that patterns may mean


def keys_matching(names: Sequence[str], patterns: Iterable[str]) -> set[str]:
    """Keys that any of the patterns means.

    A pattern that is a key, or a dotted prefix of keys, means that and all below it; any other is a
    glob over keys and their prefixes (case-sensitive, ``*`` crosses dots).

    Raises RequestError naming a pattern that means nothing.
    """
    below: dict[str, list[str]] = {"": list(names)}
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


def renamed(name: str, renames: Iterable[Rename]) -> str:
    """The name after the first of ``renames`` that fits it; the same where none does."""
    for rename in renames:
        if name.startswith(rename.old):
            return rename.new + name[len(rename.old) :]
    return name


def check_renames(names: Sequence[str], renames: Iterable[Rename]) -> None:
    """Raise RequestError naming a renaming that fits no key, or only keys that others renamed."""
    left = list(names)
    for rename in renames:
        fitting = [name for name in left if name.startswith(rename.old)]
        left = [name for name in left if not name.startswith(rename.old)]
        if fitting:
            continue
        if any(name.startswith(rename.old) for name in names):
            which = f' that begin with "{rename.old}"' if rename.old else ""
            raise RequestError(
                f"All keys{which} are renamed by what stands before that already, and the first "
                "that fits counts: put it first, or leave it out."
            )
        raise RequestError(
            f'No key to be written begins with "{rename.old}", so nothing can be renamed to '
            f'begin with "{rename.new}".'
        )


def collisions(new_names: dict[str, str]) -> dict[str, str]:
    """Reasons by key against new names that are empty or that several keys would have."""
    first: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for key, name in new_names.items():
        other = first.setdefault(name, key)
        if not name and key:
            reasons[key] = "nothing is left of its name"
        elif other != key:
            reasons[key] = f'it would be named "{name}", and so would "{other}"'
            reasons.setdefault(other, f'it would be named "{name}", and so would "{key}"')
    return reasons
