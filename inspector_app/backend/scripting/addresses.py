"""How a script reaches what stands in a row: ``model.encoder.layers[0].weight``.

Nothing of the model's code runs to find out: whether an attribute leads to what the tree shows is
read off the dictionaries of the object and its classes.
"""

from __future__ import annotations

import keyword
from collections import OrderedDict, defaultdict, deque
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from inspector_app.backend.containers import container_items
from inspector_app.backend.scripting.source import Unscriptable, text_literal
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict, items_of
from inspector_app.protocol.table import Flag, Role

_REGISTERED = {
    int(Role.MODULE): "_modules",
    int(Role.PARAMETER): "_parameters",
    int(Role.BUFFER): "_buffers",
}
# Of these [0] means what is registered as "0".
_INDEXED = (nn.Sequential, nn.ModuleList, nn.ParameterList, ParametrizationList)
_KEYED = (nn.ModuleDict, nn.ParameterDict)
_BUILT_IN = (list, tuple, dict, deque, OrderedDict, defaultdict)
_PLAIN_KEYS = (str, int, bool, bytes, type(None))
_DEEP = 30  # steps; beyond, names in one string are easier to read, and Python parses them


class Addresses:
    """Expressions for the rows of one tree."""

    def __init__(self, tree: Tree) -> None:
        table = tree.table
        # As lists: a script may ask about a hundred thousand rows, one by one.
        self.parents: list[int] = table.parent.tolist()
        self.roles: list[int] = table.role.tolist()
        self.flags: list[int] = table.flags.tolist()
        self._tree = tree
        self._known: dict[int, str] = {0: "model"}
        self._names: dict[int, str | None] = {0: ""}
        self._in_class: dict[tuple[type, str], list[Any]] = {}
        self._orders: dict[tuple[int, str], list[Any]] = {}

    def name(self, row: int) -> str | None:
        """The dotted name under which ``get_submodule`` or ``get_parameter`` finds a row.

        None where they would not.
        """
        pending = []
        while row not in self._names:
            pending.append(row)
            row = self.parents[row]
        for inner in reversed(pending):
            above = self._names[self.parents[inner]]
            name = self._tree.table.name(inner)
            named = above is not None and self._is_named(inner, name)
            self._names[inner] = (f"{above}.{name}" if above else name) if named else None
        return self._names[pending[0] if pending else row]

    def expression(self, row: int) -> str:
        """Python source that leads to the object in a row; raises Unscriptable with the reason."""
        pending: list[int] = []
        while row not in self._known:
            pending.append(row)
            row = self.parents[row]
        if len(pending) > _DEEP:
            self._take_by_name(pending)
        for inner in reversed(pending):
            if inner not in self._known:
                self._known[inner] = self._step(self._known[self.parents[inner]], inner)
        return self._known[pending[0] if pending else row]

    def _take_by_name(self, pending: list[int]) -> None:
        """The longest part of a way that ``get_submodule`` goes, as one step."""
        for inner in pending:  # the deepest row first
            name = self.name(inner)
            if name is not None and is_module(self._tree.objects[inner]):
                self._known[inner] = f"model.get_submodule({text_literal(name)})"
                return

    def _owner(self, row: int) -> Any:
        return self._tree.objects[self.parents[row]]

    def _is_named(self, row: int, name: str) -> bool:
        """Whether getattr on its owner finds what is registered there."""
        if self.roles[row] not in _REGISTERED or not name or "." in name:
            return False
        owner = self._owner(row)
        if not is_module(owner):
            return False
        if self.roles[row] == Role.PARAMETER and not isinstance(
            self._tree.objects[row], nn.Parameter
        ):
            return False  # get_parameter refuses it
        return self._found_by_getattr(owner, name) and self._is_registered(row, name)

    def _class_holds(self, owner: Any, name: str) -> list[Any]:
        """What the classes of an object hold under a name: one thing or none."""
        key = type(owner), name
        if key not in self._in_class:
            held = [vars(cls)[name] for cls in type(owner).__mro__ if name in vars(cls)]
            self._in_class[key] = held[:1]
        return self._in_class[key]

    def _found_by_getattr(self, owner: Any, name: str) -> bool:
        """Whether ``__getattr__`` is asked, which knows what is registered."""
        return name not in instance_dict(owner) and not self._class_holds(owner, name)

    def _is_registered(self, row: int, name: str) -> bool:
        """Whether its owner still holds it under its name."""
        held = instance_dict(self._owner(row)).get(_REGISTERED[self.roles[row]])
        if type(held) is not dict:
            held = dict(items_of(held))
        return held.get(name) is self._tree.objects[row]

    def _step(self, above: str, row: int) -> str:
        table = self._tree.table
        if self.flags[row] & Flag.ITEM:
            return self._item(above, row)
        owner, name = self._owner(row), table.name(row)
        if not is_module(owner):
            raise Unscriptable(f"{table.path(row)} cannot be reached by name")
        if self.roles[row] not in _REGISTERED:
            return self._attribute(above, owner, name)
        if not self._is_registered(row, name):
            raise Unscriptable(f"{table.path(row)} is not registered under that name any more")
        held = _REGISTERED[self.roles[row]]
        if type(owner) in _INDEXED and self._is_at_its_index(owner, held, name):
            return f"{above}[{name}]"
        if type(owner) in _KEYED:
            return f"{above}[{text_literal(name)}]"
        if self._found_by_getattr(owner, name):
            return _attribute_of(above, name)
        return f"{above}.{held}[{text_literal(name)}]"  # an attribute of that name hides it

    def _is_at_its_index(self, owner: Any, held: str, name: str) -> bool:
        key = id(owner), held
        if key not in self._orders:
            self._orders[key] = [known for known, _ in items_of(instance_dict(owner).get(held))]
        names = self._orders[key]
        return name.isdecimal() and int(name) < len(names) and names[int(name)] == name

    def _attribute(self, above: str, owner: Any, name: str) -> str:
        if any(hasattr(type(held), "__set__") for held in self._class_holds(owner, name)):
            # A property of the class comes before the attribute.
            return f"vars({above})[{text_literal(name)}]"
        return _attribute_of(above, name)

    def _item(self, above: str, row: int) -> str:
        """An item of a plain container, read past what its class may override."""
        table = self._tree.table
        container = self._owner(row)
        value, name = self._tree.objects[row], table.name(row)
        found = [
            index
            for index, (key, held) in enumerate(container_items(container))
            if held is value and key == name
        ]
        if not found:
            raise Unscriptable(f"{table.path(row)} does not stand there any more")
        index = found[0]
        cls = type(container)
        if issubclass(cls, (set, frozenset)):
            if len(container_items(container)) == 1:
                return f"next(iter({above}))"
            raise Unscriptable(f"{table.path(row)} stands in a set, whose order is not fixed")
        if not issubclass(cls, dict):
            if cls in _BUILT_IN:
                return f"{above}[{index}]"
            base = next(plain for plain in (list, tuple, deque) if issubclass(cls, plain))
            return f"{base.__name__}.__getitem__({above}, {index})"
        key = list(dict.keys(container))[index]
        if type(key) not in _PLAIN_KEYS:
            return f"list(dict.values({above}))[{index}]"
        written = text_literal(key) if type(key) is str else repr(key)
        return f"{above}[{written}]" if cls in _BUILT_IN else f"dict.get({above}, {written})"


def is_module(value: Any) -> bool:
    """Whether a value is a module, by its class itself."""
    return issubclass(type(value), nn.Module)


def _attribute_of(above: str, name: str) -> str:
    if name.isidentifier() and not keyword.iskeyword(name) and name.isascii():
        return f"{above}.{name}"
    return f"getattr({above}, {text_literal(name)})"
