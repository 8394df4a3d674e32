"""Panels and dialogs against a session that answers from plain data."""

from __future__ import annotations

import numpy as np
import pytest

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.detail_panel import DetailPanel
from inspector_app.gui.watchable import leaf_modules, modules_of
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import (
    DescribeRow,
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
