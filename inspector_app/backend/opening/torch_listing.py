"""What a checkpoint's pickle holds, as names: tensors, and plain values beside them.

The state dict may be the whole of it or stand under a name such as ``state_dict``, with an
optimizer and numbers beside it; a module pickled whole holds it in its ``_parameters``,
``_buffers`` and ``_modules``.  Names of the state dict are its own keys; all else is named by the
path that leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from inspector_app.backend.opening.pickle_values import Foreign, Global, Items, Members
from inspector_app.backend.opening.torch_values import Storage, StoredTensor
from inspector_app.backend.opening.values import PlainValue

ROWS_LIMIT = 250_000
_STEPS_LIMIT = 1_500_000  # values looked at
_CHARACTERS_LIMIT = 32_000_000  # of all names
_DEPTH = 64
_LONG = 64  # a list of more plain values is one row
_TEXT = 200  # characters of a value that are shown
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
    *("params_ema", "params", "ema_state_dict", "ema", "generator", "weights"),
)
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")
_PLAIN = (bool, int, float, str, bytes, type(None))


class Listing(msgspec.Struct):
    """All names.  ``state`` are those of the state dict, in order; the others stand beside it."""

    tensors: dict[str, StoredTensor]
    values: dict[str, PlainValue]
    state: list[str]
    wrapper: str = ""  # where the state dict was found


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _spoken(value: Any) -> tuple[str, str]:
    """Class and text of a value that is shown in one row."""
    kind = type(value)
    if kind in _PLAIN:
        if kind in (str, bytes):
            return kind.__name__, _cut(repr(value[:_TEXT]))
        return kind.__name__, _cut(str(value)) if kind is not int else _cut(f"{value:d}")
    if kind is Global:
        return "name", _cut(value.full_name)
    if kind is Storage:
        return "Storage", f"{value.nbytes:,} bytes of {value.dtype}"
    if kind is Foreign:
        return _foreign(value)
    if kind is Items:
        return value.kind, f"{len(value) // 2:,} items"
    if kind is Members:
        return value.kind, f"{len(value.values):,} values"
    if kind in (list, tuple):
        short = len(value) <= 8 and all(type(part) in (bool, int, float) for part in value)
        return kind.__name__, _cut(str(value)) if short else f"{len(value):,} values"
    return kind.__name__, ""


def _foreign(value: Foreign) -> tuple[str, str]:
    """Class and text of an object that was not made."""
    if (value.module, value.name) == ("torch", "device"):
        return "torch.device", _cut(":".join(str(part) for part in value.arguments))
    return _cut(value.full_name), "not loaded: its class would run code of its own"


def _is_module(value: Any) -> bool:
    """Whether a value is a module that was pickled whole."""
    state = value.state if type(value) is Foreign else None
    return type(state) is Items and type(state.get("_modules")) is Items


def _key(key: Any) -> str:
    """A key as a part of a path."""
    if type(key) is str:
        return key
    if type(key) in (bool, int, float, type(None)):
        return _cut(str(key))
    return f"<{_spoken(key)[0]}>"


class _Lister:
    """Walks values with a stack of its own: they may be nested without end, or hold themselves."""

    def __init__(self) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.values: dict[str, PlainValue] = {}
        self._steps = 0
        self._characters = 0

    def _row(self, path: str, value: Any, said: tuple[str, str] | None = None) -> None:
        """Add a row; of two with one path, the later one gets a number."""
        number, wanted = 2, path
        while path in self.tensors or path in self.values:
            path, number = f"{wanted} ({number})", number + 1
            self._step()
        self._characters += len(path)
        if len(self.tensors) + len(self.values) >= ROWS_LIMIT:
            raise ValueError(f"it holds more than {ROWS_LIMIT:,} values")
        if self._characters > _CHARACTERS_LIMIT:
            raise ValueError("its names are too long")
        if type(value) is StoredTensor:
            self.tensors[path] = value
        else:
            kind, text = said or _spoken(value)
            plain = value if type(value) in (bool, int, float, type(None)) else None
            foreign = type(value) is Foreign and kind != "torch.device"
            self.values[path] = PlainValue(path, kind, text, plain, foreign)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _STEPS_LIMIT:
            raise ValueError("it holds the same values again and again")

    def _below(self, value: Any) -> list[tuple[str, Any]] | None:
        """What a value holds, by name; None for a value that is one row."""
        kind = type(value)
        if kind is Items:
            self._steps += len(value) // 2
            return [(_key(key), held) for key, held in value.pairs()]
        if kind is list or kind is tuple or kind is Members:
            held = value.values if kind is Members else value
            self._steps += min(len(held), _LONG)
            if all(type(part) in _PLAIN for part in held[:_LONG]) and (
                kind is tuple or len(held) > _LONG or kind is Members
            ):
                return None
            self._steps += len(held)
            return [(str(number), part) for number, part in enumerate(held)]
        if kind is Foreign:
            found: list[tuple[str, Any]] = []
            for held in (value.state, value.pairs, value.items):
                if held is not None and type(held) in (Items, list):
                    found += self._below(held) or []
            if _is_module(value):
                found = list(self._of_module(found))
            return found
        return None

    def _of_module(self, found: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Attributes of a module: tensors and modules by their own names, no empty registries."""
        for name, held in found:
            if name in _MODULE_PARTS and type(held) is Items:
                yield from ((key, part) for key, part in self._below(held) or [])
            elif not (type(held) in (Items, Members, list) and name.startswith("_")):
                yield name, held

    def walk(self, path: str, value: Any) -> None:
        """Rows of a value and all below it."""
        above: set[int] = set()
        # None leaves the value whose number stands in the path's place.
        stack: list[tuple[str, Any, int]] = [(path, value, 0)]
        while stack:
            path, value, leaving = stack.pop()
            if leaving:
                above.discard(leaving)
                continue
            self._step()
            kind = type(value)
            if kind is StoredTensor or kind in _PLAIN:
                self._row(path, value)
                continue
            mark = id(value)
            if mark in above:
                self._row(path, value, (_spoken(value)[0], "holds itself: shown further up"))
                continue
            below = self._below(value)
            if kind is Foreign or not below:
                self._row(path or "(the whole file)", value)
            if not below:
                continue
            if len(above) >= _DEPTH:
                self._row(path, value, (_spoken(value)[0], "nested too deep to be shown"))
                continue
            above.add(mark)
            stack.append(("", None, mark))
            prefix = f"{path}." if path else ""
            stack += [(prefix + name, part, 0) for name, part in reversed(below)]


def _direct(value: Any) -> list[tuple[Any, Any]]:
    return value.pairs() if type(value) is Items else []


def _has_tensors(value: Any) -> bool:
    return any(type(held) is StoredTensor for held in (value[1::2] if type(value) is Items else ()))


def _find_state(root: Any) -> tuple[list[str], Any]:
    """The names that lead to the state dict, and it; the root where nothing else is it."""
    names: list[str] = []
    value = root
    for _ in range(4):
        if type(value) is not Items:
            break
        known = {key: held for key, held in value.pairs() if type(key) is str}
        for name in _WRAPPERS:
            held = known.get(name)
            inner = type(held) is Items and any(type(held.get(word)) is Items for word in _WRAPPERS)
            if _has_tensors(held) or _is_module(held) or inner:
                names.append(name)
                value = held
                break
        else:
            break
    if names and not (_has_tensors(value) or _is_module(value)):
        return [], root
    return names, value


def list_values(root: Any) -> Listing:
    """All names in what a pickle described; raises ValueError where there are too many."""
    names, state = _find_state(root)
    lister = _Lister()
    for key, value in _direct(state) if not _is_module(state) else []:
        # Most of them: a key and its tensor.
        if type(value) is StoredTensor:
            lister._row(_key(key), value)
        else:
            lister.walk(_key(key), value)
    if type(state) is not Items:
        lister.walk("", state)
    kept = [name for name, value in lister.values.items() if not _is_module(value)]
    in_state = [*lister.tensors]
    if type(state) is Items and _has_tensors(state):
        in_state += kept  # extra state, which an export has to refuse
    first_words = {name.split(".", 1)[0] for name in (*lister.tensors, *lister.values)}
    beside, above = root, ""
    for depth, name in enumerate(names):
        for key, value in _direct(beside):
            word = _key(key)
            if word == name and type(key) is str:
                continue
            if not depth and word in first_words:
                word = f"{word} (beside the state dict)"
            lister.walk(above + word, value)
        beside, above = beside.get(name), f"{above}{name}."
    return Listing(lister.tensors, lister.values, in_state, ".".join(names))
