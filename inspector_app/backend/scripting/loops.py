"""The shortest way to say which parameters or modules are meant: ``model.encoder.parameters()``.

A form that asks the model (a subtree, all biases, all but the head) is taken only where it comes to
exactly the same objects, in the same order where that matters; else they are listed by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from inspector_app.backend.scripting.addresses import is_module
from inspector_app.backend.scripting.answers import Answers
from inspector_app.backend.scripting.source import (
    INDENT,
    Script,
    Unscriptable,
    over,
    text_literal,
)
from inspector_app.backend.tree import Tree

_FEW = 12  # subtrees that are listed one after the other


@dataclass(frozen=True)
class Loop:
    """Lines that lead to each object in turn, and what it is called in the line after them."""

    lines: list[str]
    indent: int  # of the lines after them
    name: str

    def around(self, body: Iterable[str]) -> list[str]:
        """The loop with its body."""
        return [*self.lines, *(INDENT * self.indent + line if line else "" for line in body)]


class Loops:
    """Loops over the objects in rows of one tree."""

    def __init__(self, tree: Tree, script: Script) -> None:
        self._tree = tree
        self._script = script
        self._answers = Answers(tree)
        self.addresses = self._answers.addresses

    def _distinct(self, rows: Sequence[int], ordered: bool) -> list[int]:
        """The canonical row of each object, once; in the order of the tree unless ``ordered``."""
        found = dict.fromkeys(self._answers.canonical(row) for row in rows)
        return list(found) if ordered else sorted(found)

    # -- parameters ------------------------------------------------------------------------------

    def why_not(self, row: int) -> str:
        """Why the object in a row cannot be reached; "" where it can."""
        canonical = self._answers.canonical(row)
        if self.addresses.name(canonical) is not None:
            return ""
        try:
            self.addresses.expression(canonical)
        except Unscriptable as reason:
            return str(reason)
        return ""

    def parameters(self, rows: Sequence[int], *, ordered: bool) -> list[Loop]:
        """Loops that together lead to the parameters in ``rows``.

        Raises Unscriptable where one cannot be reached.
        """
        rows = self._distinct(rows, ordered)
        if len(rows) == 1:
            return [Loop([], 0, self.addresses.expression(rows[0]))]
        whole = self._by_rule(rows, ordered)
        return [whole] if whole else self._piecewise(rows)

    def _by_rule(self, rows: Sequence[int], ordered: bool) -> Loop | None:
        """One form that asks the model for exactly these parameters."""
        above = self._common_module(rows)
        wanted = [id(self._tree.objects[row]) for row in rows]

        def exact(found: Sequence[int]) -> bool:
            ids = [id(self._tree.objects[row]) for row in found]
            return ids == wanted if ordered else set(ids) == set(wanted)

        sequence = self._answers.parameters_of(above)
        if sequence is None:
            return None
        module = self.addresses.expression(above)
        if exact(sequence):
            return Loop([f"for parameter in {module}.parameters():"], 1, "parameter")
        dimensions = self._by_dimensions(sequence, module, exact)
        return (
            dimensions
            or self._by_name(sequence, above, module, rows, exact)
            or self._all_but_one(rows, exact)
            or self._by_class(above, module, rows, exact)
        )

    def _by_dimensions(
        self, sequence: Sequence[int], module: str, exact: Callable[[Sequence[int]], bool]
    ) -> Loop | None:
        found: dict[bool, list[int]] = {True: [], False: []}
        for row in sequence:
            shape = self._tree.table.shape(row)
            if shape is None:
                return None  # a lazy one has none
            found[len(shape) > 1].append(row)
        for matrices, condition in ((True, "> 1"), (False, "<= 1")):
            if exact(found[matrices]):
                head = f"for parameter in {module}.parameters():"
                return Loop([head, f"{INDENT}if parameter.dim() {condition}:"], 2, "parameter")
        return None

    def _by_name(
        self,
        sequence: Sequence[int],
        above: int,
        module: str,
        rows: Sequence[int],
        exact: Callable[[Sequence[int]], bool],
    ) -> Loop | None:
        table = self._tree.table
        last = {table.name(row) for row in rows}
        if len(last) > 1:
            return None
        (end,) = last
        # Below another module than the root a tied parameter has another path than in the tree.
        names = self._answers.names_below(above, sequence)
        if (
            names is None
            or not end
            or not exact(
                [row for row, name in zip(sequence, names, strict=True) if name.endswith(end)]
            )
        ):
            return None
        lines = [
            f"for name, parameter in {module}.named_parameters():",
            f"{INDENT}if name.endswith({text_literal(end)}):",
        ]
        return Loop(lines, 2, "parameter")

    def _by_class(
        self,
        above: int,
        module: str,
        rows: Sequence[int],
        exact: Callable[[Sequence[int]], bool],
    ) -> Loop | None:
        """All parameters that modules of some classes hold themselves."""
        table, objects = self._tree.table, self._tree.objects
        asked = self._of_classes({type(objects[table.parent[row]]) for row in rows})
        if asked is None:
            return None
        condition, among = asked
        found: list[int] = []
        for owner in self._answers.modules_of(above):
            if among(type(objects[owner])):
                found += self._answers.own_parameters(owner)
        if len(found) != len(set(found)) or not exact(found):
            return None
        lines = [
            f"for module in {module}.modules():",
            f"{INDENT}if {condition}:",
            f"{INDENT * 2}for parameter in module.parameters(recurse=False):",
        ]
        return Loop(lines, 3, "parameter")

    def _of_classes(self, classes: set[type]) -> tuple[str, Callable[[type], bool]] | None:
        """A condition for modules of these classes: by the class where it is one of torch.nn."""
        names = sorted({cls.__name__ for cls in classes})
        if len(names) > _FEW:
            return None
        if all(getattr(nn, cls.__name__, None) is cls for cls in classes):
            known = [self._script.nn(name) for name in names]
            one = known[0] if len(known) == 1 else f"({', '.join(known)})"
            return f"isinstance(module, {one})", lambda cls: issubclass(cls, tuple(classes))
        if len(names) == 1:
            condition = f"type(module).__name__ == {text_literal(names[0])}"
        else:
            condition = f"type(module).__name__ in ({', '.join(map(text_literal, names))})"
        return condition, lambda cls: cls.__name__ in names

    def _all_but_one(
        self, rows: Sequence[int], exact: Callable[[Sequence[int]], bool]
    ) -> Loop | None:
        """All parameters of the model but those of one module."""
        sequence = self._answers.parameters_of(0)
        if sequence is None:
            return None
        chosen = set(rows)
        left = [row for row in sequence if row not in chosen]
        if not left or len(chosen) + len(left) != len(sequence):
            return None
        front = self.addresses.name(self._common_module(left))
        names = [self.addresses.name(row) for row in sequence]
        if not front or None in names:
            return None
        kept = [
            row
            for row, name in zip(sequence, names, strict=True)
            if name is not None and not name.startswith(front + ".")
        ]
        if not exact(kept):
            return None
        lines = [
            "for name, parameter in model.named_parameters():",
            f"{INDENT}if not name.startswith({text_literal(front + '.')}):",
        ]
        return Loop(lines, 2, "parameter")

    def _piecewise(self, rows: Sequence[int]) -> list[Loop]:
        """Whole subtrees where they are few; else parameter by parameter."""
        table = self._tree.table
        chosen = set(rows)
        subtrees: list[int] = []
        position = 0
        while position < len(rows):
            best = 0
            top = int(table.parent[rows[position]])
            while top >= 0 and is_module(self._tree.objects[top]):
                found = self._answers.parameters_of(top)
                if found is None or not chosen.issuperset(found):
                    break
                if list(rows[position : position + len(found)]) == found:
                    best, subtree = len(found), top
                top = int(table.parent[top])
            if not best:
                break
            subtrees.append(subtree)
            position += best
        else:
            if len(subtrees) <= max(_FEW, len(rows) // 4):
                modules = [self.addresses.expression(row) for row in subtrees]
                head = over("module", modules) if len(modules) > 1 else []
                indent = 1 if head else 0
                module = "module" if head else modules[0]
                loop = f"{INDENT * indent}for parameter in {module}.parameters():"
                return [Loop([*head, loop], indent + 1, "parameter")]
        return self._listed(rows, "get_parameter", "parameter")

    # -- modules ---------------------------------------------------------------------------------

    def modules(self, rows: Sequence[int], *, ordered: bool) -> list[Loop]:
        """Loops that together lead to the modules in ``rows``."""
        objects = self._tree.objects
        rows = self._distinct(rows, ordered)
        if len(rows) == 1:
            return [Loop([], 0, self.addresses.expression(rows[0]))]
        if not ordered and self._answers.parameters_of(0) is not None:
            asked = self._of_classes({type(objects[row]) for row in rows})
            wanted = {id(objects[row]) for row in rows}
            if asked is not None and wanted == {
                id(objects[row])
                for row in self._answers.modules_of(0)
                if asked[1](type(objects[row]))
            }:
                head = ["for module in model.modules():", f"{INDENT}if {asked[0]}:"]
                return [Loop(head, 2, "module")]
        return self._listed(rows, "get_submodule", "module")

    # -- one by one ------------------------------------------------------------------------------

    def _listed(self, rows: Sequence[int], method: str, variable: str) -> list[Loop]:
        """Loops over names, and over expressions where a name does not lead there."""
        loops: list[Loop] = []
        run: list[int] = []
        for index, row in enumerate(rows):
            run.append(row)
            named = self.addresses.name(row) is not None
            if (
                index + 1 < len(rows)
                and (self.addresses.name(rows[index + 1]) is not None) == named
            ):
                continue
            if len(run) == 1:
                loops.append(Loop([], 0, self.addresses.expression(row)))
            elif not named:
                expressions = [self.addresses.expression(one) for one in run]
                loops.append(Loop(over(variable, expressions), 1, variable))
            else:
                names = [text_literal(self.addresses.name(one) or "") for one in run]
                lines = [*over("name", names), f"{INDENT}{variable} = model.{method}(name)"]
                loops.append(Loop(lines, 1, variable))
            run = []
        return loops

    def _common_module(self, rows: Sequence[int]) -> int:
        """The innermost module above all of ``rows``."""
        table = self._tree.table
        first, last = min(rows), max(rows)
        above = int(table.parent[first])
        while above > 0 and not (
            last < int(table.end[above]) and is_module(self._tree.objects[above])
        ):
            above = int(table.parent[above])
        return max(above, 0)
