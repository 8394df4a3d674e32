"""The initialise dialog, against a session that answers from plain data."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt

from inspector_app.gui.panels.initialize_dialog import InitializeDialog
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import (
    PlanInitialize,
    Planned,
    PreviewInitialize,
    Refusal,
    Scheme,
    Selection,
)
from inspector_app.protocol.schemes import SCHEMES, all_arguments
from inspector_app.protocol.table import Flag


@pytest.fixture
def make(qtbot, opened_session, table):
    def make(row: int = 4, table=table) -> InitializeDialog:
        dialog = InitializeDialog(
            opened_session, lambda: table, Selection(rows=[row]), table.path(table.position(row))
        )
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


def previews(session) -> list[PreviewInitialize]:
    return [request for request in session.requests if isinstance(request, PreviewInitialize)]


class TestPlan:
    def test_tells_what_is_refused(self, qtbot, opened_session, make):
        opened_session.answers[PlanInitialize] = Planned(
            title="x",
            changes=np.asarray([5], np.int32),
            tensors=1,
            elements=64,
            refused=[
                Refusal(rows=[6], reason="1-dimensional: has no fans", examples=["body.0.bias"])
            ],
            notes=["tied: also known as head.weight"],
            undoable=False,
        )
        dialog = make()
        qtbot.waitUntil(dialog.apply_button.isEnabled)
        summary = dialog.preview.summary.text()
        assert "1 row refused" in summary
        assert "too large to be undone" in summary
        assert dialog.preview.list.topLevelItemCount() == 3

    def test_by_pattern(self, qtbot, opened_session, make):
        dialog = make()
        assert dialog.selection == Selection(rows=[4])
        qtbot.keyClicks(dialog.pattern, "body")
        assert dialog.by_pattern.isChecked()
        assert dialog.selection == Selection(patterns=["body"])
        qtbot.waitUntil(dialog.apply_button.isEnabled)
        dialog.pattern.clear()
        qtbot.waitUntil(lambda: "Type a pattern" in dialog.preview.summary.text())
        assert not dialog.apply_button.isEnabled()
        assert "no values" in dialog.values.empty.sentence

    def test_what_is_still_initial_can_be_chosen_where_there_is_some(
        self, qtbot, opened_session, make, table
    ):
        assert make().still_initial is None
        flags = table.flags.copy()
        flags[[5, 6]] |= np.uint32(Flag.INITIAL)
        dialog = make(table=msgspec.structs.replace(table, flags=flags))
        assert "2 rows" in dialog.still_initial.text()
        dialog.still_initial.setChecked(True)
        assert dialog.selection == Selection(patterns=["preset:initial"])


def test_a_long_name_leaves_the_dialog_as_it_is(qtbot, opened_session, table):
    sizes = []
    for words in ("body", "a&b." + "long_name." * 300 + "weight"):
        dialog = InitializeDialog(opened_session, lambda: table, Selection(rows=[4]), words)
        qtbot.addWidget(dialog)
        dialog.show()
        sizes.append(dialog.size())
        assert dialog.minimumSizeHint().width() <= dialog.minimumWidth()
        assert dialog.selected.toolTip() == words
    assert sizes[0] == sizes[1]
    assert dialog.selected.text().startswith("Se&lected: a&&b.long")
    assert dialog.selected.text().endswith("weight")


class TestScheme:
    def test_arguments_are_checked(self, qtbot, make):
        dialog = make()
        dialog.scheme_box.setCurrentText("normal_")
        field = dialog._fields["std"]
        field.setText("0.02")
        assert dialog.scheme.arguments == {"mean": 0.0, "std": 0.02}
        field.setText("-1")
        qtbot.waitUntil(lambda: "at least" in dialog.preview.summary.text())
        assert not dialog.apply_button.isEnabled()

    @pytest.mark.parametrize("name", SCHEMES)
    def test_each_can_be_asked_for_as_it_stands(self, make, name):
        dialog = make()
        dialog.scheme_box.setCurrentText(name)
        height = dialog.preview.y()
        assert all_arguments(dialog.scheme) == all_arguments(Scheme(name=name))
        dialog.scheme_box.setCurrentText("zeros_")
        assert dialog.preview.y() == height

    def test_bounds_follow_the_spread_until_they_are_typed(self, qtbot, make):
        dialog = make()
        dialog.scheme_box.setCurrentText("trunc_normal_")
        dialog._fields["std"].setText("0.5")
        low = dialog._fields["a"]
        assert (low.text(), low.placeholderText()) == ("", "mean - 2 * std")
        assert all_arguments(dialog.scheme)["a"] == -1.0
        low.setText("-0.25")
        assert all_arguments(dialog.scheme)["a"] == -0.25
        assert all_arguments(dialog.scheme)["b"] == 1.0
        dialog.scheme_box.setCurrentText("dirac_")
        dialog._fields["groups"].setText("1.5")
        qtbot.waitUntil(lambda: "whole number" in dialog.preview.summary.text())

    def test_no_field_covers_another(self, qtbot, make):
        dialog = make()
        qtbot.waitExposed(dialog)
        dialog.resize(dialog.minimumSize())
        dialog.scheme_box.setCurrentText("trunc_normal_")  # the most arguments, most about them
        qtbot.waitUntil(dialog.apply_button.isEnabled)
        qtbot.wait(50)  # layouts follow later
        places = [dialog._arguments, dialog.seed_box, dialog.preview, dialog.buttons]
        for above, below in pairwise(places):
            assert above.geometry().bottom() < below.geometry().top(), below
        last = list(dialog._fields.values())[-1]
        assert last.geometry().bottom() <= dialog._arguments.height()
        label = dialog.explanation

        def fits() -> bool:
            rect, wrapped = label.rect(), Qt.TextFlag.TextWordWrap
            room = label.fontMetrics().boundingRect(rect, wrapped, label.text())
            return room.height() <= label.height()

        qtbot.waitUntil(fits)


class TestValues:
    def test_follow_the_plan(self, qtbot, opened_session, make):
        dialog = make()
        qtbot.waitUntil(lambda: dialog.values.shown is not None)
        assert dialog.values.shown.path == "body.0.weight"
        request = previews(opened_session)[-1]
        assert request.selection == Selection(rows=[4])
        assert request.scheme == dialog.scheme
        assert dialog.values.comparison.shown["Mean"] == ("0.01", "0")

    def test_are_those_of_the_row_pointed_at(self, qtbot, opened_session, make):
        dialog = make(row=3)
        qtbot.waitUntil(lambda: dialog.values.shown is not None)
        rows = dialog.preview.list.topLevelItem(0)
        dialog.preview.list.setCurrentItem(rows.child(2))
        assert dialog.values.shown.path == rows.child(2).text(0) == "body.2.weight"
        dialog.seed_box.setValue(9)
        qtbot.waitUntil(lambda: dialog.values.comparison.shown["Mean"][1] == "9")
        assert dialog.values.shown.path == "body.2.weight"

    def test_another_seed_asks_for_values_only(self, qtbot, opened_session, make):
        dialog = make()
        qtbot.waitUntil(lambda: dialog.values.shown is not None)
        plans = len(opened_session.requests) - len(previews(opened_session))
        dialog.seed_box.setValue(7)
        assert dialog.apply_button.isEnabled()
        qtbot.waitUntil(lambda: dialog.values.comparison.shown["Mean"][1] == "7")
        assert previews(opened_session)[-1].seed == 7
        assert len(opened_session.requests) - len(previews(opened_session)) == plans

    def test_dice_throw_another_seed(self, qtbot, make):
        dialog = make()
        thrown = set()
        for _ in range(5):
            qtbot.mouseClick(dialog.dice, Qt.MouseButton.LeftButton)
            thrown.add(dialog.seed)
        assert len(thrown) > 1
        assert all(0 <= seed <= dialog.seed_box.maximum() for seed in thrown)

    def test_stale_ones_are_dropped(self, qtbot, opened_session, make):
        dialog = make()
        qtbot.waitUntil(lambda: dialog.values.shown is not None)
        opened_session.hold()
        dialog.seed_box.setValue(1)
        qtbot.waitUntil(lambda: previews(opened_session)[-1].seed == 1)
        dialog.seed_box.setValue(2)
        qtbot.waitUntil(lambda: previews(opened_session)[-1].seed == 2)
        assert len(opened_session.cancelled) == 1
        opened_session.release()
        assert dialog.values.comparison.shown["Mean"][1] == "2"
        opened_session.hold()
        dialog.seed_box.setValue(3)
        qtbot.waitUntil(lambda: previews(opened_session)[-1].seed == 3)
        dialog.reject()
        opened_session.release()
        assert dialog.values.comparison.shown["Mean"][1] == "2"

    def test_that_cannot_be_had_say_why(self, qtbot, opened_session, make):
        opened_session.answers[PreviewInitialize] = RefusedError("float16 cannot hold these.")
        dialog = make()
        qtbot.waitUntil(lambda: dialog.values.empty.sentence == "float16 cannot hold these.")
        assert dialog.values.shown is None
        assert dialog.apply_button.isEnabled()  # the edit tells for itself

    def test_are_not_asked_for_where_nothing_changes(self, qtbot, opened_session, make):
        dialog = make(row=7)  # ReLU
        qtbot.waitUntil(lambda: "No values would change" in dialog.values.empty.sentence)
        assert not previews(opened_session)
