"""Sorting brothers by a column: the tree keeps its shape, rows change places below their parent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.gui.models.columns import NUMBERS, Column
from inspector_app.gui.models.marks import MARKS
from inspector_app.gui.models.names import Names, natural_ranks
from inspector_app.gui.models.row_values import Mask, RowValues
from inspector_app.protocol.table import Flag, Int32, Int64, Role, RowTable


class Sorting(NamedTuple):
    """By which column, and whether the largest come first."""

    column: Column
    descending: bool = False


def model_order(table: RowTable) -> Int32:
    """Positions of all rows by parent, brothers as the model has them; the root comes first."""
    return np.argsort(table.parent, kind="stable").astype(np.int32)


def sorted_order(values: RowValues, names: Names, sorting: Sorting) -> Int32:
    """Positions of all rows by parent, brothers sorted.

    Equal ones stay as the model has them; those with an empty cell come last in both directions.
    """
    ranks, empty = ranks_of(values, names, sorting.column)
    if sorting.descending:
        ranks = ranks.max(initial=0) - ranks
    keys = np.where(empty, ranks.max(initial=0) + 1, ranks)
    # One number for both: numpy sorts one key three times as fast as two.
    width = int(keys.max(initial=0)) + 1
    both = values.table.parent.astype(np.int64) * width + keys
    return np.argsort(both, kind="stable").astype(np.int32)


def ranks_of(values: RowValues, names: Names, column: Column) -> tuple[Int64, Mask]:
    """Of every row a number of 0 or more that is larger where the cell is, and whether it is empty.

    Both (n,); numbers of empty cells mean nothing.
    """
    table = values.table
    if column == Column.NAME:
        return names.ranks[names.codes].astype(np.int64), np.zeros(len(table), bool)
    if column in NUMBERS:
        return _number_ranks(values, column)
    if column == Column.CLASS:
        return _coded(table.class_index, natural_ranks(table.classes))
    if column == Column.SHAPE:
        ranks, empty = _coded(table.shape_index, _shape_ranks(table))
        return ranks, empty | ~values.is_tensor
    if column == Column.TYPE:
        return _set_ranks(values, table.dtype_index, table.dtypes)
    if column == Column.DEVICE:
        return _set_ranks(values, table.device_index, table.devices)
    if column == Column.MODE:
        training = (table.flags & Flag.TRAINING) != 0
        return training.astype(np.int64), table.role != Role.MODULE
    if column == Column.HELD:
        words = natural_ranks([role.word for role in Role])
        return words[table.role].astype(np.int64), np.zeros(len(table), bool)
    return _mark_ranks(table)


def _number_ranks(values: RowValues, column: Column) -> tuple[Int64, Mask]:
    is_parameter = values.table.role == Role.PARAMETER
    shown = np.ones(len(values.table), bool)
    if column == Column.TRAINABLE:
        numbers, shown = values.trainable, ~values.is_tensor | is_parameter
    elif column == Column.LOGICAL:
        numbers, shown = values.logical, values.has_logical
    else:
        numbers = values.bytes if column == Column.BYTES else values.elements
    known = ~values.is_tensor | ((values.table.flags & Flag.LAZY) == 0)
    filled = shown & known & (values.is_tensor | values.sums_up)
    # Ranks instead of the numbers: those may be too large to stand in one key with the parent.
    _, ranks = np.unique(np.where(filled, numbers, 0), return_inverse=True)
    return ranks.astype(np.int64), ~filled


def _coded(codes: NDArray[np.integer], ranks: Int32) -> tuple[Int64, Mask]:
    """Ranks of values that are numbered; -1 is empty."""
    return np.append(ranks, 0)[codes].astype(np.int64), codes < 0


def _shape_ranks(table: RowTable) -> Int32:
    order = sorted(range(len(table.shapes)), key=lambda at: tuple(table.shapes[at]))
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks


def _set_ranks(values: RowValues, codes: NDArray[np.int16], words: list[str]) -> tuple[Int64, Mask]:
    """Of tensors their own word, of rows that sum up all words below them."""
    chosen, sets = values.sums.every_set(codes, words)
    texts = [", ".join(one) for one in sets] + words  # the first set is the empty one
    own = np.where(codes < 0, 0, len(sets) + codes.astype(np.int64))
    at = np.where(values.is_tensor, own, np.where(values.sums_up, chosen, 0))
    distinct = list(dict.fromkeys(texts))  # one of a tensor and of all below a module rank alike
    ranks = dict(zip(distinct, natural_ranks(distinct).tolist(), strict=True))
    return np.asarray([ranks[text] for text in texts], np.int64)[at], at == 0


def _mark_ranks(table: RowTable) -> tuple[Int64, Mask]:
    """The mark that is told first decides, then the next."""
    key = (table.tie >= 0).astype(np.int64)
    for mark in MARKS:
        key = 2 * key + ((table.flags & mark.flag) != 0)
    return key.max(initial=0) - key, key == 0
