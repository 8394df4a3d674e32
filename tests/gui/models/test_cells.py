from __future__ import annotations

import pytest

from inspector_app.gui.models.cells import Cells, shape_text
from inspector_app.gui.models.columns import COLUMNS, Column
from inspector_app.gui.models.marks import MARKS, marks_of
from inspector_app.protocol.table import Flag, Role
from tests.gui.tables import EVAL, Row, buffer, module, parameter, small_table, table_of


@pytest.fixture
def cells() -> Cells:
    return Cells(small_table(), "small")


def test_columns_of_a_tensor_in_full(cells):
    texts = {column: cells.text(5, column) for column in Column}
    assert texts[Column.TRAINABLE] == "64"
    assert texts[Column.LOGICAL] == "256 B"
    assert texts[Column.MODE] == ""
    assert texts[Column.HELD] == "parameter"
    assert texts[Column.MARKS] == ""
    assert cells.text(11, Column.TRAINABLE) == ""  # a buffer is not trained
    assert cells.text(2, Column.MARKS) == "tied"


def test_columns_of_a_module_sum_up(cells):
    assert cells.text(0, Column.TRAINABLE) == "184"
    assert cells.text(0, Column.MODE) == "train"
    assert cells.text(0, Column.HELD) == "module"
    assert cells.text(1, Column.LOGICAL) == "384 B"


def test_exact_values_are_for_other_programs(cells):
    assert cells.exact(1, Column.BYTES) == "384"
    assert cells.exact(5, Column.SHAPE) == "(8, 8)"
    assert cells.exact(6, Column.SHAPE) == "(8,)"
    assert cells.exact(0, Column.PARAMETERS) == "184"
    assert cells.exact(16, Column.PARAMETERS) == ""
    assert cells.exact(5, Column.TYPE) == "float32"


def test_lazy_tensors_are_not_counted():
    lazy = Row("lazy", Role.PARAMETER, Flag.TENSOR | Flag.LAZY, "Parameter", None, "float32", "cpu")
    cells = Cells(table_of(module("", "M", lazy)), "m")
    for column in (Column.SHAPE, Column.PARAMETERS, Column.BYTES, Column.LOGICAL):
        assert cells.text(1, column) == cells.exact(1, column) == "not known yet"
        assert cells.tooltip(1, column) == "not known yet"


def test_a_mode_is_noted_where_it_changes():
    table = table_of(
        module(
            "",
            "M",
            module("norm", "N", module("inner", "I", flags=EVAL), flags=EVAL),
            Row(
                "many", Role.ATTRIBUTE, Flag.CONTAINER, "list", below=[module("0", "X", flags=EVAL)]
            ),
            module("off", "O", module("on", "P"), flags=EVAL),
        )
    )
    cells = Cells(table, "m")
    notes = {table.name(position): cells.look(position).note for position in range(len(table))}
    assert notes == {
        "": "",
        "norm": "eval",
        "inner": "",
        "many": "",
        "0": "eval",
        "off": "eval",
        "on": "train",
    }
    assert "in eval mode" in cells.tooltip(1, Column.NAME).splitlines()
    assert Cells(table_of(module("", "M", flags=EVAL)), "m").look(0).note == "eval"


def test_marks_are_icons_words_and_sentences():
    flags = Flag.TENSOR
    for mark in MARKS:
        flags |= mark.flag
    cells = Cells(table_of(module("", "M", parameter("w", 2, flags=flags))), "m")
    assert marks_of(cells.table, 1) == list(MARKS)
    assert cells.look(1).marks == tuple(mark.icon for mark in MARKS if mark.icon)
    assert cells.text(1, Column.MARKS) == ", ".join(mark.word for mark in MARKS)
    assert set(cells.tooltip(1, Column.MARKS).splitlines()) == {mark.sentence for mark in MARKS}
    assert marks_of(cells.table, 0) == []


def test_many_ties_are_counted():
    rows = [parameter(f"w{number}", 2, tie=1) for number in range(12)]
    cells = Cells(table_of(module("", "M", *rows)), "m")
    lines = cells.tooltip(1, Column.NAME).splitlines()
    assert lines[2:4] == ["tied: w1", "tied: w2"]
    assert lines[-1] == "tied: 3 more"


def test_a_buffer_that_is_not_saved_is_hollow():
    cells = Cells(table_of(module("", "M", buffer("mask", 2, persistent=False))), "m")
    assert cells.look(1).badges[0].hollow


def test_shapes():
    assert [shape_text(shape) for shape in ((2, 3), (), None)] == [
        "2 × 3",
        "scalar",
        "not known yet",
    ]


def test_every_column_says_what_it_is():
    assert list(COLUMNS) == list(Column)
    for column, info in COLUMNS.items():
        assert info.title
        assert info.meaning[-1] != "."
        assert info.width > 0
        assert column.key.isidentifier()
