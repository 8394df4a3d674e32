from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.before_after import BeforeAfterPanel
from inspector_app.protocol.messages import BeforeAfter, Previewed, Statistics


def statistics(**more) -> Statistics:
    counts = np.zeros(64, np.int64)
    counts[10:20] = 8
    fields = {
        "row": 1,
        "count": 80,
        "nan": 0,
        "positive_infinity": 0,
        "negative_infinity": 0,
        "zeros": 8,
        "minimum": -1.0,
        "maximum": 1.0,
        "mean": 0.5,
        "deviation": 0.25,
        "norm": 3.0,
        "low": -1.0,
        "high": 1.0,
        "counts": counts,
    }
    return Statistics(**{**fields, **more})


def preview(*rows: int, more: int = 0) -> Previewed:
    tensors = [
        BeforeAfter(
            row=row,
            path=f"layer{row}.weight",
            before=statistics(row=row),
            after=statistics(row=row, mean=float(row)),
        )
        for row in rows
    ]
    return Previewed(tensors=tensors, more=more)


@pytest.fixture
def panel(qtbot):
    panel = BeforeAfterPanel()
    qtbot.addWidget(panel)
    panel.resize(400, 500)
    panel.show()
    return panel


def test_one_tensor_after_the_other(qtbot, panel):
    panel.show_preview(preview(1, 2, 3, more=40))
    assert panel.shown.row == 1
    assert panel.path.text() == "layer1.weight"
    assert panel.place.text() == "1 of 3 tried, 40 more"
    assert "40 more tensors" in panel.place.toolTip()
    assert not panel.back_button.isEnabled()
    for _ in range(5):
        qtbot.mouseClick(panel.forth_button, Qt.MouseButton.LeftButton)
    assert panel.shown.row == 3
    assert not panel.forth_button.isEnabled()
    qtbot.mouseClick(panel.back_button, Qt.MouseButton.LeftButton)
    assert panel.shown.row == 2


def test_the_tensor_looked_at_stays_among_new_values(panel):
    panel.show_preview(preview(1, 2, 3))
    panel.turn(1)
    panel.show_preview(preview(2, 3))
    assert panel.shown.row == 2
    assert panel.place.text() == "1 of 2"
    panel.show_preview(preview(5, 6))
    assert panel.shown.row == 5


def test_all_statistics_stand_side_by_side(panel):
    panel.show_preview(preview(7))
    shown = panel.comparison.shown
    assert shown["Mean"] == ("0.5", "7")
    assert shown["Zeros"] == ("8 (10.0%)", "8 (10.0%)")
    assert shown["Not finite"] == ("0", "0")
    assert list(shown) == [
        "Mean",
        "Deviation",
        "Minimum",
        "Maximum",
        "Norm",
        "Zeros",
        "Not finite",
    ]


def test_without_a_finite_value_there_is_nothing_to_draw(panel):
    lost = dict.fromkeys(("minimum", "maximum", "mean", "deviation", "norm"))
    before = statistics(nan=80, low=0.0, high=1.0, **lost)
    one = msgspec.structs.replace(preview(1).tensors[0], before=before)
    panel.show_preview(Previewed(tensors=[one], more=0))
    assert panel.comparison.shown["Mean"] == ("none", "1")
    assert panel.comparison.shown["Not finite"][0] == "80"
    assert panel.comparison._range == (-1.0, 1.0)
    assert not panel.comparison._before.any()


def test_sentences_stand_in_the_same_room(panel):
    panel.show_preview(preview(1))
    size = panel.size()
    panel.say("There is nothing to show of this, and the reason takes many words. " * 4)
    assert panel.shown is None
    assert panel.empty.isVisible()
    panel.show_preview(Previewed(tensors=[], more=0))
    assert "No values" in panel.empty.sentence
    panel.show_preview(preview(1))
    assert panel.size() == size


def test_what_is_shown_stays_until_the_next_takes_long(qtbot, panel):
    panel.show_preview(preview(1))
    panel.wait()
    assert panel.shown is not None
    qtbot.waitUntil(lambda: panel.empty.isVisible())
    assert "copies" in panel.empty.sentence
    panel.show_preview(preview(1))
    assert panel.shown is not None
