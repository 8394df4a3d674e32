"""Panels and dialogs against a session that answers from plain data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.live import leaf_modules, modules_of
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.detail_panel import DetailPanel
from inspector_app.gui.panels.export_dialog import ExportDialog
from inspector_app.gui.panels.freeze_pattern_dialog import FreezePatternDialog, patterns_in
from inspector_app.gui.panels.initialize_dialog import InitializeDialog
from inspector_app.gui.panels.inputs_dialog import InputsDialog, parse_shape
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.gui.panels.verify_dialog import VerifyDialog
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import (
    DescribeRow,
    Difference,
    Export,
    ExportOptions,
    ExportPlan,
    InputField,
    InputForm,
    LeftOut,
    Measure,
    PlanExport,
    PlanFreeze,
    PlanInitialize,
    Planned,
    Refusal,
    Scheme,
    Selection,
    Verified,
)
from inspector_app.protocol.schemes import SCHEMES, all_arguments


@pytest.fixture
def session(qtbot, fake_session) -> ClientSession:
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return fake_session


# -- tree ------------------------------------------------------------------------------------------


@pytest.fixture
def tree(qtbot, table):
    model = RowTreeModel()
    panel = TreePanel(model)
    qtbot.addWidget(panel)
    panel.resize(800, 400)
    panel.show()
    panel.show_target(table, "fake.py:make", "small")
    yield panel
    panel.view.setModel(None)
    model.deleteLater()


def test_the_root_is_open_and_current(tree):
    assert tree.view.isExpanded(tree.view.model().index_of(0))
    assert tree.view.current_row() == 0


def test_a_filter_opens_what_it_finds_and_escape_closes_it_again(qtbot, tree):
    model = tree.view.model()
    tree.focus_filter()
    qtbot.keyClicks(tree.filter, "2.running")
    assert tree.matches.text() == "1 match"
    assert tree.view.isExpanded(model.index_of(8))
    qtbot.keyClick(tree.filter, Qt.Key.Key_Return)
    assert tree.view.selected_rows() == [11]
    qtbot.keyClick(tree.filter, Qt.Key.Key_Escape)
    assert model.filter == ""
    assert model.shown_rows == len(model.table)
    assert tree.view.current_row() == 11  # still in sight, so the rows above it are open
    assert not tree.view.isExpanded(model.index_of(4))


def test_the_same_target_again_keeps_what_is_open(tree, table):
    tree.expand_below([3], True)
    tree.view.select_row(5)
    tree.show_target(table, "fake.py:make", "small")
    assert tree.view.selected_rows() == [5]
    assert tree.view.isExpanded(tree.view.model().index_of(4))
    tree.show_target(table, "fake.py:other", "other")
    assert tree.view.selected_rows() == [0]
    assert not tree.view.isExpanded(tree.view.model().index_of(4))


def test_a_filter_without_a_match_says_so(qtbot, tree):
    qtbot.keyClicks(tree.filter, "nothing")
    assert tree.matches.text() == "0 matches"
    assert tree.matches.tone == "warning"


def test_expanding_and_collapsing_reach_all_rows_below(tree):
    model = tree.view.model()
    tree.expand_below([0], True)
    assert tree.view.isExpanded(model.index_of(8))
    tree.expand_below([3], False)
    assert not tree.view.isExpanded(model.index_of(8))
    assert tree.view.isExpanded(model.index_of(0))


def test_of_very_many_rows_only_the_upper_levels_are_opened(tree, qtbot, monkeypatch):
    monkeypatch.setattr("inspector_app.gui.panels.tree_panel._MOST_OPENED", 1)
    model = tree.view.model()
    tree.view.collapse(model.index_of(0))
    with qtbot.waitSignal(tree.told) as told:
        tree.expand_below([0], True)
    assert told.args[0].startswith("Opened the first level: more would be over 1 rows")
    assert tree.view.isExpanded(model.index_of(0))
    assert not tree.view.isExpanded(model.index_of(3))


def test_what_was_open_before_a_filter_is_laid_out_once(tree, monkeypatch):
    tree.expand_below([0], True)
    tree.filter.setText("3")
    steps = []
    monkeypatch.setattr(tree.view, "expand", lambda index: steps.append("open"))
    monkeypatch.setattr(tree.view, "scheduleDelayedItemsLayout", lambda: steps.append("layout"))
    tree.filter.clear()
    assert steps[:2] == ["layout", "open"]
    assert steps.count("layout") == 1


def test_modules_and_their_leaves(table):
    modules = table.ids[np.flatnonzero(modules_of(table))].tolist()
    assert modules == [0, 1, 3, 4, 7, 8, 12]  # width is a number, scale a tensor
    assert leaf_modules(table, 0) == [1, 4, 7, 8, 12]
    assert leaf_modules(table, table.position(3)) == [4, 7, 8]
    assert leaf_modules(table, table.position(4)) == [4]


# -- detail ----------------------------------------------------------------------------------------


@pytest.fixture
def detail(qtbot, session):
    panel = DetailPanel(session)
    qtbot.addWidget(panel)
    panel.resize(500, 500)
    panel.show()
    return panel


def test_values_are_measured_only_while_they_are_looked_at(qtbot, session, detail):
    detail.show_row(5)
    qtbot.waitUntil(lambda: not session.pending)
    assert not any(isinstance(request, Measure) for request in session.requests)
    detail.show_values()
    qtbot.waitUntil(lambda: detail.values.measured == 5)
    detail.show_row(6)
    qtbot.waitUntil(lambda: detail.values.measured == 6)


def test_an_answer_for_a_row_left_behind_is_dropped(qtbot, session, detail):
    session.hold()
    detail.show_row(5)
    detail.show_row(4)
    session.release()
    qtbot.waitUntil(lambda: not session.pending)
    assert [r.row for r in session.requests if isinstance(r, DescribeRow)] == [5, 4]
    assert detail._source_pages.currentIndex() == 1  # a module has a source


def test_an_error_stands_in_place(qtbot, session, detail):
    session.answers[DescribeRow] = RequestError("There is no row 5.")
    detail.show_row(5)
    qtbot.waitUntil(lambda: detail.facts_empty.sentence == "There is no row 5.")
    detail.clear()
    assert "Select a row" in detail.facts_empty.sentence


def test_a_measure_that_fails_says_why(qtbot, session, detail):
    session.answers[Measure] = RefusedError("This tensor is on the meta device.")
    detail.show_values()
    detail.show_row(5)
    qtbot.waitUntil(lambda: "meta" in detail.values.empty.sentence)


# -- edits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("", []),
        ("a.* b", ["a.*", "b"]),
        ("a,b , c", ["a", "b", "c"]),
        ("layers[0] x", ["layers[0]", "x"]),
        ("cache['my key'].w", ["cache['my key'].w"]),
        ("w[ab, c] d", ["w[ab, c]", "d"]),
    ],
)
def test_patterns_are_apart_by_spaces_and_commas(text, patterns):
    assert patterns_in(text) == patterns


def test_freezing_by_pattern_previews_first(qtbot, session, table):
    dialog = FreezePatternDialog(session, lambda: table)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: "Type a pattern" in dialog.preview.summary.text())
    dialog.pattern.setText("body.0")
    assert not dialog.apply_button.isEnabled()
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert dialog.preview.summary.text() == "2 tensors with 72 elements would change."
    assert dialog.preview.list.topLevelItem(0).child(0).text(0) == "body.0.weight"
    dialog.unfreeze_button.setChecked(True)
    assert dialog.apply_button.text() == "Unfreeze"
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert session.requests[-1] == PlanFreeze(selection=dialog.selection, frozen=False)
    dialog.pattern.setText("nothing")
    qtbot.waitUntil(lambda: dialog.preview.summary.tone == "danger")
    assert not dialog.apply_button.isEnabled()


def test_a_stale_preview_is_not_shown(qtbot, session, table):
    dialog = FreezePatternDialog(session, lambda: table, "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    session.hold()
    qtbot.waitUntil(lambda: any(isinstance(r, PlanFreeze) for r in session.requests))
    dialog.pattern.setText("body")
    session.release()
    assert not dialog.apply_button.isEnabled()
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    assert dialog.preview.summary.text().startswith("4 tensors")


def test_initialising_tells_what_is_refused(qtbot, session, table):
    session.answers[PlanInitialize] = Planned(
        title="x",
        changes=np.asarray([5], np.int32),
        tensors=1,
        elements=64,
        refused=[Refusal(rows=[6], reason="1-dimensional: has no fans", examples=["body.0.bias"])],
        notes=["tied: also known as head.weight"],
        undoable=False,
    )
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    summary = dialog.preview.summary.text()
    assert "1 row refused" in summary
    assert "cannot" in summary or "undone" in summary
    assert dialog.preview.list.topLevelItemCount() == 3


def test_no_field_of_initialise_covers_another(qtbot, session, table):
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    dialog.resize(dialog.minimumSize())
    dialog.scheme_box.setCurrentText("trunc_normal_")  # the most arguments, two lines about them
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    qtbot.wait(50)  # layouts follow later
    places = [dialog._arguments, dialog.seed_box, dialog.preview, dialog.buttons]
    for above, below in pairwise(places):
        assert above.geometry().bottom() < below.geometry().top(), below
    last = list(dialog._fields.values())[-1]
    assert last.geometry().bottom() <= dialog._arguments.height()


def test_initialising_by_pattern(qtbot, session, table):
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.selection == Selection(rows=[4])
    qtbot.keyClicks(dialog.pattern, "body")
    assert dialog.by_pattern.isChecked()
    assert dialog.selection == Selection(patterns=["body"])
    qtbot.waitUntil(dialog.apply_button.isEnabled)
    dialog.pattern.clear()
    qtbot.waitUntil(lambda: "Type a pattern" in dialog.preview.summary.text())
    assert not dialog.apply_button.isEnabled()


def test_the_arguments_of_a_scheme_are_checked(qtbot, session, table):
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.scheme_box.setCurrentText("normal_")
    field = dialog._fields["std"]
    field.setText("0.02")
    assert dialog.scheme.arguments == {"mean": 0.0, "std": 0.02}
    field.setText("-1")
    qtbot.waitUntil(lambda: "at least" in dialog.preview.summary.text())
    assert not dialog.apply_button.isEnabled()


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_can_be_asked_for_as_it_stands(qtbot, session, table, name):
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.scheme_box.setCurrentText(name)
    height = dialog.preview.y()
    assert all_arguments(dialog.scheme) == all_arguments(Scheme(name=name))
    dialog.scheme_box.setCurrentText("zeros_")
    assert dialog.preview.y() == height


def test_bounds_follow_the_spread_until_they_are_typed(qtbot, session, table):
    dialog = InitializeDialog(session, lambda: table, Selection(rows=[4]), "body.0")
    qtbot.addWidget(dialog)
    dialog.show()
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


# -- inputs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shape"),
    [("", ()), ("3", (3,)), ("1, 3,32 32", (1, 3, 32, 32)), ("1x3", (1, 3)), ("(2, 4)", (2, 4))],
)
def test_shapes(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["a", "1.5", "-1", "100000 100000"])
def test_shapes_that_are_none(text):
    with pytest.raises(ValueError, match=r"[.]$|too many"):
        parse_shape(text)


def test_the_form_makes_fields(qtbot):
    fields = [InputField(name="x", shape=(2, 8)), InputField(name="mask", required=False)]
    dialog = InputsDialog(InputForm(provided=True, fields=fields), None)
    qtbot.addWidget(dialog)
    assert dialog.provided.isChecked()
    dialog.made.setChecked(True)
    x, mask = dialog.rows
    x.shape.setText("nonsense")
    dialog.accept()
    assert dialog.problem.tone == "danger"
    x.shape.setText("4, 8")
    x.distribution.setCurrentText("integers")
    x.high.setValue(10)
    mask.used.setChecked(False)
    dialog.accept()
    first, second = dialog.fields
    assert (first.shape, first.distribution, first.high) == ((4, 8), "integers", 10)
    assert not second.used


def test_without_a_form_the_reason_is_told(qtbot):
    reason = "forward takes *args, so no form can be made."
    dialog = InputsDialog(InputForm(provided=False, fields=[], reason=reason), None)
    qtbot.addWidget(dialog)
    assert dialog.problem.text() == reason
    assert not dialog.provided.isEnabled()


# -- export and verify -----------------------------------------------------------------------------


def test_an_export_from_plan_to_report(qtbot, session, tmp_path):
    path = str(tmp_path / "out.safetensors")
    dialog = ExportDialog(session, path, [3], "body")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.export_button.isEnabled)
    dialog.selected.setChecked(True)
    assert not dialog.export_button.isEnabled()
    qtbot.waitUntil(dialog.export_button.isEnabled)
    assert session.requests[-1] == PlanExport(options=ExportOptions(only=Selection(rows=[3])))
    dialog.skip.setText("*.bias")
    qtbot.waitUntil(dialog.export_button.isEnabled)
    session.hold()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    number = session.pending[-1]
    dialog.show_progress(number, 1, 4, "Writing 1 of 4")
    assert dialog.progress.value() == 250
    assert dialog.summary.text() == "Writing 1 of 4"
    dialog.show_progress(number + 99, 1, 4, "of another job")
    assert dialog.summary.text() == "Writing 1 of 4"
    session.release()
    qtbot.waitUntil(lambda: dialog.exported is not None)
    export = next(r for r in session.requests if isinstance(r, Export))
    assert (export.path, export.skip) == (path, ["*.bias"])
    assert dialog.summary.tone == "good"
    qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "ab" * 32


def test_what_the_format_cannot_hold_must_be_skipped(qtbot, session, tmp_path):
    session.answers[PlanExport] = ExportPlan(
        tensors=3,
        bytes=12,
        ties=[],
        left_out=[],
        refused=[LeftOut(name="head._extra_state", reason="is no tensor")],
    )
    dialog = ExportDialog(session, str(tmp_path / "x"), [], "")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: dialog.summary.tone == "warning")
    assert not dialog.export_button.isEnabled()
    assert "head._extra_state" in dialog.list.topLevelItem(0).child(0).text(0)


def test_cancelling_an_export_keeps_the_dialog(qtbot, session, tmp_path):
    dialog = ExportDialog(session, str(tmp_path / "x"), [], "")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.export_button.isEnabled)
    session.answers[Export] = lambda request: None
    session.hold()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    number = session.pending[-1]
    dialog.reject()
    assert session.cancelled == [number]
    assert dialog.isVisible()
    session.cancel(number)
    session._held.reverse()
    session.release()
    qtbot.waitUntil(lambda: "nothing was written" in dialog.summary.text())
    assert dialog.export_button.isEnabled()


def test_a_verification_tells_differences(qtbot):
    dialog = VerifyDialog("out.safetensors")
    qtbot.addWidget(dialog)
    report = Verified(
        ok=False,
        path="out.safetensors",
        tensors=2,
        bytes=100,
        sha256="ab" * 32,
        recorded="matches",
        against="net.py:make",
        differences=[Difference(name="body.0.weight", what="values differ in 1 of 64")],
    )
    dialog.show_report(report)
    assert dialog.summary.tone == "danger"
    assert "differs from net.py:make" in dialog.summary.text()
    assert "body.0.weight" in dialog.list.topLevelItem(4).child(0).text(0)
