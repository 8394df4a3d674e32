from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QModelIndex, Qt

from inspector_app.gui import app
from inspector_app.gui.models.state_model import KINDS, StateModel
from inspector_app.protocol.messages import StateDifference
from tests.gui.fake_backend import state_differences


@pytest.fixture
def model(qapp, qtmodeltester) -> Iterator[StateModel]:
    app.make_application()  # knows where the icons are
    model = StateModel()
    model.set_differences(state_differences())
    qtmodeltester.check(model)
    yield model
    model.deleteLater()


def cells(model, row) -> list[str]:
    return [model.index(row, column).data() for column in range(model.columnCount())]


def test_all_kinds_are_told_in_words(model):
    assert model.counts == {"missing": 1, "unexpected": 1, "shape": 1, "dtype": 1}
    assert cells(model, 2) == [
        "Shape",
        "body.0.weight",
        "float32 [8, 8]",
        "float32 [8, 3]",
        "the shapes differ: it stays as it is",
    ]
    assert cells(model, 3)[-1] == "digits would be lost in 3 of 8 values"
    for kind in KINDS:
        model.set_differences([StateDifference(name="x\ny", kind=kind)])
        assert cells(model, 0)[1] == "x␊y"
        assert not model.index(0, 0).data(Qt.ItemDataRole.DecorationRole).isNull()


def test_one_kind_alone(model):
    model.set_kind("shape")
    assert model.rowCount() == 1
    assert model.difference(0).name == "body.0.weight"
    model.set_differences([d for d in state_differences() if d.kind != "shape"])
    assert (model.kind, model.rowCount()) == ("", 3)
    assert model.rowCount(model.index(0, 0)) == 0
    assert model.rowCount(QModelIndex()) == 3


def test_rows_as_text(model):
    assert model.text([0]).split("\t")[:3] == ["Missing", "head.weight", "float32 [12, 8]"]
    assert len(model.text().splitlines()) == 4
