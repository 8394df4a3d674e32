import pytest
from PySide6.QtGui import QFontMetrics

from widgets.path_text import abbreviated, fitted
from widgets.theme import mono_font


@pytest.fixture
def metrics(qapp):
    return QFontMetrics(mono_font())


def test_names_get_shorter_from_the_left_and_numbers_stay():
    assert abbreviated("encoder.layers.11.self_attention.query  gradient") == [
        "encoder.layers.11.self_attention.query  gradient",
        "e.layers.11.self_attention.query  gradient",
        "e.l.11.self_attention.query  gradient",
        "e.l.11.s.query  gradient",
    ]
    assert abbreviated("head") == ["head"]
    assert abbreviated("0.1.2") == ["0.1.2"]


def test_the_longest_form_that_fits(metrics):
    path = "encoder.layers.11.query"
    forms = {fitted(path, width, metrics) for width in range(0, 400)}
    assert {path, "e.layers.11.query", "e.l.11.query"} <= forms
    for width in (60, 120, 200):
        shown = fitted(path, width, metrics)
        assert metrics.horizontalAdvance(shown) <= width
        assert shown


def test_a_number_and_the_end_of_the_last_name_stay_longest(metrics):
    letter = metrics.horizontalAdvance("0")
    shown = {n: fitted("encoder.layers.3.linear1", n * letter, metrics) for n in range(4, 30)}
    assert shown[13] == "e.l.3.linear1"
    assert shown[12] == "…l.3.linear1"
    assert shown[11] == shown[10] == "…3.linear1"
    assert shown[9].startswith("…3.")
    assert shown[4] == "3…r1"
    assert all(
        "3" in text and text.endswith("1") and metrics.horizontalAdvance(text) <= n * letter
        for n, text in shown.items()
    )


def test_the_last_of_several_numbers_stays_longest(metrics):
    letter = metrics.horizontalAdvance("0")
    assert fitted("stages.2.blocks.14.fc", 9 * letter, metrics) == "…b.14.fc"
    assert fitted("stages.2.blocks.14.fc", 6 * letter, metrics) == "…14.fc"
    assert fitted("features.block.14", 3 * letter, metrics) == "…14"


def test_a_path_without_a_number_loses_its_middle(metrics):
    letter = metrics.horizontalAdvance("0")
    shown = fitted("decoder.attention", 7 * letter, metrics)
    assert "…" in shown
    assert (shown[:2], shown[-1]) == ("d.", "n")
