"""Keyword arguments of a factory as a person types them: ``hidden=128``, ``norm=None``."""

from __future__ import annotations

import ast
from typing import Any

from inspector_app.protocol.errors import RequestError

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("none", "None", "NONE", "null", "Null", "NULL"), None),
}


def parse_argument(text: str) -> tuple[str, Any]:
    """Name and value of ``name=value``; the value is a Python literal, else the text itself.

    True, false and null are understood as other languages spell them too; in quotes they are text.
    Raises RequestError where there is no name.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise RequestError(
            f"A factory's argument is written name=value, for example hidden=128; got '{text}'."
        )
    value = value.strip()
    if value in _WORDS:
        return name, _WORDS[value]
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value
