"""What a conversion loses, against what torch's own conversion does."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.conversion import (
    Conversion,
    conversion,
    is_exact,
    problem_with_values,
)

F64, F32, F16, B16 = torch.float64, torch.float32, torch.float16, torch.bfloat16
E4, E5, E8 = torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu
I64, I32, I8 = torch.int64, torch.int32, torch.int8
U64, U16, U8 = torch.uint64, torch.uint16, torch.uint8
C128, C64, C32 = torch.complex128, torch.complex64, torch.complex32


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *[(B16, F32), (F16, F32), (F32, F64), (B16, F64), (E4, F16), (E5, F16), (E4, B16)],
        *[(E5, B16), (E8, F32), (E8, B16), (torch.float8_e4m3fnuz, F16), (C32, C64), (C64, C128)],
        *[(U8, I32), (I32, I64), (U16, I32), (I8, I64), (U8, U64)],
    ],
)
def test_a_wider_type_keeps_every_value_and_the_way_back_does_not(source, target):
    assert conversion(source, target) is Conversion.LOSSLESS
    back = Conversion.NEVER if source is E8 else Conversion.LOSSY
    assert conversion(target, source) is back


@pytest.mark.parametrize(
    ("source", "target"),
    [(F16, B16), (B16, F16), (E4, E5), (E5, E4), (E8, F16), (I8, U8), (U64, I64)],
)
def test_types_of_which_neither_holds_the_other_lose(source, target):
    assert conversion(source, target) is Conversion.LOSSY


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *[(C64, F32), (F32, C64), (F32, I64), (I64, F32), (I64, F64), (torch.bool, F32)],
        *[(F32, torch.bool), (torch.bool, U8), (U8, torch.bool), (F32, E8), (torch.qint8, I8)],
        (F32, torch.float4_e2m1fn_x2),
    ],
)
def test_another_kind_of_number_never_fits(source, target):
    assert conversion(source, target) is Conversion.NEVER


def test_the_same_type_is_no_conversion_whatever_it_is():
    for dtype in (torch.bool, torch.qint8, torch.float4_e2m1fn_x2, E8, F32):
        assert conversion(dtype, dtype) is Conversion.SAME


def problem(values: torch.Tensor, target: torch.dtype) -> str:
    return problem_with_values([values], target)


@pytest.mark.parametrize("target", [F32, F16, B16, E5])
@given(data=st.data())
def test_a_finite_number_that_becomes_infinite_is_a_problem_and_no_other_is(target, data):
    limit = torch.finfo(target).max
    near = st.floats(0.99, 1.01).map(lambda factor: factor * min(limit, 1e308))
    values = data.draw(st.lists(st.floats() | near | near.map(float.__neg__), min_size=1))
    before = torch.tensor(values, dtype=F64)
    overflows = before.isfinite() & ~before.to(target).to(F64).isfinite()
    assert bool(problem(before, target)) == bool(overflows.any())


@pytest.mark.parametrize(("target", "limit"), [(E4, 464.0), (torch.float8_e4m3fnuz, 248.0)])
def test_a_type_without_infinity_refuses_what_it_would_cut_down(target, limit):
    below = math.nextafter(math.nextafter(limit, 0) * (1 - 2**-24), 0)
    assert not problem(torch.tensor([below, -below, float("nan")], dtype=F64), target)
    assert "overflow" in problem(torch.tensor([0.0, -limit]), target)
    assert "infinity" in problem(torch.tensor([1.0, -math.inf]), target)
    assert not problem(torch.tensor([math.inf]), F16)


def test_the_sentence_names_the_number_and_the_end():
    said = problem(torch.tensor([3.0, -1e39], dtype=F64), F32)
    assert said == "converting would overflow: the file holds -1e+39, and float32 ends at 3.403e+38"


@pytest.mark.parametrize(
    ("source", "target"), [(I64, I32), (I64, U8), (U64, I64), (I32, U64), (U16, I8), (I8, U16)]
)
@given(data=st.data())
def test_an_integer_that_would_wrap_is_a_problem_and_no_other_is(source, target, data):
    limits, ends = torch.iinfo(source), torch.iinfo(target)
    edges = [
        v for v in (ends.min - 1, ends.min, ends.max, ends.max + 1) if limits.min <= v <= limits.max
    ]
    one = st.integers(limits.min, limits.max) | st.sampled_from(edges or [0])
    values = data.draw(st.lists(one, min_size=1))
    fits = all(ends.min <= value <= ends.max for value in values)
    assert bool(problem(torch.tensor(values, dtype=source), target)) == (not fits)


def test_both_parts_of_a_complex_number_count():
    assert problem(torch.tensor([complex(1, 1e39)], dtype=C128), C64)
    assert not problem(torch.tensor([complex(3e38, 3e38)], dtype=C128), C64)
    assert problem(torch.tensor([complex(1, 1e39)], dtype=C128).conj(), C64)


def test_pieces_are_looked_at_one_by_one_and_empty_ones_hold_nothing():
    pieces = [torch.zeros(0), torch.tensor([1.0]), torch.tensor([1e6])]
    assert problem_with_values(pieces, F16)
    assert not problem_with_values(pieces[:2], F16)
    assert not problem_with_values([torch.zeros(0, dtype=I64)], I32)


@pytest.mark.parametrize(
    ("values", "target", "exact"),
    [
        (torch.tensor([0.5, -0.0, math.nan, math.inf], dtype=torch.float64), torch.float32, True),
        (torch.tensor([0.1], dtype=torch.float64), torch.float32, False),
        (torch.tensor([1e-60], dtype=torch.float64), torch.float32, False),
        (torch.tensor([1.5 + 2j], dtype=torch.complex128), torch.complex64, True),
        (torch.tensor([1.5 + 0.1j], dtype=torch.complex128), torch.complex64, False),
        (torch.tensor([0.5]), torch.float8_e4m3fn, True),
        (torch.tensor([3, 255]), torch.uint8, True),
    ],
)
def test_whether_digits_are_lost_is_said_by_the_values(values, target, exact):
    assert conversion(values.dtype, target) is Conversion.LOSSY
    assert is_exact([values[:0], values], target) is exact
