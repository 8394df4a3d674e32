from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.filtering.keys import KEYS
from inspector_app.gui.filtering.problems import QueryError
from inspector_app.gui.filtering.query import MOST_WORDS, Matches, parse
from inspector_app.gui.filtering.words import quoted
from inspector_app.gui.models.row_values import RowValues
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.tables import Row, module, parameter, small_table, table_of
from tests.protocol.trees import table_of as table_of_tree
from tests.protocol.trees import trees


def find(table: RowTable, text: str) -> Matches:
    return parse(text).find(Facts.of(RowValues(table)))


def hits(table: RowTable, text: str) -> list[int]:
    return table.ids[find(table, text).hits].tolist()


def kept(table: RowTable, text: str) -> list[int]:
    return table.ids[find(table, text).kept].tolist()


def tensor(name: str, *shape: int, dtype: str = "float32", flags: int = 0, **more) -> Row:
    return Row(name, Role.PARAMETER, Flag.TENSOR | flags, "Parameter", shape, dtype, "cpu", **more)


# -- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("WEIGHT", [2, 5, 9, 13]),
        ("body.2", [8]),
        ("body.2 weight", [9]),
        ("embed|head", [1, 12]),
        ("-body", [0, 1, 2, 12, 13, 14, 15, 16]),
        ("weight -body", [2, 13]),
        ("weight not:body", [2, 13]),
        ("body.*.weight", [5, 9]),
        ("*bias", [6, 10]),
        ("w*t", [2, 5, 9, 13]),
        ("/^body\\.[02]$/", [4, 8]),
        ("/WEIGHT$/", [2, 5, 9, 13]),
        ("-/^body/ name:weight", [2, 13]),
        ("name:weight|bias", [2, 5, 6, 9, 10, 13]),
        ("name:?", [4, 7, 8]),
        ("name:weigh", []),
    ],
)
def test_paths(text, found):
    assert hits(small_table(), text) == found


def test_all_below_what_was_found_is_kept_but_not_found():
    table = small_table()
    assert hits(table, "body") == [3]
    assert kept(table, "body") == list(range(3, 12))
    assert kept(table, "body -weight") == [3, 4, 6, 7, 8, 10, 11]


@given(tree=trees(), text=st.text("ab01.", min_size=1, max_size=2))
def test_a_text_keeps_the_rows_that_hold_it_in_their_path(tree, text):
    table = table_of_tree(tree)
    expected = [text in table.path(at).lower() for at in range(len(table))]
    found = find(table, quoted(text))
    assert found.kept.tolist() == expected
    # What is kept is found, or stands below something that is.
    assert not (found.hits & ~found.kept).any()
    assert found.hits.any() == any(expected)
    assert (~find(table, f"-{quoted(text)}").kept).tolist() == expected


@given(name=st.text(min_size=1, max_size=10))
def test_any_name_is_found_by_its_quotes(name):
    if '"' in name and "'" in name:
        return
    table = table_of(module("", "M", parameter(name, 1)))
    assert 1 in hits(table, quoted(name))


# -- what is wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence", "unfinished"),
    [
        ("clas:Conv", 'There is no key "clas". Did you mean class:?', False),
        ("nix:Conv", 'There is no key "nix". To find the text itself write "nix:Conv"', False),
        ("foo>3", 'There is no key "foo".', False),
        ("class:", "Write what follows class:, for example class:Conv*.", True),
        ("class:|", "Write what follows class:", True),
        ("|", "Write a text before or after |", True),
        ("dtype:bflat16", "No data type is called bflat16: write dtype:bfloat16.", False),
        ("dtype:bfl", "No data type is called bfl", True),
        ("shape:3xq", "3xq is no shape", False),
        ("shape:(3", "(3 is no shape", True),
        ("role:thing", "No row is held as thing", False),
        ("mode:e", "A mode is train or eval", True),
        ("mode:x", "A mode is train or eval", False),
        ("tied:maybe", "Write tied:yes or tied:no.", False),
        ("tied:ye", "Write tied:yes or tied:no.", True),
        (">", "Write a number after >", True),
        (">x", "x is no number", False),
        ("count>1MB", "count is not measured in bytes", False),
        ("depth:", "Write depth>1M", True),
        ("/(/", "A group is not closed", False),
    ],
)
def test_a_wrong_word_is_told_in_a_sentence_and_in_its_place(text, sentence, unfinished):
    with pytest.raises(QueryError) as caught:
        parse(f"before {text} after")
    error = caught.value
    assert error.sentence.startswith(sentence)
    assert "\n" not in error.sentence
    assert f"before {text} after"[error.start : error.stop] == text
    assert error.unfinished is unfinished


def test_too_many_words_are_refused():
    parse("a " * MOST_WORDS)
    with pytest.raises(QueryError, match="up to 50 words"):
        parse("a " * (MOST_WORDS + 1))


PARTS = st.sampled_from(
    [*KEYS, *":|-\"'/*?[]()<>=. ", "not:", "yes", "no", "float32", "a", "3x3", "1M", "\\", "{9}"]
)


@given(st.lists(PARTS | st.text(max_size=3), max_size=8).map("".join))
def test_any_text_is_a_filter_or_one_sentence(text):
    table = small_table()
    problem, query, found = None, parse(""), Matches(np.zeros(17, bool), np.zeros(17, bool))
    try:
        query = parse(text)
        found = query.find(Facts.of(RowValues(table)))
    except QueryError as error:
        problem = error
    if problem is not None:
        assert 0 <= problem.start < problem.stop <= len(text)
        assert problem.sentence
    assert found.hits.shape == found.kept.shape == (len(table),)
    assert not (found.hits & ~found.kept).any()
    assert bool(query) == bool(query.words)
    for position in range(len(table)):
        path = table.path(position)
        for start, length in query.spans(path, len(path) - len(table.name(position))):
            assert 0 <= start < start + length <= len(table.name(position))


# -- marked pieces ---------------------------------------------------------------------------------


def test_pieces_that_were_found_are_told_within_the_name():
    assert parse("eight").spans("body.weight", 5) == ((1, 5),)
    assert parse("y.we").spans("body.weight", 5) == ((0, 2),)
    assert parse("WEI ght").spans("body.weight", 5) == ((0, 3), (3, 3))
    assert parse("-weight class:Linear").spans("body.weight", 5) == ()
    assert parse("body").spans("body.weight", 5) == ()
    assert parse("/w.*g/").spans("body.weight", 5) == ((0, 4),)
    assert parse("*.weight").spans("body.weight", 5) == ((0, 6),)
    assert parse("a").spans("a" * 5000, 0) == ()  # nobody sees so much


# -- limits ---------------------------------------------------------------------------------------


def test_the_automaton_gives_up_in_a_sentence(monkeypatch):
    monkeypatch.setattr("inspector_app.gui.filtering.automaton.MOST_WORK", 10)
    with pytest.raises(QueryError, match=re.escape("takes too long")) as caught:
        find(small_table(), "x /b.*w.*t/")
    assert (caught.value.start, caught.value.stop) == (2, 11)
    # Pieces are not marked then, which is no reason to find nothing.
    assert parse("/b.*w.*t/").spans("body.weight", 5) == ()
