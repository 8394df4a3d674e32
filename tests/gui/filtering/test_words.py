from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.words import RawWord, quoted, words


def told(word: RawWord) -> tuple:
    return word.negated, word.text, word.expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  a  b ", [(False, "a", None), (False, "b", None)]),
        ("-a not:b -not:c", [(True, "a", None), (True, "b", None), (False, "c", None)]),
        ('"a b" c', [(False, "a b", None), (False, "c", None)]),
        ("'-a'", [(False, "-a", None)]),
        ('class:"My Class"', [(False, "class:My Class", None)]),
        ('cache["k"]', [(False, 'cache["k"]', None)]),
        ('"open end', [(False, "open end", None)]),
        ("/a b/ c", [(False, "", "a b"), (False, "c", None)]),
        ("-/a\\/b/", [(True, "", "a/b")]),
        ("/open c", [(False, "", "open"), (False, "c", None)]),
        ("/a/b/", [(False, "", "a/b")]),
        ("a/b", [(False, "a/b", None)]),
    ],
)
def test_blanks_part_words_but_not_in_quotes_or_slashes(text, expected):
    assert [told(word) for word in words(text)] == expected


@given(st.text())
def test_words_stand_in_the_text_in_order(text):
    at = 0
    for word in words(text):
        assert at <= word.start < word.stop <= len(text)
        assert not text[at : word.start].strip()
        at = word.stop
    assert not text[at:].strip()


@given(st.text(min_size=1))
def test_a_quoted_text_is_one_word_as_it_is(text):
    if '"' in text and "'" in text:
        return  # then there is no way to quote all of it
    (word,) = words(quoted(text))
    assert (word.text, word.unquoted, word.negated) == (text, "", False)
    assert word.alternatives() == [(text, False)]


def test_alternatives_are_parted_where_nothing_is_quoted():
    (word,) = words('a||"b|c"|d*')
    assert word.alternatives() == [("a", True), ("b|c", False), ("d*", True)]
