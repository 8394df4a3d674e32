from __future__ import annotations

import contextlib
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.automaton import START, Automaton
from inspector_app.gui.filtering.expressions import (
    ExpressionError,
    Node,
    glob,
    literal,
    regular,
)


def found(node: Node, text: str) -> bool:
    """Whether an expression is found anywhere in a text."""
    automaton = Automaton(node)
    state, hit = START, False
    for char in text.lower():
        state, before = automaton.step(state, char)
        hit = hit or before
    return hit or automaton.ends(state)


PIECES = st.sampled_from(
    [
        *"ab_.1^$|*+?()[]\\-",
        *("\\d", "\\w", "\\s", "\\b", "\\B", "\\.", "(?:", "(?P<n>", "[^", "a-c", "{2}", "{1,}"),
        *("*?", "{,2}", "[ab]", "(a|b)", "\\]"),
    ]
)
TEXTS = st.text("aAb_1.[]-d ", min_size=1, max_size=8)


@given(pieces=st.lists(PIECES, max_size=7), texts=st.lists(TEXTS, min_size=1, max_size=5))
def test_what_is_understood_finds_what_python_finds(pieces, texts):
    pattern = "".join(pieces)
    with contextlib.suppress(ExpressionError):
        check(pattern, regular(pattern), texts)


def check(pattern: str, node: Node, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that Python may read in another way one day
        python = re.compile(pattern, re.IGNORECASE)
    for text in texts:
        assert found(node, text) is bool(python.search(text)), text


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "not closed"),
        ("a)", "closes no group"),
        ("[a", "not closed"),
        ("[a\\", "not closed"),
        ("*a", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        ("{2}", "nothing to repeat"),
        ("a**", "Two repeats"),
        ("a*+", "leave it out"),
        ("a{3,2}", "smaller"),
        ("a{5000}", "up to 100"),
        ("(?!a)", "-word"),
        ("(?<=a)b", "-word"),
        ("(?i:a)", "Only groups"),
        ("(a)\\1", "look up a group"),
        ("\\q", "not known"),
        ("a\\", "at the end"),
        ("[b-a]", "ends before it begins"),
        ("(" * 60 + ")" * 60, "levels deep"),
    ],
)
def test_what_is_not_understood_says_why(pattern, words):
    with pytest.raises(ExpressionError, match=re.escape(words)):
        regular(pattern)


def test_any_case_is_meant_whether_asked_for_or_not():
    assert found(regular("(?i)Conv"), "my.cONV1d")
    assert found(regular("[A-C]x"), "bX")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("layers.*.weight", "model.layers.0.attn.weight", True),
        ("layers.*.weight", "xlayers.0.weight", False),
        ("*bias", "a.b.in_proj_bias", True),
        ("conv?", "net.conv1", True),
        ("conv?", "net.conv12", False),
        ("conv?", "net.conv1.weight", False),
        ("block.[0-2]", "block.1", True),
        ("block.[!0-2]", "block.1", False),
        ("block.[0-2", "block.[0-2", True),
        ("A.*", "x.a.b", True),
        ("a[]]", "a]", True),
        ("a[z-a]", "ab", False),
        ("", "", True),
    ],
)
def test_globs_fit_the_end_of_a_path_from_a_dot_on(pattern, path, fits):
    assert found(glob(pattern), path) is fits


def test_a_whole_glob_fits_the_whole_text_only():
    assert found(glob("conv*", whole=True), "Conv2d")
    assert not found(glob("conv*", whole=True), "my.Conv2d")


@given(text=st.text(max_size=6), around=st.text(max_size=4))
def test_a_literal_is_found_wherever_it_stands(text, around):
    assert found(literal(text), around + text + around)
    assert found(literal(text), "") is not bool(text)
