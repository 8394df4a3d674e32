"""The numbers of a row that a filter can compare: ``>1M``, ``bytes>=1GB``, ``total>1B``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from inspector_app.gui.filtering import conditions
from inspector_app.gui.filtering.conditions import Condition
from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.filtering.numbers import Amount, Comparison, amount
from inspector_app.gui.filtering.problems import ValueProblem
from inspector_app.gui.models.row_values import Mask


class Measure(NamedTuple):
    """``elements`` and ``bytes`` give a number of every row; None where there is no such one."""

    help: str
    example: str
    among: Callable[[Facts], Mask]
    elements: Callable[[Facts], Any] | None
    bytes: Callable[[Facts], Any] | None


MEASURES = {
    "": Measure(
        "Tensors with more elements, or with B more bytes",
        ">1M",
        conditions.known_tensors,
        lambda facts: facts.table.count,
        lambda facts: facts.table.bytes,
    ),
    "count": Measure(
        "Elements of a tensor",
        "count<=10k",
        conditions.known_tensors,
        lambda facts: facts.table.count,
        None,
    ),
    "bytes": Measure(
        "Bytes that a tensor stores",
        "bytes>=1.5MB",
        conditions.known_tensors,
        None,
        lambda facts: facts.table.bytes,
    ),
    "total": Measure(
        "Parameters of a module with all below it, or with B its bytes",
        "total>10M",
        conditions.summing,
        lambda facts: facts.values.elements,
        lambda facts: facts.values.bytes,
    ),
    "depth": Measure(
        "Levels below the root",
        "depth<=2",
        conditions.everything,
        lambda facts: facts.table.depth,
        None,
    ),
}
ALIASES = {"elements": "count", "numel": "count", "size": "bytes"}


def measured(wanted: Comparison) -> Condition:
    """The condition that a comparison means; raises ValueProblem.

    Raises KeyError where there is no such field.
    """
    name = ALIASES.get(wanted.field, wanted.field)
    measure = MEASURES[name]
    if not wanted.number.strip():
        raise ValueProblem(f"Write a number after {wanted.sign}, for example >1M or >=2.5MB.", True)
    number = amount(wanted.number)
    if number is None:
        raise ValueProblem(f"{wanted.number} is no number: write 500, 10k, 1.5M, 2GB or 512KiB.")
    return conditions.compared(
        _column(name, measure, number), measure.among, wanted.holds, number.number
    )


def _column(name: str, measure: Measure, number: Amount) -> Callable[[Facts], Any]:
    if number.is_bytes:
        if measure.bytes is None:
            raise ValueProblem(f"{name} is not measured in bytes: leave out the B.")
        return measure.bytes
    column = measure.elements or measure.bytes
    assert column is not None
    return column
