"""Patterns of shapes: ``3x*x3``, ``*,768``, ``(768,768)``, ``...,64``."""

from __future__ import annotations

import re

MOST_EXTENTS = 64
_ANY, _REST = "*", "..."
_SEPARATORS = re.compile(r"\s*[x×,]\s*", re.IGNORECASE)
_BRACKETS = {"(": ")", "[": "]"}

ShapePattern = tuple[int | str, ...]
"""Extents; "*" for any one, "..." for any number of them."""


def shape_pattern(text: str) -> ShapePattern | None:
    """What a text means; None where it means no shape."""
    text = text.strip().lower()
    if text in ("scalar", "()", "[]"):
        return ()
    if text[:1] in _BRACKETS:
        if not text.endswith(_BRACKETS[text[0]]):
            return None
        text = text[1:-1]
    parts = _SEPARATORS.split(text.strip())
    if len(parts) > 1 and not parts[-1]:  # "(768,)" as Python writes it
        parts.pop()
    if not 1 <= len(parts) <= MOST_EXTENTS:
        return None
    pattern: list[int | str] = []
    for part in parts:
        if part in (_ANY, _REST, "…"):
            pattern.append(_ANY if part == _ANY else _REST)
        elif part.isascii() and part.isdigit() and len(part) <= 18:
            pattern.append(int(part))
        else:
            return None
    return tuple(pattern)


def fits(shape: tuple[int, ...], pattern: ShapePattern) -> bool:
    """Whether a shape is one that the pattern means."""
    # As globs are matched: of several "..." only the last one ever needs another try.
    at = known = 0
    retry: tuple[int, int] | None = None
    while at < len(shape):
        part = pattern[known] if known < len(pattern) else None
        if part == _REST:
            known += 1
            retry = (known, at)
        elif part is not None and part in (_ANY, shape[at]):
            at, known = at + 1, known + 1
        elif retry is not None:
            retry = (retry[0], retry[1] + 1)
            known, at = retry
        else:
            return False
    return all(part == _REST for part in pattern[known:])
