"""Plain lists, tuples, dicts and sets that a module may hold, read past any override."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

from inspector_app.backend.kinds import CONTAINER, MODULE, TENSOR, Kinds, class_name


def _key_text(key: Any, index: int) -> str:
    """A key of a plain dict as it stands in a path."""
    if type(key) is str:
        return f"[{json.dumps(key, ensure_ascii=False)}]"
    if key is None or type(key) in (int, float, bool, bytes):
        return f"[{key!r}]"
    return f"[<{class_name(type(key))} {index}>]"  # its repr would be a user's code


def container_items(container: Any) -> list[tuple[str, Any]]:
    """Names and values in a plain container, read by the built-in type's own iterator."""
    cls = type(container)
    if issubclass(cls, dict):
        pairs = tuple(dict.items(container))
        return [(_key_text(key, i), value) for i, (key, value) in enumerate(pairs)]
    for plain in (list, tuple, set, frozenset, deque):
        if issubclass(cls, plain):
            values = list(plain.__iter__(container))
            return [(f"[{index}]", value) for index, value in enumerate(values)]
    raise TypeError(f"{class_name(cls)} is no plain container")


class Containers:
    """Which plain containers hold tensors or modules, at any depth."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._examined: dict[int, Any] = {}  # keeps them alive, so that ids stay true
        self._holding: set[int] = set()

    def holds(self, container: Any) -> bool:
        """Whether there is a tensor or a module in it."""
        if id(container) not in self._examined:
            self._examine(container)
        return id(container) in self._holding

    def _examine(self, top: Any) -> None:
        owners: dict[int, list[int]] = {}
        found: list[int] = []
        pending = [top]
        self._examined[id(top)] = top
        while pending:
            container = pending.pop()
            for _, value in container_items(container):
                kind = self._kinds[type(value)]
                if kind in (TENSOR, MODULE):
                    found.append(id(container))
                elif kind == CONTAINER:
                    owners.setdefault(id(value), []).append(id(container))
                    if id(value) not in self._examined:
                        self._examined[id(value)] = value
                        pending.append(value)
                    elif id(value) in self._holding:
                        found.append(id(container))
        while found:
            holding = found.pop()
            if holding not in self._holding:
                self._holding.add(holding)
                found.extend(owners.get(holding, ()))

    def repeats(self, container: Any, held: Iterable[dict[Any, Any]]) -> bool:
        """Whether all that it holds is in ``held`` by its owner anyway (LSTM's _flat_weights)."""
        registered = {id(value) for mapping in held for value in tuple(mapping.values())}
        pending, seen = [container], {id(container)}
        while pending:
            for _, value in container_items(pending.pop()):
                kind = self._kinds[type(value)]
                if kind in (TENSOR, MODULE):
                    if id(value) not in registered:
                        return False
                elif kind == CONTAINER and id(value) not in seen:
                    seen.add(id(value))
                    pending.append(value)
        return True

    def held_items(self, container: Any) -> list[tuple[str, Any]]:
        """Names and values of the items that are tensors or modules, or that hold some."""
        return [
            (name, value)
            for name, value in container_items(container)
            if self._kinds[type(value)] in (TENSOR, MODULE)
            or (self._kinds[type(value)] == CONTAINER and self.holds(value))
        ]
