from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.automaton import START, Automaton, Finder
from inspector_app.gui.filtering.expressions import ExpressionError, literal, regular


@given(
    pattern=st.sampled_from(["a", "ab", "a.b", "a+", "(a|b)c?", "^a", "b$", r"\ba", "a{2}", "."]),
    text=st.text("abc. ", max_size=10),
)
def test_a_piece_is_the_first_and_from_there_the_longest(pattern, text):
    expected = None
    for start in range(len(text)):
        stops = [
            stop
            for stop in range(start + 1, len(text) + 1)
            if _matches_exactly(pattern, text, start, stop)
        ]
        if stops:
            expected = (start, max(stops))
            break
    assert Finder(regular(pattern)).span(text) == expected


def _matches_exactly(pattern: str, text: str, start: int, stop: int) -> bool:
    """Whether a match begins and ends just there, seen from the whole text."""
    return re.compile(f"(?={pattern})").match(text, start) is not None and any(
        match.span() == (start, stop) for match in _all_from(pattern, text, start)
    )


def _all_from(pattern: str, text: str, start: int):
    """Matches of every length from a place, by asking for something fixed behind them."""
    for stop in range(start, len(text) + 1):
        found = re.compile(f"(?:{pattern})(?<=(?s:^.{{{stop}}}))").match(text, start)
        if found is not None and found.end() == stop:
            yield found


def test_a_piece_ends_behind_a_place():
    finder = Finder(literal("0.w"))
    assert finder.span("0.w.0.weight", 2) == (0, 3)
    assert finder.span("0.w.0.weight", 3) == (4, 7)
    assert finder.span("0.w.0.weight", 7) is None


def test_reading_in_pieces_is_reading_at_once():
    automaton = Automaton(regular("ab.c"))
    state, found = automaton.read(START, "xxa")
    assert not found
    state, found = automaton.read(state, "b.")
    assert not found
    assert not automaton.ends(state)
    state, found = automaton.read(state, "c.")
    assert found
    # What was found before a piece began does not belong to it.
    state, found = automaton.read(automaton.read(START, "ab.c")[0], ".d")
    assert not found


def test_expressions_that_run_away_elsewhere_do_not_here():
    start = time.perf_counter()
    automaton = Automaton(regular("(a+)+$"))
    state, _ = automaton.read(START, "a" * 3000 + "b")
    assert not automaton.ends(state)
    assert time.perf_counter() - start < 5  # Python's own takes longer than the world will last


def test_what_takes_too_long_is_refused():
    automaton = Automaton(regular("(a|b)*a(a|b){90}"))

    def read_on() -> None:
        for number in range(100_000):
            automaton.read(START, f"{number:0100b}".replace("0", "a").replace("1", "b"))

    with pytest.raises(ExpressionError, match="too long"):
        read_on()
    with pytest.raises(ExpressionError, match="too long"):
        Automaton(regular("((a{90}){90}){90}"))
