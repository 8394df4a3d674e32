from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.numbers import amount, comparison


@pytest.mark.parametrize(
    ("text", "number", "is_bytes"),
    [
        ("500", 500, False),
        ("1M", 1e6, False),
        ("1.5m", 1.5e6, False),
        ("10k", 1e4, False),
        ("7G", 7e9, False),
        (".5k", 500, False),
        ("10_000", 10_000, False),
        ("10,000", 10_000, False),
        ("1e6", 1e6, False),
        ("2GB", 2e9, True),
        ("512KiB", 512 * 1024, True),
        ("1 MB", 1e6, True),
        ("12b", 12, True),
        ("12 bytes", 12, True),
        ("1Mi", 2**20, True),
    ],
)
def test_numbers_have_units(text, number, is_bytes):
    assert amount(text) == (number, is_bytes)


@pytest.mark.parametrize("text", ["", "x", "1x", "1..2", "-1", "iB", "1iB", "M", "1e", "9" * 50])
def test_what_is_no_number(text):
    assert amount(text) is None


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "M", "G"]))
def test_a_unit_is_a_power_of_a_thousand(number, unit):
    found = amount(f"{number}{unit}")
    assert found is not None
    assert found.number == float(number) * 1000 ** ["", "k", "M", "G"].index(unit)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (">1M", ("", ">", "1M")),
        ("count<=10", ("count", "<=", "10")),
        ("Bytes:>=5", ("bytes", ">=", "5")),
        ("depth==2", ("depth", "==", "2")),
        ("≥3", ("", "≥", "3")),
        ("<lambda>", ("", "<", "lambda>")),
    ],
)
def test_comparisons_have_a_field_a_sign_and_a_number(word, expected):
    assert comparison(word) == expected


@pytest.mark.parametrize("word", ["a.b>1", "weight", "1>2", ""])
def test_other_words_are_none(word):
    assert comparison(word) is None


def test_the_sign_says_what_holds():
    assert comparison(">=3").holds(3, 3)
    assert not comparison("<3").holds(3, 3)
