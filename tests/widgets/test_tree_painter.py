from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from widgets.theme import DARK, HIGH_CONTRAST, LIGHT
from widgets.tree_painter import (
    ROW,
    RowPainter,
    found_ground,
    freeze_box,
    name_lead,
    one_line,
    shown_spans,
    text_width,
)
from widgets.tree_row import RowLook

THEMES = pytest.mark.parametrize(
    "theme", [LIGHT, DARK, HIGH_CONTRAST], ids=lambda theme: theme.name
)


def luminance(colour: QColor) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor, other: QColor) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@THEMES
def test_what_was_found_can_be_read_and_seen(theme):
    assert contrast(theme.text, found_ground(theme)) >= 4.5
    for ground in (theme.base, theme.alternate, theme.selection):
        assert contrast(found_ground(theme), ground) >= 1.2


def test_names_stay_in_their_line():
    assert one_line("line\nbreak\ttab") == "line␊break␉tab"
    assert one_line("plain") == "plain"


@given(
    text=st.text("abc", min_size=1, max_size=12),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    spans=st.lists(st.tuples(st.integers(0, 11), st.integers(1, 5)), max_size=3),
)
def test_pieces_are_marked_where_they_are_still_shown(text, cut, spans):
    head, tail = cut[0], max(cut[0], len(text) - cut[1])
    is_whole = tail - head < 2 or tail > len(text)
    shown = text if is_whole else f"{text[:head]}…{text[tail:]}"
    spans = tuple((start, min(n, len(text) - start)) for start, n in spans if start < len(text))
    found = shown_spans(text, shown, spans)
    assert len(found) == len(spans)
    for (start, length), (begin, end) in zip(spans, found, strict=True):
        assert 0 <= begin < end <= len(shown)
        for at in range(start, start + length):
            if shown == text or at < head:
                assert begin <= at < end
            elif at >= tail:
                assert begin <= at - tail + head + 1 < end
            else:
                assert begin <= head < end  # at the dots


def painted(look: RowLook, theme=LIGHT, width: int = 300, text: str = "weight") -> QImage:
    picture = QImage(width, ROW, QImage.Format.Format_RGB32)
    picture.fill(theme.base)
    painter = QPainter(picture)
    RowPainter(painter, theme, 1.0).name(QRect(0, 0, width, ROW), text, look)
    painter.end()
    return picture


@THEMES
def test_the_ground_of_what_was_found_is_the_accent(qapp, theme):
    picture = painted(RowLook(spans=((0, 6),)), theme)
    left = name_lead(RowLook())
    assert picture.pixelColor(left + 1, 5) == found_ground(theme)
    assert picture.pixelColor(left + text_width("weight") + 3, 5) == theme.base


def test_marks_give_way_to_a_name_in_a_narrow_column(qapp):
    look = RowLook(marks=("link", "hook", "computed"), note="eval", live=True)
    wide, narrow = painted(look), painted(look, width=100)
    plain_wide, plain_narrow = painted(RowLook()), painted(RowLook(), width=100)
    assert wide != plain_wide
    assert narrow == plain_narrow


def test_bars_of_a_watched_row_are_as_long_as_told(qapp):
    def inks(*levels: float) -> list[int]:
        picture = painted(RowLook(live=True, levels=levels))
        tones = [LIGHT.accent, LIGHT.buffer, LIGHT.danger]
        area = [(x, y) for x in range(picture.width() - 40, picture.width()) for y in range(ROW)]
        return [sum(picture.pixelColor(x, y) == tone for x, y in area) for tone in tones]

    empty, half, full = inks(0.0), inks(0.5), inks(1.0)
    assert half[0] - empty[0] == full[0] - half[0] == 64
    assert inks(1.0, 0.5)[1] == 64
    assert inks(float("nan"))[2] == 128
    assert inks(7.0) == full


def test_a_probe_in_trouble_has_another_tone(qapp):
    assert painted(RowLook(live=True)) != painted(RowLook(live=True, troubled=True))


def test_a_note_is_told_in_its_tone(qapp):
    quiet = painted(RowLook(note="missing"))
    warning = painted(RowLook(note="missing", note_tone="warning"))
    assert quiet != warning


def test_numbers_stand_at_the_right(qapp):
    def columns_with_ink(at_right: bool) -> list[int]:
        picture = QImage(200, ROW, QImage.Format.Format_RGB32)
        picture.fill(Qt.GlobalColor.white)
        painter = QPainter(picture)
        RowPainter(painter, LIGHT, 1.0).fact(QRect(0, 0, 200, ROW), "12", False, at_right)
        painter.end()
        white = QColor(Qt.GlobalColor.white)
        return [x for x in range(200) if any(picture.pixelColor(x, y) != white for y in range(ROW))]

    assert max(columns_with_ink(False)) < 60
    assert min(columns_with_ink(True)) > 140


def test_the_box_is_easy_to_hit():
    box = freeze_box(QRect(10, 48, 200, ROW))
    assert (box.height(), box.top()) == (ROW, 48)
    assert box.width() >= 20
