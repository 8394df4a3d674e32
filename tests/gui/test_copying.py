from __future__ import annotations

import pytest

from inspector_app.gui.copying import markdown, tab_separated
from inspector_app.gui.models.cells import Cells
from inspector_app.gui.models.columns import Column
from tests.gui.tables import module, parameter, small_table, table_of

COLUMNS = [Column.NAME, Column.CLASS, Column.SHAPE, Column.PARAMETERS, Column.BYTES]


@pytest.fixture
def cells() -> Cells:
    return Cells(small_table(), "small")


def test_rows_apart_by_tabs_have_a_header_paths_and_plain_numbers(cells):
    assert tab_separated(cells, [0, 5, 16], COLUMNS).split("\n") == [
        "Path\tClass\tShape\tParameters\tBytes",
        "small\tSmall\t\t184\t784",
        "body.0.weight\tParameter\t(8, 8)\t64\t256",
        "width\tint\t\t\t",
    ]


def test_columns_come_in_the_order_they_are_shown(cells):
    text = tab_separated(cells, [5], [Column.NAME, Column.BYTES, Column.TYPE])
    assert text == "Path\tBytes\tType\nbody.0.weight\t256\tfloat32"


def test_markdown_is_a_table_for_reading(cells):
    assert markdown(cells, [5], COLUMNS).split("\n") == [
        "| Path | Class | Shape | Parameters | Bytes |",
        "| --- | --- | --- | ---: | ---: |",
        "| `body.0.weight` | Parameter | 8 × 8 | 64 | 256 B |",
    ]


def test_strange_names_stay_in_their_cell():
    name = "a\tb\nc|d`e"
    cells = Cells(table_of(module("", "A|B", parameter(name, 1))), "t")
    table = tab_separated(cells, [1], [Column.NAME, Column.TYPE])
    assert table.split("\n")[1] == "a\\tb\\nc|d`e\tfloat32"
    line = markdown(cells, [1], [Column.NAME]).split("\n")[2]
    assert line == "| ``a\\tb\\nc\\|d`e`` |"
    assert markdown(cells, [0], [Column.NAME, Column.CLASS]).endswith("| `t` | A\\|B |")
