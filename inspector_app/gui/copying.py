"""Rows of the tree as text for other programs."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.gui.models.cells import Cells
from inspector_app.gui.models.columns import COLUMNS, Column

_BREAKS = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def tab_separated(cells: Cells, positions: Sequence[int], columns: Sequence[Column]) -> str:
    """A header and one line a row; numbers in plain digits, as spreadsheets read them."""
    lines = [[_title(column) for column in columns]]
    lines += [[_cell(cells, at, column) for column in columns] for at in positions]
    return "\n".join("\t".join(cell.translate(_BREAKS) for cell in line) for line in lines)


def markdown(cells: Cells, positions: Sequence[int], columns: Sequence[Column]) -> str:
    """A table in Markdown; numbers as the tree shows them."""
    rule = ["---:" if COLUMNS[column].number else "---" for column in columns]
    lines = [[_title(column) for column in columns], rule]
    lines += [[_marked(cells, at, column) for column in columns] for at in positions]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _title(column: Column) -> str:
    """A name alone means nothing outside of the tree, so the path stands in its column."""
    return "Path" if column == Column.NAME else COLUMNS[column].title


def _cell(cells: Cells, position: int, column: Column) -> str:
    if column == Column.NAME:
        return cells.table.path(position) or cells.title
    return cells.exact(position, column)


def _marked(cells: Cells, position: int, column: Column) -> str:
    if column != Column.NAME:
        text = cells.text(position, column)
        return text.translate(_BREAKS).replace("\\", "\\\\").replace("|", "\\|")
    text = _cell(cells, position, column).translate(_BREAKS).replace("|", "\\|")
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
