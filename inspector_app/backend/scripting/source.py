"""Python source: literals, loops over names, and a script that is put together block by block."""

from __future__ import annotations

import io
import itertools
import math
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

LIMIT = 100  # columns
WIDTH = LIMIT - 4  # code of the edits is indented by four more
INDENT = "    "


class Unscriptable(Exception):
    """Why something cannot be said in a script, as a note says it."""


def text_literal(text: str) -> str:
    """A string as Python source, in double quotes where that needs no more escapes."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text else written


def literal(value: Any) -> str:
    """A plain value as Python source; raises Unscriptable for any other."""
    kind = type(value)
    if kind is str:
        return text_literal(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value!r}")'
    if value is None or kind in (bool, int, float, bytes):
        return repr(value)
    if kind is complex:
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if kind is list:
        return f"[{', '.join(map(literal, value))}]"
    if kind is tuple:
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if kind is dict:
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    raise Unscriptable(f"a value of class {kind.__name__} cannot be written down")


def call(function: str, arguments: Iterable[str]) -> str:
    """``function(arguments)``."""
    return f"{function}({', '.join(arguments)})"


def comment(text: str) -> str:
    """A comment of one line, whatever names in it may hold."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"# {plain}"


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    """Lines further to the right."""
    return [INDENT * levels + line if line else "" for line in lines]


def over(variable: str, items: Sequence[str]) -> list[str]:
    """``for variable in (items):``, on one line where it fits."""
    comma = "," if len(items) == 1 else ""
    line = f"for {variable} in ({', '.join(items)}{comma}):"
    if len(line) <= WIDTH:
        return [line]
    return [f"for {variable} in (", *(f"{INDENT}{item}," for item in items), "):"]


def wrapped(line: str) -> list[str]:
    """A line of code on several ones where it is too long and has arguments to break at."""
    if len(line) <= LIMIT or line.lstrip().startswith("#"):
        return [line]
    found = _last_group(line)
    if found is None:
        return [line]
    start, commas, end = found
    front = line[: len(line) - len(line.lstrip())]
    inner = front + INDENT
    whole = inner + line[start + 1 : end].strip()
    cuts = [start, *commas, end]
    parts = [line[a + 1 : b].strip() for a, b in itertools.pairwise(cuts)]
    middle = [whole] if len(whole) <= LIMIT else [f"{inner}{part}," for part in parts if part]
    return [line[: start + 1], *middle, front + line[end:]]


def _last_group(line: str) -> tuple[int, list[int], int] | None:
    """Brackets around several parts: where the last such pair opens, its commas, and its end."""
    tokens = tokenize.generate_tokens(io.StringIO(line.lstrip() + "\n").readline)
    shift = len(line) - len(line.lstrip())
    stack: list[tuple[int, list[int]]] = []
    found: tuple[int, list[int], int] | None = None
    try:
        for token in tokens:
            at = token.start[1] + shift
            if token.string in ("(", "[", "{") and token.type == tokenize.OP:
                stack.append((at, []))
            elif token.string in (")", "]", "}") and token.type == tokenize.OP:
                start, commas = stack.pop()
                if not stack and commas:
                    found = start, commas, at
            elif token.string == "," and stack:
                stack[-1][1].append(at)
    except (tokenize.TokenError, IndentationError):
        pass  # "with ...:" has no body here, which is told only after its line was read
    return found


@dataclass
class Script:
    """What the blocks of a script need and say."""

    imports: set[str] = field(default_factory=set)  # modules: "copy", "torch"
    froms: set[str] = field(default_factory=set)  # whole lines: "from torch import nn"
    helpers: dict[str, str] = field(default_factory=dict)  # name of a function -> its source
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Tell a person what the script cannot do, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def nn(self, name: str) -> str:
        """``nn.name``, imported."""
        self.froms.add("from torch import nn")
        return f"nn.{name}"

    def header(self) -> list[str]:
        """Import lines: the standard library, then all else."""
        others = {"torch", "numpy", "transformers"}
        ours = [f"import {name}" for name in sorted(self.imports - others)]
        theirs = [
            "import numpy as np" if name == "numpy" else f"import {name}"
            for name in sorted(self.imports & others)
        ]
        theirs += sorted(self.froms)
        return [*ours, *([""] if ours and theirs else []), *theirs]
