"""Arguments of a factory as they are typed."""

from __future__ import annotations

import pytest

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.factory_arguments import parse_argument


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128", 128),
        ("1e-3", 1e-3),
        ("[1, 2]", [1, 2]),
        ("gelu", "gelu"),
        ("'false'", "false"),
        ("", ""),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE", " false ")),
        *((word, None) for word in ("none", "None", "null", "NULL")),
    ],
)
def test_values_are_literals_or_text(text, value):
    name, found = parse_argument(f"bias={text}")
    assert (name, found, type(found)) == ("bias", value, type(value))


def test_there_must_be_a_name():
    for text in ("bias", "=1", "1=2"):
        with pytest.raises(RequestError, match="name=value"):
            parse_argument(text)
