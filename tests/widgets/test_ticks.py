import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.ticks import common_start, decade_ticks, nice_ticks


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300), st.integers(1, 12))
def test_ticks_are_few_and_inside(low, span, most):
    high = low + span
    ticks = nice_ticks(low, high, most)
    assert 1 <= len(ticks) <= max(1, most)
    assert len(ticks) == 1 or all(low <= tick <= high * (1 + 1e-9) + 1e-300 for tick in ticks)


def test_ticks_are_round():
    assert nice_ticks(0.0, 1.0, 6) == [0.0, 0.2, 0.4, pytest.approx(0.6), 0.8, 1.0]
    assert nice_ticks(3.0, 3.0, 6) == [3.0]
    assert nice_ticks(0.0, 1024.0, 5) == [0.0, 500.0, 1000.0]


@given(st.integers(-300, 299), st.integers(1, 300), st.floats(1, 9), st.integers(1, 12))
def test_decades_are_few_and_inside(power, decades, factor, most):
    low, high = float(f"1e{power}"), factor * float(f"1e{min(power + decades, 307)}")
    ticks = decade_ticks(low, high, most)
    assert ticks == sorted(ticks)
    assert all(low <= tick <= high for tick in ticks)
    assert 1 <= len(ticks) <= max(most + 1, 8)


def test_a_short_logarithmic_axis_has_more_than_powers_of_ten():
    assert decade_ticks(1e-3, 1e3, 10) == [1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3]
    assert decade_ticks(1e-8, 1e8, 4)[0] == 1e-5
    assert decade_ticks(0.9, 6.0, 10) == [1.0, 2.0, 5.0]
    assert len(decade_ticks(3.1, 3.9, 6)) >= 2


def test_what_all_names_begin_with():
    assert common_start(["a.b.c", "a.b.d", "a.b.e.f"]) == "a.b."
    assert common_start(["fc1", "fc2"]) == ""
    assert common_start(["a.b"]) == "a."
    assert common_start([]) == ""
