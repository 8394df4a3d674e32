"""The columns of the tree: what each is called, means, and whether it is there at first."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Column(IntEnum):
    """Columns of the tree, in their first order."""

    NAME = 0
    CLASS = 1
    SHAPE = 2
    TYPE = 3
    DEVICE = 4
    PARAMETERS = 5
    TRAINABLE = 6
    BYTES = 7
    LOGICAL = 8
    MODE = 9
    HELD = 10
    MARKS = 11

    @property
    def key(self) -> str:
        """As settings and commands write it."""
        return self.name.lower()


class ColumnInfo(NamedTuple):
    """What a person is told of a column; ``width`` is in steps of the grid."""

    title: str
    meaning: str
    width: int
    shown: bool = True
    number: bool = False


COLUMNS: dict[Column, ColumnInfo] = {
    Column.NAME: ColumnInfo("Name", "Name of the row as its owner knows it", 30),
    Column.CLASS: ColumnInfo("Class", "Class of the object", 16),
    Column.SHAPE: ColumnInfo("Shape", "Logical shape of a tensor", 16),
    Column.TYPE: ColumnInfo("Type", "Data type of a tensor, or of all tensors below", 11),
    Column.DEVICE: ColumnInfo("Device", "Where a tensor is stored, or all tensors below", 9),
    Column.PARAMETERS: ColumnInfo(
        "Parameters",
        "Elements of a tensor, or of all parameters below; tied ones count once",
        14,
        number=True,
    ),
    Column.TRAINABLE: ColumnInfo(
        "Trainable",
        "Those of the parameters that require a gradient",
        14,
        shown=False,
        number=True,
    ),
    Column.BYTES: ColumnInfo(
        "Bytes",
        "Bytes stored by a tensor, or by all below; tied ones count once",
        10,
        number=True,
    ),
    Column.LOGICAL: ColumnInfo(
        "Logical bytes",
        "Elements times the size of one: more than what is stored where a tensor is expanded, and "
        "tied tensors count each time",
        15,
        shown=False,
        number=True,
    ),
    Column.MODE: ColumnInfo("Mode", "Whether a module is in train or eval mode", 9, shown=False),
    Column.HELD: ColumnInfo(
        "Held as", "How the owner holds the row, as a parameter or as a buffer", 11, shown=False
    ),
    Column.MARKS: ColumnInfo(
        "Marks", "What is particular about the row, in words", 22, shown=False
    ),
}

NUMBERS = frozenset(column for column, info in COLUMNS.items() if info.number)
