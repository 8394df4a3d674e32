"""What a pickle describes, as values that do nothing; see :mod:`.pickle_reader`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Builder = Callable[[tuple[Any, ...]], Any]
Make = Callable[[str], Any]  # a tensor of the key of its record

GLOBAL_LENGTH = 1_000  # characters of a module's or a class's name


ELIDED = object()  # stands in the memo for what was not kept


class Elided(Exception):
    """Something is asked for that was not kept: all is to be read again, keeping everything."""


class Broken(Exception):
    """What is wrong with a pickle, as the end of a sentence."""


class Global:
    """A name that the pickle refers to; ``build`` makes what calling it stands for."""

    __slots__ = ("build", "module", "name")

    def __init__(self, module: str, name: str, build: Builder | None = None) -> None:
        self.module = module
        self.name = name
        self.build = build

    @property
    def full_name(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"


class Foreign:
    """What the pickle would make by calling ``module.name(*arguments)``; it was not made.

    ``state`` is what it would then be given as its attributes; ``items`` what would be appended or
    added to it, ``pairs`` keys and values that would be set in it, in turn.
    """

    __slots__ = ("arguments", "items", "module", "name", "pairs", "state")

    def __init__(self, module: str, name: str, arguments: Any = (), state: Any = None) -> None:
        self.module = module
        self.name = name
        self.arguments = arguments
        self.state = state
        self.items: list[Any] | None = None
        self.pairs: Items | None = None

    @property
    def full_name(self) -> str:
        """Module and name of the class, or of the function that would return it."""
        return f"{self.module}.{self.name}" if self.module else self.name


class Items(list[Any]):
    """A dictionary: keys and values in turn, as they were set.  ``kind`` names its class."""

    __slots__ = ("kind", "state")

    def __init__(self, kind: str = "dict") -> None:
        self.kind = kind
        self.state: Any = None

    def pairs(self) -> list[tuple[Any, Any]]:
        """Keys with values; of a key that is text and was set twice, the last, as a dict keeps."""
        keys = self[::2]
        if set(map(type, keys)) == {str}:
            return list(dict(zip(keys, self[1::2], strict=True)).items())
        found = list(zip(keys, self[1::2], strict=True))
        last = {key: value for key, value in found if type(key) is str}
        if len(last) == len(found):
            return list(last.items())
        kept: list[tuple[Any, Any]] = []
        for key, value in found:
            if type(key) is not str:
                kept.append((key, value))
            elif key in last:
                kept.append((key, last.pop(key)))
        return kept

    def get(self, key: str) -> Any:
        """The value of a key that is text; None where there is none."""
        for position in range(len(self) - 2, -1, -2):
            found = self[position]
            if type(found) is str and found == key:
                return self[position + 1]
        return None


class Members:
    """A set: the values that it was given, by the list that holds them."""

    __slots__ = ("kind", "values")

    def __init__(self, values: list[Any] | tuple[Any, ...], kind: str = "set") -> None:
        self.values = values
        self.kind = kind


# What makes a tensor of its record's key, from the function that would make it, the id of its
# storage with an empty key, and the arguments behind the storage.
Prepare = Callable[[Global, tuple[Any, ...], tuple[Any, ...]], Make]


def one_by_one(
    persistent: Callable[[Any], Any],
    function: Global,
    identity: tuple[Any, ...],
    rest: tuple[Any, ...],
) -> Make:
    """What makes each such tensor as if it were the only one."""

    def make(key: str) -> Any:
        arguments = (persistent((*identity[:2], key, *identity[3:])), *rest)
        if function.build is None:
            return Foreign(function.module, function.name, arguments)
        return function.build(arguments)

    return make
