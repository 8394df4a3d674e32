"""What a checkpoint's pickle holds, as names: tensors, and plain values beside them.

The state dict may be the whole of it or stand under a name such as ``state_dict``, with an
optimizer and numbers beside it; a module pickled whole holds it in its ``_parameters``,
``_buffers`` and ``_modules``.  Names of the state dict are its own keys; all else is named by the
path that leads to it.  Plain attributes of a module are told in the one row of the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from inspector_app.backend.formats.pickle_reader import OPCODES_LIMIT
from inspector_app.backend.formats.pickle_values import Foreign, Global, Items, Members
from inspector_app.backend.formats.torch_storages import Role, Storage, StoredTensor
from inspector_app.backend.formats.values import PlainValue

# For each instruction that may be followed.
_ROWS = 1 / 8
_STEPS = 3 / 4  # values looked at
# ... and what is looked at in a description of so many bytes, unless it refers to the same values
# again and again.
_FEW_STEPS = 50_000
_STEPS_A_BYTE = 2
_CHARACTERS = 16  # of all names
_DEPTH = 64
_LONG = 64  # a list of more plain values is one row
_TEXT = 200  # characters of a value that are shown
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
    *("params_ema", "params", "ema_state_dict", "ema", "generator", "weights"),
)
_USUAL = frozenset(WRAPPERS)
BESIDE = " (beside the state dict)"  # behind a name that the state dict has as well
_MODULE_PARTS: dict[str, Role] = {"_parameters": "parameter", "_buffers": "buffer", "_modules": ""}
_PLAIN = (bool, int, float, str, bytes, type(None))


class Listing(msgspec.Struct):
    """All names.  ``state`` are those of the state dict, in order; the others stand beside it.

    ``beside`` names what stands there as a whole, ``others`` lead to state dicts among that.
    ``nested`` are keys of the state dict that are no row, but whose values have rows of their own.
    ``model`` names the class of what may be a module, where the file holds such an object.
    """

    tensors: dict[str, StoredTensor]
    values: dict[str, PlainValue]
    state: list[str]
    wrapper: str = ""  # where the state dict was found
    model: str = ""
    nested: list[str] = []
    beside: list[str] = []
    others: list[str] = []


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


def _is_plain(value: Any) -> bool:
    """Whether a value is told in a few characters."""
    if type(value) is tuple:
        return len(value) <= 8 and all(type(part) in _PLAIN for part in value)
    return type(value) in _PLAIN or type(value) is Global


def _attributes(module: Foreign) -> str:
    """The plain attributes of a module that was not made, and its empty slots."""
    assert type(module.state) is Items  # or it is no module
    said: list[str] = []
    for name, held in module.state.pairs():
        if type(name) is not str:  # and so of unknown cost to compare or to hash
            continue
        if name in _MODULE_PARTS and type(held) is Items:
            said += [f"{_key(key)}=None" for key, part in held.pairs() if part is None]
        elif not name.startswith("_") and _is_plain(held):
            said.append(
                f"{_key(name)}={_cut(str(held)) if type(held) is tuple else _spoken(held)[1]}"
            )
        if sum(map(len, said)) > _TEXT:
            break
    return ", ".join(said)


class _Lister:
    """Walks values with a stack of its own: they may be nested without end, or hold themselves."""

    def __init__(self, limit: int, size: int) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.values: dict[str, PlainValue] = {}
        self._steps = 0
        self._most_steps = min(_STEPS * limit, _FEW_STEPS + _STEPS_A_BYTE * size)
        self._characters = 0
        self._limit = limit
        self._listed: dict[int, str] = {}  # by identity, what holds no tensors, and its path

    def _row(self, path: str, value: Any, said: tuple[str, str] | None = None) -> None:
        """Add a row; of two with one path, the later one gets a number."""
        number, wanted = 2, path
        while path in self.tensors or path in self.values:
            path, number = f"{wanted} ({number})", number + 1
            self._step()
        self._count(1, len(path))
        if type(value) is StoredTensor:
            self.tensors[path] = value
        else:
            kind, text = said or _spoken(value)
            plain = value if type(value) in (bool, int, float, type(None)) else None
            foreign = type(value) is Foreign and kind != "torch.device"
            self.values[path] = PlainValue(path, kind, text, plain, foreign)

    def _count(self, rows: int, characters: int) -> None:
        """Count rows that are about to be added."""
        if len(self.tensors) + len(self.values) + rows > _ROWS * self._limit:
            raise ValueError(f"it holds more than {int(_ROWS * self._limit):,} values")
        self._characters += characters
        if self._characters > _CHARACTERS * self._limit:
            raise ValueError("its names are too long")

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > self._most_steps:
            raise ValueError("it holds the same values again and again")

    def _below(self, value: Any) -> list[tuple[str, Any]] | None:
        """What a value holds, by name; None for a value that is one row."""
        kind = type(value)
        if kind is Items:
            self._step(len(value) // 2)
            return [(_key(key), held) for key, held in value.pairs()]
        if kind is list or kind is tuple or kind is Members:
            held = value.values if kind is Members else value
            self._step(min(len(held), _LONG))
            if all(type(part) in _PLAIN for part in held[:_LONG]) and (
                kind is tuple or len(held) > _LONG or kind is Members
            ):
                return None
            self._step(len(held))
            return [(str(number), part) for number, part in enumerate(held)]
        if kind is Foreign:
            if _is_module(value):
                return list(self._of_module(value))
            found: list[tuple[str, Any]] = []
            for held in (value.state, value.pairs, value.items):
                if held is not None and type(held) in (Items, list):
                    found += self._below(held) or []
            return found
        return None

    def _of_module(self, module: Foreign) -> Iterator[tuple[str, Any]]:
        """What a module holds, by its own names, but for plain attributes.

        Each tensor tells as what it is held.
        """
        passing = module.state.get("_non_persistent_buffers_set")
        words = passing.values if type(passing) is Members else ()
        self._step(len(words))
        unsaved = {word for word in words if type(word) is str}
        for name, held in self._below(module.state) or []:
            if name in _MODULE_PARTS and type(held) is Items:
                role = _MODULE_PARTS[name]
                for key, part in self._below(held) or []:
                    if type(part) is StoredTensor:
                        saved = bool(role) and not (role == "buffer" and key in unsaved)
                        facts = {"role": role or "attribute", "saved": saved}
                        yield key, msgspec.structs.replace(part, **facts)
                    elif part is not None:
                        yield key, part
            elif type(held) is StoredTensor:
                yield name, msgspec.structs.replace(held, role="attribute", saved=False)
            elif not (_is_plain(held) or name.startswith("_")):
                yield name, held

    def walk(self, path: str, value: Any) -> None:
        """Rows of a value and all below it."""
        above: dict[int, int] = {}  # what stands above, and how many tensors there were before it
        # A third part leaves the value of that identity.
        stack: list[tuple[str, Any, int]] = [(path, value, 0)]
        while stack:
            path, value, leaving = stack.pop()
            if leaving:
                if above.pop(leaving) == len(self.tensors):
                    self._listed[leaving] = path
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
            if mark in self._listed:
                same = self._listed[mark] or "the whole file"
                self._row(path, value, (_spoken(value)[0], f"the same as {_cut(same)}"))
                continue
            if len(above) >= _DEPTH:
                self._row(path, value, (_spoken(value)[0], "nested too deep to be shown"))
                continue
            below = self._below(value)
            if _is_module(value):
                said = _spoken(value)[0], _attributes(value) or "a module; nothing of it was made"
                self._row(path or "(the whole file)", value, said)
            elif kind is Foreign or not below:
                self._row(path or "(the whole file)", value)
            if not below:
                continue
            above[mark] = len(self.tensors)
            stack.append((path, None, mark))
            prefix = f"{path}." if path else ""
            stack += [(prefix + name, part, 0) for name, part in reversed(below)]

    def flat(self, pairs: list[tuple[Any, Any]]) -> None:
        """Rows of a dictionary; most have nothing in them but tensors."""
        if all(type(key) is str and type(held) is StoredTensor for key, held in pairs):
            self._count(len(pairs), sum(len(key) for key, _ in pairs))
            self.tensors.update(pairs)
            return
        for key, value in pairs:
            if type(value) is StoredTensor:
                self._row(_key(key), value)
            else:
                self.walk(_key(key), value)


def _direct(value: Any) -> list[tuple[Any, Any]]:
    return value.pairs() if type(value) is Items else []


def _has_tensors(value: Any) -> bool:
    return any(type(held) is StoredTensor for held in (value[1::2] if type(value) is Items else ()))


def _usual(value: Any) -> dict[str, Any]:
    """What stands under one of the usual names."""
    pairs = zip(value[::2], value[1::2], strict=True) if type(value) is Items else ()
    return {key: held for key, held in pairs if type(key) is str and key in _USUAL}


def _find_state(root: Any) -> tuple[list[str], Any]:
    """The names that lead to the state dict, and it; the root where nothing else is it."""
    names: list[str] = []
    value = root
    for _ in range(4):
        if type(value) is not Items:
            break
        known = _usual(value)
        for name in WRAPPERS:
            held = known.get(name)
            inner = type(held) is Items and any(type(held.get(word)) is Items for word in WRAPPERS)
            if _has_tensors(held) or _is_module(held) or inner:
                names.append(name)
                value = held
                break
        else:
            break
    if names and not (_has_tensors(value) or _is_module(value)):
        return [], root
    return names, value


def _model(root: Any, state: Any) -> str:
    """The class of what may be a module: the state itself, the root, or what a usual name holds."""
    if _is_module(state):
        return _cut(state.full_name)
    for value in (root, *_usual(root).values()):
        if type(value) is Foreign and value.full_name != "torch.device":
            return _cut(value.full_name)
    return ""


def list_values(root: Any, size: int, limit: int = OPCODES_LIMIT) -> Listing:
    """All names in what a pickle of ``size`` bytes described.

    ``limit`` is the number of instructions that were followed at most.  Raises ValueError where
    there is more than so many can make.
    """
    names, state = _find_state(root)
    lister = _Lister(limit, size)
    if type(state) is Items:
        lister.flat(state.pairs())
    else:
        lister.walk("", state)
    in_state = [name for name, entry in lister.tensors.items() if entry.saved]
    nested: list[str] = []
    if type(state) is Items and _has_tensors(state):
        in_state += lister.values  # extra state, which an export has to refuse
        rows = {*lister.tensors, *lister.values}
        nested = [key for key in map(_key, state[::2]) if key not in rows]
    if names:  # or there is nothing beside it
        first_words = {name.split(".", 1)[0] for name in (*lister.tensors, *lister.values)}
    listing = Listing(lister.tensors, lister.values, in_state, ".".join(names), nested=nested)
    holder, above = root, ""
    for depth, name in enumerate(names):
        for key, value in _direct(holder):
            word = _key(key)
            if word == name and type(key) is str:
                continue
            if not depth and word in first_words:
                word += BESIDE
            lister.walk(above + word, value)
            listing.beside.append(above + word)
            inner, found = _find_state(value)
            if _has_tensors(found) or _is_module(found):
                listing.others.append(".".join((above + word, *inner)))
        holder, above = holder.get(name), f"{above}{name}."
    listing.model = _model(root, state)
    return listing
