from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.shapes import fits, shape_pattern


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("3x*x3", (3, "*", 3)),
        ("3×3", (3, 3)),
        ("*,768", ("*", 768)),
        ("(768, 768)", (768, 768)),
        ("[768,768]", (768, 768)),
        ("(768,)", (768,)),
        ("768", (768,)),
        ("...,64", ("...", 64)),
        ("64X…", (64, "...")),
        ("scalar", ()),
        ("()", ()),
        ("3x", (3,)),
    ],
)
def test_shapes_are_written_in_many_ways(text, pattern):
    assert shape_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "a", "3xa", "(3", "3.5", "-1", "x", ",", "²"])
def test_what_is_no_shape(text):
    assert shape_pattern(text) is None


def naive(shape: tuple, pattern: tuple) -> bool:
    if not pattern:
        return not shape
    if pattern[0] == "...":
        return any(naive(shape[at:], pattern[1:]) for at in range(len(shape) + 1))
    return bool(shape) and pattern[0] in ("*", shape[0]) and naive(shape[1:], pattern[1:])


@given(
    shape=st.lists(st.integers(0, 2), max_size=5).map(tuple),
    pattern=st.lists(st.sampled_from([0, 1, 2, "*", "..."]), max_size=5).map(tuple),
)
def test_patterns_fit_shapes(shape, pattern):
    assert fits(shape, pattern) is naive(shape, pattern)
