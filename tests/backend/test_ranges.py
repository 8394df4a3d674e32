"""Ranges of bytes, against what sets of bytes say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend import ranges
from inspector_app.backend.ranges import Places, distinct_bytes, tied

Range = tuple[int, int, int]
RANGES = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 12), st.integers(0, 5)), max_size=12)


def columns(found: list[Range]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray([one[index] for one in found], np.int64) for index in range(3))


def bytes_of(one: Range) -> set[tuple[int, int]]:
    space, start, size = one
    return {(space, byte) for byte in range(start, start + size)}


@given(RANGES)
def test_the_same_range(found: list[Range]) -> None:
    groups: dict[Range, list[int]] = {}
    for index, one in enumerate(found):
        groups.setdefault(one, []).append(index)
    expected = sorted(group for group in groups.values() if len(group) > 1)
    assert sorted(Places(*columns(found)).same()) == expected


@given(RANGES)
def test_overlapping(found: list[Range]) -> None:
    expected = [
        index
        for index, one in enumerate(found)
        if any(one != other and bytes_of(one) & bytes_of(other) for other in found)
    ]
    assert sorted(Places(*columns(found)).overlapping(lambda *_: True).tolist()) == expected


@given(RANGES, st.sets(st.integers(0, 12)))
def test_only_what_really_meets(found: list[Range], solid: set[int]) -> None:
    """Two ranges meet where one of each group starts at a byte that is in ``solid``."""

    def meet(some: list[int], others: list[int]) -> bool:
        assert len({found[index] for index in some}) == len({found[i] for i in others}) == 1
        one, other = found[some[0]], found[others[0]]
        assert bytes_of(one) & bytes_of(other)
        return one[1] in solid or other[1] in solid

    expected = [
        index
        for index, one in enumerate(found)
        if any(
            one != other
            and bytes_of(one) & bytes_of(other)
            and (one[1] in solid or other[1] in solid)
            for other in found
        )
    ]
    assert sorted(Places(*columns(found)).overlapping(meet).tolist()) == expected


@given(RANGES)
def test_distinct_bytes(found: list[Range]) -> None:
    expected = len(set().union(*map(bytes_of, found)))
    assert distinct_bytes(*columns(found)) == expected


def test_many_ranges_in_one_are_not_compared_one_by_one() -> None:
    asked: list[int] = []
    count = 1000
    start = np.concatenate(([0], np.arange(count))).astype(np.int64)
    size = np.concatenate(([count], np.ones(count))).astype(np.int64)
    places = Places(np.zeros(count + 1, np.int64), start, size)
    found = places.overlapping(lambda *_: bool(asked.append(1)))
    assert len(found) == count + 1
    assert len(asked) <= ranges._PAIRS


def test_the_tie_column_names_the_first_row() -> None:
    space, start, size = columns([(0, 0, 4), (0, 8, 4), (0, 0, 4), (1, 0, 4)])
    ids = np.asarray([7, 5, 3, 1], np.int32)
    assert tied(Places(space, start, size), np.arange(4), ids).tolist() == [7, -1, 7, -1]
