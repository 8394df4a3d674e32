"""Names of every kind on one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.protocol.errors import ModelError
from inspector_app.protocol.text import LONGEST_WORD, cut, one_line, printable


def test_what_prints_stays() -> None:
    assert printable("encoder.layers[0] é × 漢") == "encoder.layers[0] é × 漢"


def test_what_does_not_print_is_escaped() -> None:
    assert printable("a\nb\x1b[31m\u202e\ud800\0") == "a\\nb\\x1b[31m\\u202e\\ud800\\x00"


@given(st.text(st.characters()))
def test_anything_becomes_one_line(text: str) -> None:
    assert printable(text).isprintable()
    assert one_line(text).isprintable()


def test_cutting_keeps_both_ends() -> None:
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 10) == "abcde…hijk"
    assert len(cut("x" * 3000, 3)) == 3


def test_a_sentence_keeps_its_words() -> None:
    sentence = one_line(f"There is no {'x' * 3000}\nhere: name another.")
    assert sentence.startswith("There is no xxx")
    assert sentence.endswith("xxx here: name another.")
    assert len(sentence) < LONGEST_WORD + 50


def test_errors_are_one_line() -> None:
    error = ModelError("The model has\na \ud800 name.", "detail\nof two lines")
    assert error.sentence == str(error) == "The model has a \\ud800 name."
    assert error.detail == "detail\nof two lines"
