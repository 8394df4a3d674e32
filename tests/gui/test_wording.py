from __future__ import annotations

import pytest

from inspector_app.gui.wording import sentence, shortened, without_middle


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("freeze a", 20, "freeze a"),
        ("a, b, c", 7, "a, b, c"),
        ("abc, def", 6, "abc…"),
        ("abcdefgh", 6, "abcde…"),
    ],
)
def test_what_does_not_fit_is_cut_at_its_end(text, most, short):
    assert shortened(text, most) == short


@pytest.mark.parametrize("most", [5, 6, 9, 10])
def test_the_middle_is_cut(most):
    found = without_middle("abcdefghij", most)
    assert len(found) == most
    assert found.startswith("ab")
    assert found.endswith("ij")
    assert ("…" in found) is (most < 10)


def test_line_breaks_do_not_break_the_line():
    assert len(shortened("two\nlines", 20).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("running statistics still move", "Running statistics still move."),
        ("train() of any module undoes this", "train() of any module undoes this."),
        ("tied: a is also known as b.", "Tied: a is also known as b."),
        ("word " * 20, "Word " + "word " * 8 + "word…"),
    ],
)
def test_a_sentence_begins_and_ends_as_one(text, told):
    assert sentence(text, 50) == told
