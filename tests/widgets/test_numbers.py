import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.numbers import bytes_text, count_text, short_count, value_text

PREFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (115, "115"),
        (999, "999"),
        (1000, "1 k"),
        (1234, "1.23 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (1_230_000, "1.23 M"),
        (-4_200, "-4.2 k"),
    ],
)
def test_short_count(count, text):
    assert short_count(count) == text


@given(st.integers(0, 10**20))
def test_short_count_is_within_half_a_percent(count):
    number, _, prefix = short_count(count).partition(" ")
    assert float(number) * PREFIXES[prefix] == pytest.approx(count, rel=0.005)
    assert len(number.replace(".", "")) <= 3 or count >= 10**21


@given(st.integers())
def test_count_text_keeps_every_digit(count):
    assert int(count_text(count).replace(",", "")) == count


def test_bytes_are_in_si_units():
    assert bytes_text(312) == "312 B"
    assert bytes_text(4_194_304) == "4.19 MB"
    assert bytes_text(4_000_000_000) == "4 GB"


@given(st.floats(-1e308, 1e308))
def test_value_text_reads_back_within_its_digits(value):
    assert float(value_text(value)) == pytest.approx(value, rel=5.1e-3, abs=1e-320)


@given(st.floats(1e-3, 1e6, exclude_max=True))
def test_value_text_has_four_digits_in_the_usual_range(value):
    assert float(value_text(value)) == pytest.approx(value, rel=5.1e-4)


def test_value_text_of_what_is_no_number():
    assert value_text(math.nan) == "NaN"
    assert value_text(math.inf) == "∞"
    assert value_text(-math.inf) == "−∞"
    assert value_text(0.0) == "0"
    assert value_text(1_500_000.0) == "1.5e6"
