from __future__ import annotations

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication

from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.selected import Selected
from widgets.tree_view import LazyTreeView


@pytest.fixture
def selected(qtbot, table):
    view, model = LazyTreeView(), RowTreeModel()
    qtbot.addWidget(view)
    model.set_table(table, "small")
    view.setModel(model)
    view.expandAll()
    yield Selected(view, model)
    view.setModel(None)
    model.deleteLater()


def choose(selected: Selected, *rows: int) -> None:
    view, model = selected._view, selected._model
    view.select_row(rows[0])
    flags = QItemSelectionModel.SelectionFlag
    for row in rows[1:]:
        view.selectionModel().select(model.index_of(row), flags.Select | flags.Rows)


def copied() -> str:
    return QGuiApplication.clipboard().text()


def test_rows_are_told_by_paths_and_words(selected):
    choose(selected, 5)
    assert (selected.rows, selected.positions, selected.paths) == ([5], [5], ["body.0.weight"])
    assert selected.words() == selected.pattern() == "body.0.weight"
    choose(selected, 0)
    assert selected.words() == "small (everything)"
    choose(selected, 5, 6)
    assert selected.words() == "2 rows"
    assert selected.pattern() == ""


def test_rows_are_copied_from_top_to_bottom(selected):
    choose(selected, 13, 5)
    selected.copy_names()
    assert copied() == "weight\nweight"
    selected.copy_rows()
    assert [line.split("\t")[0] for line in copied().split("\n")] == [
        "Path",
        "body.0.weight",
        "head.weight",
    ]
    selected._model.sort(Column.PARAMETERS, Qt.SortOrder.DescendingOrder)
    selected.copy_markdown()
    assert "head.weight" in copied().split("\n")[2]


def test_columns_that_are_hidden_are_not_copied(selected):
    choose(selected, 5)
    header = selected._view.tree_header
    for column in Column:
        header.setSectionHidden(column, column not in (Column.NAME, Column.BYTES, Column.TYPE))
    header.moveSection(header.visualIndex(Column.BYTES), 1)
    selected.copy_rows()
    assert copied() == "Path\tBytes\tType\nbody.0.weight\t256\tfloat32"


def test_the_cell_that_was_clicked_is_copied(selected):
    choose(selected, 5)
    selected._view.setCurrentIndex(selected._model.index_of(5, Column.SHAPE))
    selected.copy_cell()
    assert copied() == "(8, 8)"
    selected.copy_paths()
    assert copied() == "body.0.weight"
