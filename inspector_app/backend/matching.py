"""Which key of a file means which key of a model, whatever wrapped either of them.

A file may have been saved from a model inside of others (``module.`` of DataParallel, ``model.`` of
a trainer, ``bert.`` of a task head), or the model may be such a one and the file not.  A *prefix*
tells: ``"module."`` is taken off the front of the file's keys, ``"+bert."`` is put before them.
Parts that stand for nothing but a wrapper (``_orig_mod`` of torch.compile and the like) are passed
over wherever they stand, in both; so is ``module``, which a model may have as a name of its own,
where more keys match without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

PUT = "+"  # begins a prefix that is put before the file's keys
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_MAYBE_WRAPPERS = (*_WRAPPERS, "module")
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


def unwrapped(name: str, wrappers: tuple[str, ...] = _WRAPPERS) -> str:
    """A key, or the beginning of one that ends in a dot, without parts that wrappers make.

    The last part is the tensor's own name.
    """
    if not any(word in name for word in wrappers):
        return name
    *parts, last = name.split(".")
    return ".".join([*(part for part in parts if part not in wrappers), last])


def _unwrap(names: Iterable[str], wrappers: tuple[str, ...]) -> _Unwrapped:
    """Of several keys that come to the same, the one without wrappers counts, or the first."""
    may_wrap = re.compile("|".join(wrappers)).search
    found: dict[str, str] = {}
    met: dict[str, None] = {}
    for name in names:
        bare = unwrapped(name, wrappers) if may_wrap(name) else name
        if bare != name:
            met.update((part, None) for part in name.split(".") if part in wrappers)
        if bare not in found or bare == name:
            found[bare] = name
    return _Unwrapped(found, list(met))


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

    ``prefix`` None finds the one under which most match, and passes over ``module`` where more do
    without it; ``same_shape`` decides between several that match as many.
    """
    found = _match(names, keys, prefix, same_shape, _WRAPPERS)
    if prefix is not None or len(found.files) == len(keys):
        return found
    if not any("module" in name for name in (*names, *keys)):
        return found
    without = _match(names, keys, prefix, same_shape, _MAYBE_WRAPPERS)
    return without if len(without.files) > len(found.files) else found


def _match(
    names: Sequence[str],
    keys: Sequence[str],
    prefix: str | None,
    same_shape: SameShape,
    wrappers: tuple[str, ...],
) -> Matches:
    """The same, with these parts of keys passed over."""
    theirs, ours = _unwrap(names, wrappers), _unwrap(keys, wrappers)
    notes: list[str] = []
    asked = prefix
    if prefix is None:
        prefix, rivals = _find(theirs.names, ours.names, same_shape)
        if rivals:
            notes.append(
                f"“{rivals[0].removeprefix(PUT)}” would match as many keys as "
                f"“{prefix.removeprefix(PUT)}”: name the prefix to choose"
            )
    front = unwrapped(prefix.removeprefix(PUT), wrappers)
    files, collided, as_they_are = _assigned(
        theirs.names, ours.names, front, put=prefix.startswith(PUT)
    )
    for name in names if len(theirs.names) < len(names) else ():
        if (taken := theirs.names[unwrapped(name, wrappers)]) != name:
            collided[name] = taken
    if len(ours.names) < len(keys) and not front:
        # Two keys of the model that differ by a wrapper only: each is what it says.
        exact = set(keys).intersection(names)
        files = {key: name for key, name in files.items() if name not in exact}
        files |= {key: key for key in exact}
    if theirs.wrappers or ours.wrappers:
        met = dict.fromkeys((*theirs.wrappers, *ours.wrappers))
        words = ", ".join(f"“{word}.”" for word in met)
        notes.insert(0, f"{words} of a wrapper is passed over wherever it stands in a key")
    if prefix.startswith(PUT):
        notes.insert(0, f"“{prefix.removeprefix(PUT)}” is put before the file's keys")
    elif front and files:
        prefix = _as_written(prefix, front, names, wrappers)
        notes.insert(0, f"“{prefix}” is taken off the front of the file's keys")
    if as_they_are and asked:
        what = "1 key matches" if as_they_are == 1 else f"{as_they_are:,} keys match"
        notes.append(f"{what} without that prefix, which the file does not have there")
    return Matches(files, prefix, collided, notes)


def _assigned(
    theirs: Mapping[str, str], ours: Mapping[str, str], front: str, *, put: bool
) -> tuple[dict[str, str], dict[str, str], int]:
    """Key of the file for each key of the model, and the file's keys that lost to another one.

    A key that has the prefix wins over one that is the same without it; how many of the latter
    match is told last.
    """
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
    if not files:  # the prefix means none of these keys, so they are not what was asked for
        return {}, {}, 0
    collided: dict[str, str] = {}
    for key, name in second:
        taken = files.setdefault(key, name)
        if taken != name:
            collided[name] = taken
    return files, collided, len(second) - len(collided)


def _as_written(prefix: str, front: str, names: Iterable[str], wrappers: tuple[str, ...]) -> str:
    """A prefix with the wrappers that stand in it, where all keys of the file agree on them."""
    written = ""
    for name in names:
        if not unwrapped(name, wrappers).startswith(front):
            continue
        if not written:
            parts = name.split(".")
            length = front.count(".")
            taken = 0
            while taken < len(parts) and (length or parts[taken] in wrappers):
                length -= parts[taken] not in wrappers
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
