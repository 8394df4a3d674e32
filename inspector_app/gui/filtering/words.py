"""Cutting a filter into words: at blanks, but not within quotes or between slashes."""

from __future__ import annotations

from typing import NamedTuple

_QUOTES = "\"'"


class RawWord(NamedTuple):
    """A word as it was typed, from ``start`` to ``stop`` of the text.

    ``chars``: its characters without quotes and the sign before it, each with whether it was
    quoted; ``expression``: what stood between slashes, where it was one.
    """

    start: int
    stop: int
    negated: bool
    chars: tuple[tuple[str, bool], ...]
    expression: str | None = None

    @property
    def text(self) -> str:
        """The characters."""
        return "".join(char for char, _ in self.chars)

    @property
    def unquoted(self) -> str:
        """The characters before the first that was quoted."""
        for at, (_, is_quoted) in enumerate(self.chars):
            if is_quoted:
                return self.text[:at]
        return self.text

    def after(self, at: int) -> RawWord:
        """The same word without its first characters."""
        return self._replace(chars=self.chars[at:])

    def alternatives(self) -> list[tuple[str, bool]]:
        """The parts between "|", and whether none of their characters was quoted.

        Empty ones are left out: those are still to be written.
        """
        parts: list[list[tuple[str, bool]]] = [[]]
        for char, is_quoted in self.chars:
            if char == "|" and not is_quoted:
                parts.append([])
            else:
                parts[-1].append((char, is_quoted))
        return [
            ("".join(char for char, _ in part), not any(is_quoted for _, is_quoted in part))
            for part in parts
            if part
        ]


def words(text: str) -> list[RawWord]:
    """All words in order; what is not closed yet ends with the text."""
    found = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word = _word(text, at)
        found.append(word)
        at = word.stop
    return found


def _word(text: str, start: int) -> RawWord:
    at, negated = start, False
    while True:  # "not:-x" means x again
        if text[at : at + 1] == "-":
            at += 1
        elif text[at : at + 4].lower() == "not:":
            at += 4
        else:
            break
        negated = not negated
    if text[at : at + 1] == "/":
        stop, expression = _between_slashes(text, at + 1)
        return RawWord(start, stop, negated, (), expression)
    chars: list[tuple[str, bool]] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            if char == quote:
                quote = ""
            else:
                chars.append((char, True))
        elif char in _QUOTES and _begins_quotes(text, at, chars):
            quote = char
        elif char.isspace():
            break
        else:
            chars.append((char, False))
        at += 1
    return RawWord(start, at, negated, tuple(chars))


def _begins_quotes(text: str, at: int, chars: list[tuple[str, bool]]) -> bool:
    """Quotes within a name are part of it: ``cache["k"]``."""
    return not chars or chars[-1][0] in ":|"


def _between_slashes(text: str, start: int) -> tuple[int, str]:
    """(where the word ends, the expression): up to a slash before a blank, else to a blank."""
    at = start
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "/" and (at + 1 == len(text) or text[at + 1].isspace()):
            return at + 1, text[start:at].replace("\\/", "/")
        at += 1
    stop = start
    while stop < len(text) and not text[stop].isspace():
        stop += 1
    return stop, text[start:stop].replace("\\/", "/")


def quoted(text: str) -> str:
    """A word that finds ``text`` itself, whatever is in it."""
    if '"' not in text:
        return f'"{text}"'
    return f"'{text}'" if "'" not in text else text
