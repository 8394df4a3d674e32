from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.completing import complete
from inspector_app.gui.filtering.query import parse
from tests.gui.tables import module, parameter, small_table, table_of


def options(text: str, *, keys: bool = False, cursor: int = -1) -> list[str]:
    at = len(text) if cursor < 0 else cursor
    return [option.text for option in complete(text, at, small_table(), keys=keys).options]


@pytest.mark.parametrize(
    ("text", "start", "offered"),
    [
        ("class:Li", 6, ["Linear"]),
        ("x -class:Li", 9, ["Linear"]),
        ("class:ReLU|Li", 11, ["Linear"]),
        ("class:Linear", 6, []),
        ("dtype:", 6, ["float32"]),
        ("device:", 7, ["cpu"]),
        ("tied:", 5, ["yes", "no"]),
        ("mode:", 5, ["train", "eval"]),
        ("role:buf", 5, ["buffer"]),
        ("shape:12", 6, ["12x8"]),
        ("name:", 5, []),
        ("unknown:", 8, []),
        ("weight", 0, []),
        ("", 0, []),
    ],
)
def test_values_come_from_the_model(text, start, offered):
    done = complete(text, len(text), small_table())
    assert (done.start, [option.text for option in done.options]) == (start, offered)


def test_keys_are_offered_where_they_are_asked_for():
    assert options("d") == []
    assert options("d", keys=True) == ["dtype:", "device:"]
    assert "class:" in options("", keys=True)
    assert "class:" in options("weight ", keys=True)
    assert options("weight -cl", keys=True) == ["class:"]
    assert complete("x", 1, small_table(), keys=True).options == []


def test_names_with_signs_are_quoted():
    table = table_of(module("", "A|B[int]", parameter("w", 1)))
    (option,) = complete("class:A|B", 7, table).options[:1]
    assert option.text == '"A|B[int]"'
    parse(f"class:{option.text}")


@given(text=st.text('class:dtype|"- /x', max_size=12), data=st.data())
def test_what_is_completed_stands_before_the_cursor(text, data):
    cursor = data.draw(st.integers(0, len(text)))
    done = complete(text, cursor, small_table(), keys=True)
    assert 0 <= done.start <= cursor
