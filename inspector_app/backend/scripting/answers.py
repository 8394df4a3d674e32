"""What a model would say of its parameters and modules, read off the tree.

So a script may ask the model where that comes to exactly the objects that are meant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from inspector_app.backend.scripting.addresses import Addresses, is_module
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, Role

_DEEPEST = 150  # levels that named_modules() walks without a RecursionError
_ASKED = ("parameters", "named_parameters", "modules", "named_modules", "_named_members")
_LAST_REGISTERED = int(Role.BUFFER)
_TENSOR, _REFERENCE = int(Flag.TENSOR), int(Flag.REFERENCE)


class Answers:
    """What ``parameters()``, ``modules()`` and the like of each module in a tree yield.

    A *canonical* row is the first one that holds an object, below the root by registration where
    there is such a row.
    """

    def __init__(self, tree: Tree) -> None:
        self.addresses = Addresses(tree)
        self._tree = tree
        self._canonical: dict[int, int] = {}  # id of an object -> its canonical row
        self._tops = self._registered_below()
        self._sane: dict[type, bool] = {}
        self._sequences: dict[int, list[int] | None] = {}

    def canonical(self, row: int) -> int:
        """The canonical row of the object in a row."""
        return self._canonical[id(self._tree.objects[row])]

    def _registered_below(self) -> list[int]:
        """For each row the topmost module from which it is reached by registration alone."""
        addresses, canonical = self.addresses, self._canonical
        tops: list[int] = []
        rows = zip(
            self._tree.objects, addresses.parents, addresses.roles, addresses.flags, strict=True
        )
        for row, (thing, above, role, flags) in enumerate(rows):
            top = tops[above] if above >= 0 and role <= _LAST_REGISTERED else row
            tops.append(top)
            if flags & _TENSOR or is_module(thing):
                known = canonical.get(id(thing))
                # Registered below the root is better than anything that merely stands before it.
                if known is None or (top == 0 and tops[known] != 0):
                    canonical[id(thing)] = row
        return tops

    def own_parameters(self, owner: int) -> list[int]:
        """Canonical rows of the parameters that a module holds itself."""
        parents, roles, flags = (
            self.addresses.parents,
            self.addresses.roles,
            self.addresses.flags,
        )
        found = []
        row = owner + 1  # they stand before all else in it
        while row < len(parents) and parents[row] == owner:
            if roles[row] == Role.PARAMETER and flags[row] & _TENSOR:
                found.append(self.canonical(row))
            row += 1
        return found

    def modules_of(self, top: int) -> list[int]:
        """Rows of the modules that ``modules()`` of the one in row ``top`` yields."""
        seen: dict[int, int] = {}
        for row in range(top, int(self._tree.table.end[top])):
            thing = self._tree.objects[row]
            if self._tops[row] == self._tops[top] and is_module(thing):
                seen.setdefault(id(thing), row)
        return list(seen.values())

    def parameters_of(self, top: int) -> list[int] | None:
        """Canonical rows of what ``parameters()`` of the module in row ``top`` yields, in order.

        None where that cannot be said: overridden methods, rows that are not shown, too deep.
        """
        if top not in self._sequences:
            self._sequences[top] = self._asked(top)
        return self._sequences[top]

    def _asked(self, top: int) -> list[int] | None:
        table, addresses = self._tree.table, self.addresses
        end = int(table.end[top])
        if int(np.max(table.depth[top:end])) > _DEEPEST:
            return None
        found: dict[int, int] = {}
        for row in range(top, end):
            if self._tops[row] != self._tops[top]:
                continue
            thing, flags = self._tree.objects[row], addresses.flags[row]
            if flags & _TENSOR:
                if addresses.roles[row] == Role.PARAMETER:
                    found.setdefault(id(thing), self._canonical[id(thing)])
            elif is_module(thing) and (flags & _REFERENCE or not self._answers_truly(type(thing))):
                return None
        return list(found.values())

    def _answers_truly(self, cls: type) -> bool:
        """Whether a class leaves it to ``nn.Module`` what its parameters and modules are."""
        if cls not in self._sane:
            held = (next(vars(c)[n] for c in cls.__mro__ if n in vars(c)) for n in _ASKED)
            self._sane[cls] = all(
                one is vars(nn.Module)[name] for one, name in zip(held, _ASKED, strict=True)
            )
        return self._sane[cls]

    def names_below(self, top: int, sequence: Sequence[int]) -> list[str] | None:
        """Names that ``named_parameters()`` of a module gives to what it yields."""
        front = self.addresses.name(top)
        if front is None:
            return None
        names = []
        for row in sequence:
            name = self.addresses.name(row)
            if name is None or not (name.startswith(front + ".") or not front):
                return None  # tied to one outside, by which the tree calls it
            names.append(name[len(front) + 1 :] if front else name)
        return names
