"""Regular expressions and globs as programs for :mod:`automaton`.

The syntax is Python's, without what a finite automaton cannot do: groups that are looked up again
and looking around.  What is understood finds exactly what :func:`re.search` would, in any case;
what is not raises :class:`ExpressionError` with a sentence.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_REPEATS = 100  # of {m,n}: each is written out in the program
MOST_INSTRUCTIONS = 2_000
MOST_LEVELS = 50  # of brackets


class ExpressionError(ValueError):
    """The expression cannot be used; the sentence says why and what to write."""


class Chars(NamedTuple):
    """One character of a set, told in lower case."""

    ranges: tuple[tuple[str, str], ...] = ()
    kinds: str = ""  # of d, w, s, and D, W, S for all others
    negated: bool = False

    def holds(self, char: str) -> bool:
        """Whether ``char`` (lower-case) is in the set, in any case."""
        upper = char.upper()
        found = any(
            low <= char <= high or low <= upper <= high for low, high in self.ranges
        ) or any(_is_kind(char, kind) for kind in self.kinds)
        return found != self.negated


class Seq(NamedTuple):
    """One part after the other."""

    parts: tuple[Node, ...] = ()


class Either(NamedTuple):
    """One of several."""

    parts: tuple[Node, ...]


class Repeat(NamedTuple):
    """A part ``low`` to ``high`` times; without an end where ``high`` is None."""

    part: Node
    low: int
    high: int | None


class Place(NamedTuple):
    """A place between characters: ``^``, ``$``, ``b`` (word boundary) or ``B``."""

    kind: str


Node = Chars | Seq | Either | Repeat | Place

ANY = Chars(negated=True)
_LINE = Chars((("\n", "\n"),), negated=True)  # what a dot means
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PLACES = {"A": "^", "Z": "$", "b": "b", "B": "B"}
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")


def _is_kind(char: str, kind: str) -> bool:
    lower = kind.lower()
    if lower == "d":
        found = char.isdecimal()
    elif lower == "w":
        found = char.isalnum() or char == "_"
    else:
        found = char.isspace()
    return found != kind.isupper()


def literal(text: str) -> Node:
    """A text as it is."""
    return Seq(tuple(Chars(((char, char),)) for char in text.lower()))


def regular(text: str) -> Node:
    """A regular expression; raises ExpressionError."""
    return _Parser(text.removeprefix("(?i)")).parse()  # any case is meant in any case


def glob(text: str, *, whole: bool = False) -> Node:
    """A glob over a dotted path or any end of it that begins at a dot; or the ``whole`` text only.

    ``*`` crosses dots, as in the patterns of freezing and exporting; ``[`` without an end means
    itself.
    """
    parts: list[Node] = []
    at = 0
    while at < len(text):
        char, at = text[at], at + 1
        if char == "*":
            parts.append(Repeat(ANY, 0, None))
        elif char == "?":
            parts.append(ANY)
        elif char == "[" and (stop := _set_end(text, at)) > 0:
            parts.append(_glob_set(text[at:stop]))
            at = stop + 1
        else:
            parts.append(literal(char))
    begin: Node = Place("^")
    if not whole:
        begin = Either((begin, Chars(((".", "."),))))
    return Seq((begin, *parts, Place("$")))


def _set_end(text: str, at: int) -> int:
    """Where the set that begins before ``at`` ends; -1 for nowhere."""
    begin = at + 1 if text[at : at + 1] == "!" else at
    return text.find("]", begin + 1)


def _glob_set(inside: str) -> Chars:
    negated = inside.startswith("!")
    inside = inside[1:] if negated else inside
    ranges, at = [], 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            ranges.append((inside[at], inside[at + 2]))
            at += 3
        else:
            ranges.append((inside[at], inside[at]))
            at += 1
    return Chars(tuple(ranges), negated=negated)


class _Parser:
    """Reads one regular expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._levels = 0

    def parse(self) -> Node:
        node = self._either()
        if self._at < len(self._text):
            raise ExpressionError("A ) closes no group: write \\) for the character itself.")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _either(self) -> Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            parts.append(self._repeated(part))
        return Seq(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return part
        if isinstance(part, Place):
            raise ExpressionError("There is nothing to repeat before *, +, ? or {}.")
        if self._peek() in ("?", "+"):  # lazy or possessive: it finds the same rows
            if self._peek() == "+":
                raise ExpressionError("A + after a repeat is not known here: leave it out.")
            self._at += 1
        if self._bounds() is not None:
            raise ExpressionError("Two repeats stand after each other: put the first in (?:...).")
        return Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Of the repeat that begins here, if one does."""
        char = self._peek()
        if char and char in "*+?":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        found = _COUNT.match(self._text, self._at)
        if found is None:
            return None
        low_digits, comma, high_digits = found.groups()
        if not comma and not low_digits:
            return None
        low = int(low_digits[:9] or 0)
        high = low if not comma else int(high_digits[:9]) if high_digits else None
        self._at = found.end()
        if max(low, high or 0) > MOST_REPEATS:
            raise ExpressionError(f"Repeats go up to {MOST_REPEATS}: write + for any number.")
        if high is not None and high < low:
            raise ExpressionError("In {m,n} the second number must not be the smaller one.")
        return low, high

    def _atom(self) -> Node:
        char = self._peek()
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._set()
        if char == ".":
            return _LINE
        if char in ("^", "$"):
            return Place(char)
        if char == "\\":
            return self._escape()
        if char in ("*", "+", "?"):
            raise ExpressionError(f"There is nothing to repeat before {char}: write .{char}")
        if char == "{":
            self._at -= 1
            if self._bounds() is not None:
                raise ExpressionError("There is nothing to repeat before {: write \\{")
            self._at += 1
        return literal(char)

    def _group(self) -> Node:
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise ExpressionError(f"Groups go {MOST_LEVELS} levels deep: take some brackets out.")
        if self._peek() == "?":
            self._group_kind()
        node = self._either()
        if self._peek() != ")":
            raise ExpressionError("A group is not closed: write ) or \\( for the bracket itself.")
        self._at += 1
        self._levels -= 1
        return node

    def _group_kind(self) -> None:
        rest = self._text[self._at :]
        named = re.match(r"\?P<\w+>", rest)
        if named is not None:
            self._at += named.end()
        elif rest.startswith("?:"):
            self._at += 2
        elif rest[1:2] in ("=", "!", "<"):
            raise ExpressionError(
                "Looking around is not known here: write -word to leave out rows."
            )
        else:
            raise ExpressionError("Only groups like (...) and (?:...) are known here.")

    def _escape(self) -> Node:
        char = self._peek()
        if not char:
            raise ExpressionError("A \\ stands at the end: write \\\\ for the character itself.")
        self._at += 1
        if char in _PLACES:
            return Place(_PLACES[char])
        if char in "dwsDWS":
            return Chars(kinds=char)
        return Chars(((same := self._escaped(char), same),))

    def _escaped(self, char: str) -> str:
        """The character that an escape stands for."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isdigit():
            raise ExpressionError(f"\\{char} would look up a group, which is not known here.")
        if char.isalpha():
            raise ExpressionError(f"\\{char} is not known here: known are \\d \\w \\s \\b.")
        return char.lower()

    def _set(self) -> Node:
        """``[...]``; the opening bracket is read already."""
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        kinds = ""
        first = True
        while first or self._peek() != "]":
            first = False
            low, kind = self._set_item()
            kinds += kind
            if kind:
                continue
            high = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high, kind = self._set_item()
                if kind or high < low:
                    raise ExpressionError(
                        f"In [...] the range from {low} ends before it begins: turn it round."
                    )
            ranges.append((low, high))
        self._at += 1
        return Chars(tuple(ranges), kinds, negated)

    def _set_item(self) -> tuple[str, str]:
        """A character, or a kind of characters."""
        char = self._peek()
        if not char:
            raise ExpressionError("A set is not closed: write ] or \\[ for the bracket itself.")
        self._at += 1
        if char != "\\":
            return char, ""
        char = self._peek()
        if not char:
            raise ExpressionError("A set is not closed: write ] or \\[ for the bracket itself.")
        self._at += 1
        if char in "dwsDWS":
            return "", char
        return ("\b", "") if char == "b" else (self._escaped_in_set(char), "")

    def _escaped_in_set(self, char: str) -> str:
        return char if not char.isalnum() else self._escaped(char)
