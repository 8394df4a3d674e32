"""Which key of a file means which key of a model, whatever wrapped either of them.

A file may have been saved from a model inside of others (``module.`` of DataParallel, ``model.`` of
a trainer, ``bert.`` of a task head), or the model may be such a one and the file not.  A *prefix*
tells: ``"module."`` is taken off the front of the file's keys, ``"+bert."`` is put before them.
Parts that stand for nothing but a wrapper (``_orig_mod`` of torch.compile and the like) are passed
over wherever they stand, in both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

PUT = "+"  # begins a prefix that is put before the file's keys
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_MAY_WRAP = re.compile("|".join(_WRAPPERS)).search
_KNOWN = frozenset(
    (
        *("module", "model", "net", "network", "state_dict", "model_state_dict"),
        *("_forward_module", "_module"),  # of Lightning's strategies, of Opacus
    )
)
_DEPTH = 12  # parts of a key that are tried as a prefix

SameShape = Callable[[str, str], bool]  # (key of the file, key of the model)


class _Unwrapped(NamedTuple):
    """Keys by what is left of them without wrappers."""

    names: dict[str, str]
    wrappers: list[str]  # those that were met


def unwrapped(name: str) -> str:
    """A key, or the beginning of one that ends in a dot, without parts that wrappers make."""
    if not _MAY_WRAP(name):
        return name
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _unwrap(names: Iterable[str]) -> _Unwrapped:
    """Of several keys that come to the same, the one without wrappers counts, or the first."""
    found: dict[str, str] = {}
    wrappers: dict[str, None] = {}
    for name in names:
        bare = unwrapped(name)
        if bare is not name:
            wrappers.update((part, None) for part in name.split(".") if part in _WRAPPERS)
        if bare not in found or bare == name:
            found[bare] = name
    return _Unwrapped(found, list(wrappers))


@dataclass(frozen=True)
class Matches:
    """Keys of a file and of a model that mean the same."""

    files: dict[str, str]  # key of the model -> key of the file
    prefix: str
    collided: dict[str, str]  # key of the file that is left over -> the one that was taken instead
    notes: list[str]


def match(
    names: Sequence[str],
    keys: Sequence[str],
    prefix: str | None,
    same_shape: SameShape = lambda name, key: True,
) -> Matches:
    """Match the keys of a file (``names``) with those of a model.

    ``prefix`` None finds the one under which most match; ``same_shape`` decides between several
    that match as many.
    """
    theirs, ours = _unwrap(names), _unwrap(keys)
    notes: list[str] = []
    if prefix is None:
        prefix, rivals = _find(theirs.names, ours.names, same_shape)
        if rivals:
            notes.append(
                f"“{rivals[0].removeprefix(PUT)}” would match as many keys as "
                f"“{prefix.removeprefix(PUT)}”: name the prefix to choose"
            )
    files, collided = _assigned(theirs.names, ours.names, prefix)
    for name in names if len(theirs.names) < len(names) else ():
        if (taken := theirs.names[unwrapped(name)]) != name:
            collided[name] = taken
    if len(ours.names) < len(keys) and not unwrapped(prefix):
        # Two keys of the model that differ by a wrapper only: each is what it says.
        files |= {key: key for key in set(keys).intersection(names)}
    if theirs.wrappers or ours.wrappers:
        met = dict.fromkeys((*theirs.wrappers, *ours.wrappers))
        words = ", ".join(f"“{word}.”" for word in met)
        notes.insert(0, f"{words} of a wrapper is passed over wherever it stands in a key")
    if prefix.startswith(PUT):
        notes.insert(0, f"“{prefix.removeprefix(PUT)}” is put before the file's keys")
    elif unwrapped(prefix):
        prefix = _as_written(prefix, names)
        notes.insert(0, f"“{prefix}” is taken off the front of the file's keys")
    return Matches(files, prefix, collided, notes)


def _assigned(
    theirs: Mapping[str, str], ours: Mapping[str, str], prefix: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Key of the file for each key of the model, and the file's keys that lost to another one.

    A key that has the prefix wins over one that is the same without it.
    """
    front = unwrapped(prefix.removeprefix(PUT))
    put = prefix.startswith(PUT)
    files: dict[str, str] = {}
    second: list[tuple[str, str]] = []  # those that match only as they are
    for bare, name in theirs.items():
        if not front:
            candidate = bare
        elif put:
            candidate = front + bare
        else:
            candidate = bare[len(front) :] if bare.startswith(front) else ""
        key = ours.get(candidate)
        if key is not None:
            files[key] = name
        elif front and (put or not bare.startswith(front)) and bare in ours:
            second.append((ours[bare], name))
    collided: dict[str, str] = {}
    for key, name in second:
        taken = files.setdefault(key, name)
        if taken != name:
            collided[name] = taken
    return files, collided


def _as_written(prefix: str, names: Iterable[str]) -> str:
    """A prefix with the wrappers that stand in it, where all keys of the file agree on them."""
    front = unwrapped(prefix)
    written = ""
    for name in names:
        if not unwrapped(name).startswith(front):
            continue
        if not written:
            parts = name.split(".")
            length = front.count(".")
            taken = 0
            while taken < len(parts) and (length or parts[taken] in _WRAPPERS):
                length -= parts[taken] not in _WRAPPERS
                taken += 1
            written = ".".join(parts[:taken]) + "."
        elif not name.startswith(written):
            return front
    return written or prefix


def _fronts(name: str) -> Iterable[tuple[str, str]]:
    """A key cut in two at each of its first dots."""
    at = name.find(".")
    for _ in range(_DEPTH):
        if at < 0:
            return
        yield name[: at + 1], name[at + 1 :]
        at = name.find(".", at + 1)


def _find(
    theirs: Mapping[str, str], ours: Mapping[str, str], same_shape: SameShape
) -> tuple[str, list[str]]:
    """The prefix under which most keys match, and others that are as good.

    None at all wins unless another one matches more.  What is no word that wrappers are known by
    must fit half of the keys in shape as well: by name alone, any layer is like any other.
    """
    plain = sum(bare in ours for bare in theirs)
    least = min(len(theirs), len(ours))
    if plain == least:
        return "", []
    votes: Counter[str] = Counter()
    fitting: Counter[str] = Counter()
    for bare, name in theirs.items():
        for front, rest in _fronts(bare):
            if rest in ours:
                votes[front] += 1
                fitting[front] += same_shape(name, ours[rest])
    for bare, key in ours.items():
        for front, rest in _fronts(bare):
            if rest in theirs:
                votes[PUT + front] += 1
                fitting[PUT + front] += same_shape(theirs[rest], key)

    def known(prefix: str) -> bool:
        return all(part in _KNOWN for part in prefix.removeprefix(PUT)[:-1].split("."))

    def worth(prefix: str) -> tuple[int, int, bool]:
        return votes[prefix], fitting[prefix], known(prefix)

    able = [
        prefix
        for prefix, count in votes.items()
        if count > plain and (known(prefix) or 2 * fitting[prefix] >= least)
    ]
    if not able:
        return "", []
    best = max(able, key=worth)  # the first of those that are equal
    return best, [other for other in able if other != best and worth(other) == worth(best)]
