from __future__ import annotations

from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from inspector_app.gui import app
from inspector_app.gui.models.history_model import HistoryModel, HistoryRole
from inspector_app.protocol.messages import JournalEntry, Scheme

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


def entry(number: int, **more) -> JournalEntry:
    fields = {"kind": "freeze", "title": f"Freeze {number}", "touched": 1, "patterns": ["a"]}
    return JournalEntry(number=number, **{**fields, **more})


@pytest.fixture
def model(qapp) -> HistoryModel:
    model = HistoryModel()
    QAbstractItemModelTester(model, FATAL, model)
    return model


def text(model: HistoryModel, row: int, role: int = Qt.ItemDataRole.DisplayRole):
    return model.index(row).data(role)


def test_entries_are_listed_oldest_first(model):
    model.set_history([entry(1), entry(2)])
    assert [text(model, row) for row in range(model.rowCount())] == ["Freeze 1", "Freeze 2"]
    assert text(model, 1, HistoryRole.ENTRY) == entry(2)


def test_what_was_undone_is_in_italics_and_can_be_redone(model):
    model.set_history([entry(1), entry(2, done=False), entry(3, done=False)])
    assert (model.undo_title, model.redo_title) == ("Freeze 1", "Freeze 2")
    assert text(model, 0, Qt.ItemDataRole.FontRole) is None
    assert text(model, 1, Qt.ItemDataRole.FontRole).italic()
    assert [text(model, row, HistoryRole.DONE) for row in range(3)] == [True, False, False]
    assert "redone" in text(model, 1, Qt.ItemDataRole.ToolTipRole)


def test_what_cannot_be_undone_offers_no_undo(model):
    assert (model.undo_title, model.redo_title) == ("", "")
    model.set_history([entry(1), entry(2, undoable=False)])
    assert model.undo_title == ""
    assert "cannot be undone" in text(model, 1, Qt.ItemDataRole.ToolTipRole)


def test_an_initialisation_tells_its_scheme(model):
    scheme = Scheme(name="normal_", arguments={"std": 0.02})
    model.set_history([entry(1, kind="initialize", scheme=scheme, seed=7, touched=1234)])
    tip = text(model, 0, Qt.ItemDataRole.ToolTipRole)
    assert "normal_(std=0.02), seed 7" in tip
    assert "1,234 tensors: new values" in tip


def test_a_loaded_checkpoint_tells_its_file(model):
    model.set_history([entry(1, kind="load", path="/tmp/a.safetensors", fit=True)])
    tip = text(model, 0, Qt.ItemDataRole.ToolTipRole)
    assert "/tmp/a.safetensors, as far as it fits" in tip


def test_modes_are_those_of_layers(model):
    model.set_history([entry(1, kind="hold", touched=2), entry(2, kind="release")])
    assert "2 layers: set to eval mode" in text(model, 0, Qt.ItemDataRole.ToolTipRole)
    assert "1 layer: set to train mode" in text(model, 1, Qt.ItemDataRole.ToolTipRole)


@pytest.mark.parametrize("kind", get_args(get_type_hints(JournalEntry)["kind"]))
def test_every_kind_has_an_icon(model, kind):
    app.make_application()
    model.set_history([entry(1, kind=kind)])
    assert not text(model, 0, Qt.ItemDataRole.DecorationRole).isNull()
    assert text(model, 0, Qt.ItemDataRole.ToolTipRole).count("\n") == 1


def test_undo_leaves_the_indexes(model):
    model.set_history([entry(1), entry(2)])
    held = QPersistentModelIndex(model.index(1))
    model.set_history([entry(1), entry(2, done=False)])
    assert held.isValid()
    model.set_history([entry(1), entry(3)])
    assert not held.isValid()


@given(
    histories=st.lists(
        st.lists(st.tuples(st.integers(1, 6), st.booleans()), unique_by=lambda pair: pair[0]),
        max_size=4,
    )
)
def test_any_history_follows_any_other(qapp, histories):
    model = HistoryModel()
    tester = QAbstractItemModelTester(model, FATAL)
    for history in histories:
        entries = [msgspec.structs.replace(entry(n), done=done) for n, done in history]
        model.set_history(entries)
        shown = [text(model, row, HistoryRole.ENTRY) for row in range(model.rowCount())]
        assert shown == entries == model.entries
    del tester
