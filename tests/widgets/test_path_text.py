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
