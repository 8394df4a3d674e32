"""The walk through a live model: every module, parameter, buffer and plain attribute, in preorder.

It reads the instance dictionaries and nothing else: no ``getattr`` on a module, no property, no
method and no ``__iter__`` of a user's class runs (reading ``.weight`` of a parametrized module
would).  It keeps its own stack, so depth and cycles do no harm, and copies each dictionary before
it iterates, so a training thread may change the model meanwhile.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from inspector_app.protocol.table import Flag, Role

MAX_REPEATED = 100_000  # rows shown again below modules reached again; beyond: references

# A row's facts in one integer, so that the walk appends once: class index | role | flags.
CLASS_SHIFT = 40
ROLE_SHIFT = 32

_MODULE = int(Role.MODULE) << ROLE_SHIFT
_PARAMETER = int(Role.PARAMETER) << ROLE_SHIFT | int(Flag.TENSOR)
_BUFFER = int(Role.BUFFER) << ROLE_SHIFT | int(Flag.TENSOR)
_ATTRIBUTE = int(Role.ATTRIBUTE) << ROLE_SHIFT
_TENSOR = int(Flag.TENSOR)
_PERSISTENT = int(Flag.PERSISTENT)
_SEEN_BY_OPTIMIZER = int(Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED)
_MOVED = int(Flag.MOVED)
_SAVED = int(Flag.SAVED)
_ITEM = int(Flag.ITEM)
_REPEATED = int(Flag.REPEATED)
_REFERENCE = int(Flag.REFERENCE)
_CONTAINER = int(Flag.CONTAINER)
_IN_MODEL = int(Flag.IN_MODEL)

#: The instance dictionary of a module, whatever its class overrides.
instance_dict: Any = nn.Module.__dict__["__dict__"].__get__

#: What every module holds; all else in an instance dictionary is somebody's attribute.
STANDARD = frozenset(nn.Module().__dict__) | {
    # of scripted and traced modules
    *("_c", "_concrete_type", "_initializing", "_actual_script_module", "_name")
}


# What the walk does with a value, by its type.  Plain integers: an Enum's members cost the loop
# more to compare than all else.
Kind = int
OTHER, NONE, NUMBER, TENSOR, MODULE, CONTAINER = range(6)


def kind_of(cls: type) -> Kind:
    """Kind of all values of a type; asks the type only, since ``isinstance`` asks the value."""
    if issubclass(cls, nn.Module):
        return MODULE
    if issubclass(cls, Tensor):
        return TENSOR
    if issubclass(cls, (list, tuple, dict, set, frozenset, deque)):
        return CONTAINER
    if issubclass(cls, (int, float, complex)):
        return NUMBER
    return NONE if cls is type(None) else OTHER


def is_of_torch(cls: type) -> bool:
    """Whether a module's class is torch's own, with all its bases.

    The classes that torch makes of a user's one (parametrizations do) are the user's.
    """
    for base in cls.__mro__:
        module = base.__dict__.get("__module__")
        if not issubclass(base, nn.Module):
            continue
        if not isinstance(module, str) or module.partition(".")[0] != "torch":
            return False
    return True


def class_name(cls: type) -> str:
    """Name of a class as it was defined."""
    return str(type.__dict__["__name__"].__get__(cls))


def items_of(mapping: Any) -> tuple[tuple[Any, Any], ...]:
    """A copy of the items of ``_modules``, ``_parameters`` or ``_buffers``."""
    if issubclass(type(mapping), dict):
        return tuple(dict.items(mapping))
    if type(mapping).__module__ == "torch.jit._script":  # read-only views of a scripted module
        return tuple(mapping.items())
    return ()


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


@dataclass
class Walk:
    """Rows in preorder: one list per fact, all of one length."""

    names: list[str] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)  # class index | role | flags
    classes: list[str] = field(default_factory=list)
    unregistered: list[int] = field(default_factory=list)  # module rows outside of the model


class _Containers:
    """Which plain containers hold tensors or modules, at any depth."""

    def __init__(self, kinds: _Kinds) -> None:
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


class _Kinds(dict[type, Kind]):
    """Kinds by type, learnt once each."""

    def __missing__(self, cls: type) -> Kind:
        self[cls] = kind = kind_of(cls)
        return kind


class _ClassCodes(dict[type, int]):
    """Shifted class indices by type, numbered as they are met."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names
        self._by_name: dict[str, int] = {}

    def __missing__(self, cls: type) -> int:
        name = class_name(cls)
        index = self._by_name.setdefault(name, len(self._names))
        if index == len(self._names):
            self._names.append(name)
        self[cls] = code = index << CLASS_SHIFT
        return code


class _ModuleClass:
    """What the walk knows of a class of modules."""

    __slots__ = ("code", "extras", "is_users", "keys")

    def __init__(self, code: int, is_users: bool) -> None:
        self.code = code
        self.is_users = is_users
        # Of the instance met last: most have the same attributes as the one before.
        self.keys: frozenset[str] = frozenset()
        self.extras: tuple[str, ...] = ()  # keys that are not STANDARD, in order

    def learn(self, own: dict[str, Any]) -> None:
        """Remember the attributes of an instance."""
        keys = tuple(own)
        self.keys = frozenset(keys)
        self.extras = tuple(key for key in keys if key not in STANDARD)


class _ModuleClasses(dict[type, _ModuleClass | None]):
    """Classes of modules, learnt once each; None for all other classes."""

    def __init__(self, codes: _ClassCodes) -> None:
        super().__init__()
        self._codes = codes

    def __missing__(self, cls: type) -> _ModuleClass | None:
        is_module = issubclass(cls, nn.Module)
        self[cls] = found = (
            _ModuleClass(self._codes[cls], not is_of_torch(cls)) if is_module else None
        )
        return found


def _registered(module: nn.Module, own: dict[str, Any]) -> tuple[dict[Any, Any], ...]:
    """Parameters, buffers and modules of a module where they are not three plain dicts."""
    traced = own.get("_actual_script_module")
    source = instance_dict(traced) if issubclass(type(traced), nn.Module) else own
    return tuple(
        dict(items_of(source.get(held))) for held in ("_parameters", "_buffers", "_modules")
    )


def walk(root: nn.Module) -> Walk:
    """All rows of a model; see :func:`inspector_app.backend.tree.build_tree` for the rules.

    One loop with local names and no call per row: sixty thousand modules are read in about the
    time that torch takes to name them.
    """
    rows = Walk()
    names, objects, parents, codes = rows.names, rows.objects, rows.parents, rows.codes
    add_name, add_object = names.append, objects.append
    add_parent, add_code = parents.append, codes.append
    kinds, class_codes = _Kinds(), _ClassCodes(rows.classes)
    module_classes = _ModuleClasses(class_codes)
    containers = _Containers(kinds)
    seen: dict[int, int] = {}  # id of a module or container -> _IN_MODEL where seen registered
    opened: set[int] = set()  # ids of those that have rows on the stack: only they can nest
    repeated = 0

    def met_again(value: Any, parent: int, in_model: int) -> int:
        """Flags of a module or container that was shown before."""
        position = parent if id(value) in opened else -1
        while position >= 0:
            if objects[position] is value:
                return _REPEATED | _REFERENCE
            position = parents[position]
        if in_model > seen[id(value)]:  # its tensors are registered after all: show that
            seen[id(value)] = in_model
            return _REPEATED
        return _REPEATED if repeated < MAX_REPEATED else _REPEATED | _REFERENCE

    # Rows still to come, by level: names and values, position of their parent, code so far.
    level: Iterator[tuple[str, Any]] = iter((("", root),))
    parent, code = -1, _MODULE | _IN_MODEL
    stack = [(level, parent, code)]
    while stack:
        level, parent, code = stack[-1]
        for name, value in level:
            cls = type(value)
            found = module_classes[cls]
            identity = id(value)
            again = 0
            if found is None:
                kind = kinds[cls]
                row = class_codes[cls] | (code if code & _ATTRIBUTE else _ATTRIBUTE)
                if kind == CONTAINER:
                    row |= _CONTAINER
                    if identity in seen:
                        again = met_again(value, parent, 0)
                        row |= again
                    seen.setdefault(identity, 0)
                elif kind == TENSOR:
                    row |= _TENSOR
                position = len(names)
                add_name(name)
                add_object(value)
                add_parent(parent)
                add_code(row)
                if kind != CONTAINER or again & _REFERENCE:
                    continue
                held = [
                    (item, inner)
                    for item, inner in container_items(value)
                    if kinds[type(inner)] in (TENSOR, MODULE)
                    or (kinds[type(inner)] == CONTAINER and containers.holds(inner))
                ]
                repeated += len(held) if again else 0
                opened.add(identity)
                stack.append((iter(held), position, _ATTRIBUTE | _ITEM | again))
                break

            users = found.is_users
            in_model = code & _IN_MODEL
            if identity in seen:
                again = met_again(value, parent, in_model)
            else:
                seen[identity] = in_model
            position = len(names)
            add_name(name)
            add_object(value)
            add_parent(parent)
            add_code(code | found.code | again)
            if not in_model:
                rows.unregistered.append(position)
            if again & _REFERENCE:
                continue
            own = instance_dict(value)
            parameters, buffers = own.get("_parameters"), own.get("_buffers")
            modules = own.get("_modules")
            if not type(parameters) is type(buffers) is type(modules) is dict:
                parameters, buffers, modules = _registered(value, own)
            if again:
                repeated += 1 + len(parameters) + len(buffers)
            if parameters:
                known = _PARAMETER | again | (_SEEN_BY_OPTIMIZER if in_model else 0)
                for name, tensor in tuple(parameters.items()):
                    cls = type(tensor)
                    if kinds[cls] == TENSOR:
                        add_code(known | class_codes[cls])
                    elif users and tensor is None:
                        add_code(_ATTRIBUTE | again | class_codes[cls])
                    else:
                        continue
                    add_name(name)
                    add_object(tensor)
                    add_parent(position)
            if buffers:
                passing = own.get("_non_persistent_buffers_set") or ()
                moved = _BUFFER | again | (_MOVED if in_model else 0)
                saved = moved | _PERSISTENT | (_SAVED if in_model else 0)
                for name, tensor in tuple(buffers.items()):
                    cls = type(tensor)
                    if kinds[cls] == TENSOR:
                        add_code((moved if name in passing else saved) | class_codes[cls])
                    elif users and tensor is None:
                        add_code(_ATTRIBUTE | again | class_codes[cls])
                    else:
                        continue
                    add_name(name)
                    add_object(tensor)
                    add_parent(position)

            # Registered modules come first, then plain attributes, so that what is registered
            # shows before its aliases.
            if own.keys() != found.keys:
                found.learn(own)
            attributes = []
            for name in found.extras:
                held_value = own.get(name)
                kind = kinds[type(held_value)]
                if kind == OTHER or (kind <= NUMBER and not users):
                    continue
                if kind == CONTAINER and (
                    not containers.holds(held_value)
                    or containers.repeats(held_value, (parameters, buffers, modules))
                ):
                    continue
                attributes.append((name, held_value))
            if attributes:
                stack.append((iter(attributes), position, _ATTRIBUTE | again))
            if modules:
                children = tuple(
                    [
                        (name, child)
                        for name, child in tuple(modules.items())
                        if module_classes[type(child)] or (child is None and users)
                    ]
                )
                stack.append((iter(children), position, _MODULE | again | in_model))
            if attributes or modules:
                opened.add(identity)
                break
        else:
            stack.pop()
    return rows
