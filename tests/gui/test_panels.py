"""Panels and dialogs against a session that answers from plain data."""

from __future__ import annotations

import numpy as np
import pytest

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.live import leaf_modules, modules_of
from inspector_app.gui.panels.detail_panel import DetailPanel
from inspector_app.gui.panels.inputs_dialog import InputsDialog, parse_shape
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import (
    DescribeRow,
    InputField,
    InputForm,
    Measure,
)


@pytest.fixture
def session(qtbot, fake_session) -> ClientSession:
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return fake_session


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
