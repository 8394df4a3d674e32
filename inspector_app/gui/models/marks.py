"""What is particular about a row: a small icon, a word, and a sentence."""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.protocol.table import Flag, RowTable


class Mark(NamedTuple):
    """``icon`` stands beside the name ("" for those told in another way)."""

    flag: Flag
    icon: str
    word: str
    sentence: str


MARKS = (
    Mark(
        Flag.INITIAL,
        "initial",
        "initial",
        "still at its initial value: what was loaded does not hold it",
    ),
    Mark(Flag.HOOKED, "hook", "hooks", "has hooks: code of yours that runs with every forward"),
    Mark(
        Flag.PARAMETRIZED, "computed", "parametrized", "parametrized: computed from other tensors"
    ),
    Mark(Flag.QUANTIZED, "quantized", "quantized", "holds quantized values"),
    Mark(
        Flag.OVERLAPS,
        "overlap",
        "overlaps",
        "shares some of its bytes with a tensor that is another",
    ),
    Mark(
        Flag.UNUSUAL,
        "layout",
        "not strided",
        "is not laid out in strides: sparse, nested or of MKL-DNN",
    ),
    Mark(Flag.LAZY, "", "lazy", "its shape is not known before the first forward"),
    Mark(Flag.META, "", "meta", "on the meta device: it has no data"),
    Mark(Flag.REPEATED, "", "repeated", "the same object stands earlier in the tree as well"),
    Mark(Flag.REFERENCE, "", "cycle", "stands inside itself, so it is not expanded again"),
)
TIED_ICON = "link"

_ALL = sum(int(mark.flag) for mark in MARKS)


def marks_of(table: RowTable, position: int) -> list[Mark]:
    """The marks of one row, most telling first."""
    flags = int(table.flags[position])
    return [mark for mark in MARKS if flags & mark.flag] if flags & _ALL else []
