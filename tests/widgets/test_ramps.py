import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QColor

from widgets.ramps import blend, from_oklab, oklab, ramp
from widgets.theme import DARK, HIGH_CONTRAST, LIGHT


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_oklab_and_back(colour):
    there = from_oklab(oklab(np.array([colour])))
    np.testing.assert_allclose(there[0], colour, atol=1e-4)


def test_known_colours_of_oklab():
    lab = oklab(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    expected = [[1, 0, 0], [0, 0, 0], [0.62796, 0.22486, 0.12585]]  # of the method's author
    np.testing.assert_allclose(lab, expected, atol=1e-4)


def test_a_blend_keeps_its_ends():
    colours = blend([QColor("#102030"), QColor("#d0e0f0")], 9)
    assert colours[0].tolist() == [0x10, 0x20, 0x30]
    assert colours[-1].tolist() == [0xD0, 0xE0, 0xF0]


@pytest.mark.parametrize("theme", [LIGHT, DARK, HIGH_CONTRAST], ids=lambda theme: theme.name)
def test_more_is_further_from_the_ground(theme):
    table = [QColor(colour) for colour in ramp(theme).tolist()]
    assert len(table) == 256
    assert table[0] == theme.base
    assert table[255] == theme.danger
    lab = oklab(np.array([(c.redF(), c.greenF(), c.blueF()) for c in table[:255]]))
    away = np.abs(lab[:, 0] - lab[0, 0])
    assert (np.diff(away) > -0.004).all(), "lighter all the way, or darker, save for rounding"
    assert away[1] > 0.02, "a single element is seen"
    assert away[254] > 0.5
