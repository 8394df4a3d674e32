"""Tables and lines for a terminal."""

from __future__ import annotations

from inspector_app.cli.output import one_line, table


def test_columns_are_as_wide_as_they_must_be():
    assert table(("name", "x"), [("a", "1"), ("a name", "")]) == [
        "name    x",
        "a       1",
        "a name",
    ]


def test_a_cell_stays_in_its_line():
    assert table(("name", "x"), [("a\nb\x1b[31m", "1")])[1] == "a\\nb\\x1b[31m  1"


def test_a_sentence_stays_on_its_line():
    assert one_line("a\n b\t c") == "a b c"
