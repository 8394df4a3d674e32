"""The distinct names of a table's rows: a hundred thousand rows have a few hundred of them.

What is asked of names (is a text in it, which comes first) is asked of each distinct one, and
numpy carries the answers over to the rows.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import Int32, RowTable, take_names

_DIGITS = re.compile(r"(\d+)")
_SEED = 20_240_511  # of the weights that hash names: any will do
_ROUNDS = 64


class Names:
    """``codes[p]`` (n,) is the place of the name at position ``p`` in ``distinct``."""

    def __init__(self, table: RowTable) -> None:
        self._name_bytes, self._name_offsets = table.name_bytes, table.name_offsets
        first, self.codes = _interned(table)
        self.distinct = [table.name(position) for position in first.tolist()]

    def fits(self, table: RowTable) -> bool:
        """Whether a table has these very names; after an edit it mostly does."""
        return table.name_bytes is self._name_bytes and table.name_offsets is self._name_offsets

    @cached_property
    def lower(self) -> list[str]:
        """The distinct names in lower case."""
        return [name.lower() for name in self.distinct]

    @cached_property
    def ranks(self) -> Int32:
        """Place of each distinct name among all in natural order."""
        return natural_ranks(self.distinct)


def natural_ranks(texts: list[str]) -> Int32:
    """Place of each text when all are sorted as people do: "layer2" before "layer10"."""
    order = sorted(range(len(texts)), key=lambda at: _natural(texts[at]))
    ranks = np.empty(len(texts), np.int32)
    ranks[order] = np.arange(len(texts), dtype=np.int32)
    return ranks


def _natural(text: str) -> tuple[Any, ...]:
    """Texts and numbers in turn; those that differ in case only stand together."""
    if text.isascii() and text.isdigit():
        return (["", _number(text), ""], text)
    parts: list[str | int] = list(_DIGITS.split(text.casefold()))
    parts[1::2] = [_number(part) for part in parts[1::2]]
    return (parts, text)


def _number(digits: Any) -> int:
    """Python refuses to read numbers of thousands of digits: of those the beginning is enough."""
    return int(digits[:300])


def _interned(table: RowTable) -> tuple[NDArray[Any], Int32]:
    """(position of one row of each distinct name, code of each row).

    Rows are told apart by a hash of 64 bits, and then all are compared with the row that stands
    for them, so that the answer never rests on the hash.
    """
    count = len(table)
    lengths = np.diff(table.name_offsets)
    hashes = _hashes(table, lengths)
    stands_for = np.full(count, -1, np.int64)
    left = np.arange(count)
    bits = max(8, int(count).bit_length())
    slots = np.empty(1 << bits, np.int64)
    for turn in range(_ROUNDS):
        if not len(left):
            break
        # Of the rows that share a slot one wins; all with its hash belong to it.
        spread = hashes[left] * np.uint64(2 * turn + 0x9E37_79B9_7F4A_7C15)
        at = (spread >> np.uint64(64 - bits)).astype(np.int64)
        slots[at] = left
        winner = slots[at]
        same = hashes[winner] == hashes[left]
        stands_for[left[same]] = winner[same]
        left = left[~same]
    if len(left) or not _are_equal(table, lengths, stands_for):
        return _interned_slowly(table)
    is_first = np.zeros(count, bool)
    is_first[stands_for] = True
    numbers = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(is_first), numbers[stands_for]


def _hashes(table: RowTable, lengths: NDArray[Any]) -> NDArray[np.uint64]:
    """One number for each name: its bytes times random weights."""
    offsets = table.name_offsets.astype(np.int64)
    inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    longest = int(lengths.max(initial=0))
    random = np.random.default_rng(_SEED)
    weights = random.integers(0, 2**64, longest, dtype=np.uint64) | np.uint64(1)
    running = np.zeros(len(inside) + 1, np.uint64)
    np.cumsum((table.name_bytes + np.uint64(1)) * weights[inside], out=running[1:])
    return running[offsets[1:]] - running[offsets[:-1]]


def _are_equal(table: RowTable, lengths: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether every row has the name of the row at ``others``, byte for byte."""
    if not np.array_equal(lengths, lengths[others]):
        return False
    taken, _ = take_names(table.name_bytes, table.name_offsets, others)
    return np.array_equal(taken, table.name_bytes)


def _interned_slowly(table: RowTable) -> tuple[NDArray[Any], Int32]:
    """The same with a dictionary, where a hash did not do."""
    codes: dict[str, int] = {}
    first: list[int] = []
    found = np.empty(len(table), np.int32)
    for position in range(len(table)):
        code = codes.setdefault(table.name(position), len(first))
        if code == len(first):
            first.append(position)
        found[position] = code
    return np.asarray(first, np.int64), found
