"""What may be typed next in a filter."""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector_app.gui.filtering.keys import KEYS
from inspector_app.gui.filtering.words import words
from inspector_app.protocol.table import RowTable

MOST_OPTIONS = 200
_SIGN = re.compile(r"(?:-|not:)*", re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z_]+):")


class Option(NamedTuple):
    """``text`` goes into the filter; ``help`` tells what it means."""

    text: str
    help: str = ""


class Completion(NamedTuple):
    """Options for what stands from ``start`` to the cursor."""

    start: int
    options: list[Option]


def complete(text: str, cursor: int, table: RowTable, *, keys: bool = False) -> Completion:
    """Values of the key before the cursor; with ``keys`` also the keys themselves."""
    start = next((word.start for word in words(text) if word.start <= cursor <= word.stop), cursor)
    start += len(_SIGN.match(text[start:cursor])[0])  # type: ignore[index]  # it matches nothing too
    typed = text[start:cursor]
    key = _KEY.match(typed)
    if key is None:
        return Completion(start, _keys(typed) if keys else [])
    known = KEYS.get(key[1].lower())
    start += max(key.end(), typed.rfind("|") + 1)
    typed = text[start:cursor].lower()
    if known is None:
        return Completion(start, [])
    values = [value for value in known.values(table) if _fits(value, typed)]
    return Completion(start, [Option(_written(value)) for value in values[:MOST_OPTIONS]])


def _keys(typed: str) -> list[Option]:
    return [
        Option(f"{key.name}:", key.help)
        for name, key in KEYS.items()
        if name == key.name and name.startswith(typed.lower())
    ]


def _fits(value: str, typed: str) -> bool:
    """What is there in full already needs no completing."""
    return typed in value.lower() and typed != value.lower()


def _written(value: str) -> str:
    """A value as a filter takes it: names of classes can hold anything."""
    return f'"{value}"' if re.search(r"[\s|*?\[]", value) else value
