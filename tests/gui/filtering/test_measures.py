from __future__ import annotations

import pytest

from inspector_app.gui.filtering.measures import MEASURES, measured
from inspector_app.gui.filtering.numbers import comparison
from inspector_app.gui.filtering.problems import ValueProblem
from tests.gui.filtering.test_query import hits
from tests.gui.tables import small_table


def test_totals_are_those_of_modules():
    assert hits(small_table(), "total>90") == [0, 1, 12]
    assert hits(small_table(), "total>=500B") == [0]
    assert hits(small_table(), "total=72") == [4]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (">", "Write a number after >"),
        (">1x", "1x is no number"),
        ("depth>3kB", "depth is not measured in bytes"),
    ],
)
def test_what_cannot_be_compared(word, words):
    with pytest.raises(ValueProblem, match=words):
        measured(comparison(word))


def test_a_number_without_a_unit_is_in_the_field_s_own():
    assert hits(small_table(), "bytes>256") == hits(small_table(), "bytes>256B") == [2, 13]
    assert hits(small_table(), "count=64") == [5]
    with pytest.raises(KeyError):
        measured(comparison("nothing>3"))


def test_every_measure_has_an_example_that_can_be_typed():
    for name, measure in MEASURES.items():
        assert measure.example.startswith(name)
        hits(small_table(), measure.example)
