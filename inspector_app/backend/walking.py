"""The walk through a live model: every module, parameter, buffer and plain attribute, in preorder.

It reads the instance dictionaries and nothing else: no ``getattr`` on a module, no property, no
method and no ``__iter__`` of a user's class runs (reading ``.weight`` of a parametrized module
would).  It keeps its own stack, so depth and cycles do no harm, and copies each dictionary before
it iterates, so a training thread may change the model meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from inspector_app.backend.containers import Containers
from inspector_app.backend.kinds import (
    CONTAINER,
    MODULE,
    NONE,
    NUMBER,
    OTHER,
    TENSOR,
    Kinds,
    class_name,
    computes_or_packs,
    is_of_torch,
)
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
_TRAINING = int(Flag.TRAINING)

#: The dictionaries of a module that hold its hooks.
HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_REGISTERED = ("_parameters", "_buffers", "_modules")
_ALWAYS_THERE = frozenset(("training", *_REGISTERED, *HOOKS))  # in a module that is made in full

#: The instance dictionary of a module, whatever its class overrides.
instance_dict: Any = nn.Module.__dict__["__dict__"].__get__

#: What every module holds; all else in an instance dictionary is somebody's attribute.
STANDARD = frozenset(nn.Module().__dict__) | {
    # of scripted and traced modules
    *("_c", "_concrete_type", "_initializing", "_actual_script_module", "_name")
}


def items_of(mapping: Any) -> tuple[tuple[Any, Any], ...]:
    """A copy of the items of ``_modules``, ``_parameters`` or ``_buffers``."""
    if issubclass(type(mapping), dict):
        return tuple(dict.items(mapping))
    if type(mapping).__module__ == "torch.jit._script":  # read-only views of a scripted module
        return tuple(mapping.items())
    return ()


@dataclass
class Walk:
    """Rows in preorder: one list per fact, all of one length."""

    names: list[str] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)  # class index | role | flags
    classes: list[str] = field(default_factory=list)
    unregistered: list[int] = field(default_factory=list)  # module rows outside of the model
    special: list[int] = field(default_factory=list)  # module rows whose flags ask for a look


class _ModuleClass:
    """What the walk knows of a class of modules."""

    __slots__ = (
        "boring",
        "code",
        "code_in_training",
        "extras",
        "is_special",
        "is_users",
        "is_usual",
        "keys",
    )

    def __init__(self, code: int, cls: type, is_users: bool, boring: set[type]) -> None:
        self.code = code
        self.code_in_training = code | _TRAINING
        self.is_special = computes_or_packs(cls)
        self.is_users = is_users
        self.boring = boring  # types of attributes that are no rows
        # Of the instance met last: most have the same attributes as the one before.
        self.keys: list[str] = []
        self.extras: tuple[str, ...] = ()  # keys that are not STANDARD, in order
        self.is_usual = False  # has hooks and a training flag where every module has them

    def learn(self, keys: list[str]) -> None:
        """Remember the names of an instance's attributes."""
        self.keys = keys
        self.extras = tuple(key for key in keys if key not in STANDARD)
        self.is_usual = not self.is_special and _ALWAYS_THERE.issubset(keys)


class _Types:
    """Types met so far: what the loop has to know of each, in plain dictionaries."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._numbers: dict[str, int] = {}
        self.kinds = Kinds()
        self.modules: dict[type, _ModuleClass] = {}
        self.tensors: dict[type, int] = {}  # their codes
        self._boring: tuple[set[type], set[type]] = (set(), set())  # in torch's classes, in users'

    def code(self, cls: type) -> int:
        """Shifted index of a class among those met."""
        name = class_name(cls)
        index = self._numbers.setdefault(name, len(self._names))
        if index == len(self._names):
            self._names.append(name)
        return index << CLASS_SHIFT

    def kind(self, cls: type) -> int:
        """Kind of a type; enters it where the loop looks first."""
        kind = self.kinds[cls]
        if kind == MODULE and cls not in self.modules:
            is_users = not is_of_torch(cls)
            boring = self._boring[is_users]
            self.modules[cls] = _ModuleClass(self.code(cls), cls, is_users, boring)
        elif kind == TENSOR and cls not in self.tensors:
            self.tensors[cls] = self.code(cls)
        elif kind <= NUMBER:
            self._boring[0].add(cls)
            if kind == OTHER:
                self._boring[1].add(cls)
        return kind


def _registered(module: nn.Module, own: dict[str, Any]) -> tuple[dict[Any, Any], ...]:
    """Parameters, buffers and modules of a module where they are not three plain dicts."""
    traced = own.get("_actual_script_module")
    source = instance_dict(traced) if issubclass(type(traced), nn.Module) else own
    return tuple(dict(items_of(source.get(held))) for held in _REGISTERED)


def walk(root: nn.Module) -> Walk:
    """All rows of a model; see :func:`inspector_app.backend.tree.build_tree` for the rules.

    One loop with local names and no call for the usual row, since a hundred thousand rows are to
    be there in the time of a few walks of torch's own.
    """
    rows = Walk()
    names, objects, parents, codes = rows.names, rows.objects, rows.parents, rows.codes
    add_name, add_object = names.append, objects.append
    add_parent, add_code = parents.append, codes.append
    add_special = rows.special.append
    types = _Types(rows.classes)
    containers = Containers(types.kinds)
    module_class, tensor_code = types.modules.get, types.tensors.get
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
    first: Iterator[tuple[str, Any]] = iter((("", root),))
    stack = [(first, -1, _MODULE | _IN_MODEL)]
    while stack:
        level, parent, code = stack[-1]
        for name, value in level:
            cls = type(value)
            known = module_class(cls)
            again = 0
            if known is None:
                kind = types.kind(cls)
                if kind == MODULE:
                    known = types.modules[cls]
                elif not code & _ATTRIBUTE:  # among registered modules
                    if kind != NONE or not types.modules[type(objects[parent])].is_users:
                        continue
                    code |= _ATTRIBUTE
            position = len(names)
            identity = id(value)
            if known is None:
                row = code | types.code(cls)
                if kind == CONTAINER:
                    row |= _CONTAINER
                    if identity in seen:
                        again = met_again(value, parent, 0)
                    else:
                        seen[identity] = 0
                elif kind == TENSOR:
                    row |= _TENSOR
                add_name(name)
                add_object(value)
                add_parent(parent)
                add_code(row | again)
                code = stack[-1][2]
                if kind != CONTAINER or again & _REFERENCE:
                    continue
                items = containers.held_items(value)
                repeated += len(items) if again else 0
                opened.add(identity)
                stack.append((iter(items), position, _ATTRIBUTE | _ITEM | again))
                break

            in_model = code & _IN_MODEL
            if identity in seen:
                again = met_again(value, parent, in_model)
            else:
                seen[identity] = in_model
            own = instance_dict(value)
            keys = [*own]
            if keys != known.keys:  # as a list: as sets they would take longer to compare
                known.learn(keys)
            row = code | again
            if known.is_usual:
                row |= known.code_in_training if own["training"] is True else known.code
                parameters, buffers = own["_parameters"], own["_buffers"]
                modules = own["_modules"]
                if (
                    own["_forward_pre_hooks"]
                    or own["_forward_hooks"]
                    or own["_backward_pre_hooks"]
                    or own["_backward_hooks"]
                    or own["_state_dict_hooks"]
                    or own["_state_dict_pre_hooks"]
                    or own["_load_state_dict_pre_hooks"]
                    or own["_load_state_dict_post_hooks"]
                ):
                    add_special(position)
            else:
                row |= known.code
                parameters, buffers, modules = map(own.get, _REGISTERED)
                add_special(position)
            add_name(name)
            add_object(value)
            add_parent(parent)
            add_code(row)
            if not in_model:
                rows.unregistered.append(position)
            if again & _REFERENCE:
                continue
            if not type(parameters) is type(buffers) is type(modules) is dict:
                parameters, buffers, modules = _registered(value, own)
            if again:
                repeated += 1 + len(parameters) + len(buffers)
            if parameters:
                base = _PARAMETER | again | (_SEEN_BY_OPTIMIZER if in_model else 0)
                for name, tensor in tuple(parameters.items()):
                    class_code = tensor_code(type(tensor))
                    if class_code is not None:
                        add_code(base | class_code)
                    elif tensor is None:
                        if not known.is_users:
                            continue
                        add_code(_ATTRIBUTE | again | types.code(type(None)))
                    elif types.kind(type(tensor)) == TENSOR:
                        add_code(base | types.code(type(tensor)))
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
                    if types.kind(type(tensor)) == TENSOR:
                        base = moved if name in passing else saved
                        add_code(base | types.code(type(tensor)))
                    elif tensor is None and known.is_users:
                        add_code(_ATTRIBUTE | again | types.code(type(None)))
                    else:
                        continue
                    add_name(name)
                    add_object(tensor)
                    add_parent(position)

            # Registered modules come first, then plain attributes, so that what is registered
            # shows before its aliases.
            attributes = []
            boring = known.boring
            for name in known.extras:
                held = own.get(name)
                if type(held) in boring:
                    continue
                kind = types.kind(type(held))
                if kind == OTHER or (kind <= NUMBER and not known.is_users):
                    continue
                if kind == CONTAINER and (
                    not containers.holds(held)
                    or containers.repeats(held, (parameters, buffers, modules))
                ):
                    continue
                attributes.append((name, held))
            if attributes:
                stack.append((iter(attributes), position, _ATTRIBUTE | again))
            if modules:
                children = iter(tuple(modules.items()))
                stack.append((children, position, _MODULE | again | in_model))
            if attributes or modules:
                opened.add(identity)
                break
        else:
            stack.pop()
    return rows
