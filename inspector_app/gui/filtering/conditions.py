"""What each word of a filter finds: functions from :class:`Facts` to :class:`Found`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.gui.filtering.automaton import START, Automaton
from inspector_app.gui.filtering.expressions import Either, Node, glob, literal
from inspector_app.gui.filtering.facts import Facts, Found
from inspector_app.gui.filtering.shapes import ShapePattern, fits
from inspector_app.gui.models.layout import with_subtrees
from inspector_app.gui.models.row_values import Mask
from inspector_app.protocol.table import Flag, Role

Condition = Callable[[Facts], Found]

_IS_GLOB = re.compile(r"[*?\[]")
DTYPE_ALIASES = {
    **dict.fromkeys(("half", "fp16", "f16"), "float16"),
    "bf16": "bfloat16",
    **dict.fromkeys(("float", "single", "fp32", "f32"), "float32"),
    **dict.fromkeys(("double", "fp64", "f64"), "float64"),
    **dict.fromkeys(("fp8", "f8", "float8"), "float8*"),
    **dict.fromkeys(("byte", "u8"), "uint8"),
    **dict.fromkeys(("char", "i8"), "int8"),
    **dict.fromkeys(("short", "i16"), "int16"),
    **dict.fromkeys(("int", "i32"), "int32"),
    **dict.fromkeys(("long", "i64"), "int64"),
    "cfloat": "complex64",
    "cdouble": "complex128",
}


def is_glob(text: str) -> bool:
    """Whether a text has characters that stand for others."""
    return _IS_GLOB.search(text) is not None


# -- paths -----------------------------------------------------------------------------------------


def path_node(texts: Iterable[tuple[str, bool]]) -> Node:
    """Paths that hold any of some texts; those that are marked may be globs."""
    parts: list[Node] = []
    for text, may_be_glob in texts:
        if may_be_glob and is_glob(text):
            parts.append(glob(text))
        if not may_be_glob or not re.search(r"[*?]", text):
            parts.append(literal(text))  # also "cache[0]", which is a path as well as a glob
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def path_has(texts: list[tuple[str, bool]]) -> Condition:
    """Rows whose path holds any of some texts, and all below them."""
    # Names meet at a dot or a bracket: what has neither stands within one name.
    plain = [text.lower() for text, _ in texts]
    within = not any(re.search(r"[.*?\[\]]", text) for text in plain)
    node = path_node(texts)

    def find(facts: Facts) -> Found:
        if not within:
            return path_matches(node)(facts)
        direct = facts.none()
        for text in plain:
            direct |= facts.paths.names_with(text)
        return Found(direct, with_subtrees(facts.table, direct))

    return find


def path_matches(node: Node) -> Condition:
    """Rows whose path an expression is found in, and all below them."""

    def find(facts: Facts) -> Found:
        direct = facts.paths.find(node)
        return Found(direct, with_subtrees(facts.table, direct))

    return find


def named(texts: list[str]) -> Condition:
    """Rows with a name of their own, and all below them."""
    fit = _fitting(texts)

    def find(facts: Facts) -> Found:
        direct = _pick(facts.names.codes, facts.names.distinct, fit)
        return Found(direct, with_subtrees(facts.table, direct))

    return find


# -- values of columns -----------------------------------------------------------------------------


def of_class(texts: list[str]) -> Condition:
    """Rows whose class has a name, and all below them."""
    fit = _fitting(texts)

    def find(facts: Facts) -> Found:
        direct = _pick(facts.table.class_index, facts.table.classes, fit)
        return Found(direct, with_subtrees(facts.table, direct))

    return find


def of_dtype(texts: list[str]) -> Condition:
    """Tensors of a data type."""
    fit = _fitting([DTYPE_ALIASES.get(text.lower(), text) for text in texts])
    return _alone(lambda facts: _pick(facts.table.dtype_index, facts.table.dtypes, fit))


def on_device(texts: list[str]) -> Condition:
    """Tensors on a device; "cuda" means all of its kind."""
    fit = _fitting([*texts, *(f"{text}:*" for text in texts if ":" not in text)])
    return _alone(lambda facts: _pick(facts.table.device_index, facts.table.devices, fit))


def of_shape(patterns: list[ShapePattern]) -> Condition:
    """Tensors of a shape."""

    def find(facts: Facts) -> Mask:
        known = [any(fits(tuple(s), p) for p in patterns) for s in facts.table.shapes]
        return np.asarray([*known, False], bool)[facts.table.shape_index]

    return _alone(find)


def of_role(roles: list[Role]) -> Condition:
    """Rows that are held in a way."""
    return _alone(lambda facts: np.isin(facts.table.role, roles))


def in_mode(training: bool) -> Condition:
    """Modules in train or eval mode, with what is their own."""
    is_training = flag(Flag.TRAINING)
    return _of_modules(lambda facts: modules(facts) & (is_training(facts) == training))


def compared(
    column: Callable[[Facts], NDArray[Any]],
    among: Callable[[Facts], Mask],
    holds: Callable[[Any, Any], Any],
    number: float,
) -> Condition:
    """Rows of some kind whose number in a column is larger, smaller or the same."""
    return _alone(lambda facts: among(facts) & holds(column(facts), number))


# -- facts that are true or not --------------------------------------------------------------------


def flagged(
    is_so: Callable[[Facts], Mask], among: Callable[[Facts], Mask], wanted: bool
) -> Condition:
    """Rows of some kind of which something is true, or is not."""
    return _alone(lambda facts: among(facts) & (is_so(facts) == wanted))


def module_flagged(which: Flag, wanted: bool) -> Condition:
    """Modules, and tensors of which it is told, that have a flag or have it not."""
    has_flag = flag(which)

    def has(facts: Facts) -> Mask:
        found: Mask = (modules(facts) | facts.values.is_tensor) & (has_flag(facts) == wanted)
        return found

    return _of_modules(has) if wanted else _alone(has)


def flag(which: Flag) -> Callable[[Facts], Mask]:
    """Rows with any of some flags."""

    def has(facts: Facts) -> Mask:
        mask: Mask = (facts.table.flags & which) != 0
        return mask

    return has


def tensors(facts: Facts) -> Mask:
    """Rows with a shape and data of their own."""
    return facts.values.is_tensor


def known_tensors(facts: Facts) -> Mask:
    """Tensors whose shape is known."""
    return facts.values.is_tensor & ~flag(Flag.LAZY)(facts)


def parameters(facts: Facts) -> Mask:
    """Parameters."""
    mask: Mask = facts.values.is_tensor & (facts.table.role == Role.PARAMETER)
    return mask


def summing(facts: Facts) -> Mask:
    """Rows that speak of all below them."""
    return facts.values.sums_up


def modules(facts: Facts) -> Mask:
    """Modules."""
    mask: Mask = facts.table.role == Role.MODULE
    return mask


def everything(facts: Facts) -> Mask:
    """All rows."""
    return np.ones(len(facts.table), bool)


# -- helpers ---------------------------------------------------------------------------------------


def _alone(find: Callable[[Facts], Mask]) -> Condition:
    """It holds for the very rows that it speaks of."""

    def both(facts: Facts) -> Found:
        mask = find(facts)
        return Found(mask, mask)

    return both


def _of_modules(find: Callable[[Facts], Mask]) -> Condition:
    """It holds for a module, and for all rows whose nearest module it is."""

    def both(facts: Facts) -> Found:
        direct = find(facts)
        modules_found = direct & modules(facts)
        nearest = facts.values.nearest_module
        owned: Mask = np.append(modules_found, False)[nearest]
        return Found(direct, direct | owned)

    return both


def _fitting(texts: list[str]) -> Callable[[str], bool]:
    """Whether a value is one of some texts or fits a glob among them, in any case."""
    exact = {text.lower() for text in texts}
    globs = [Automaton(glob(text, whole=True)) for text in texts if is_glob(text)]

    def fit(value: str) -> bool:
        value = value.lower()
        return value in exact or any(one.ends(one.read(START, value)[0]) for one in globs)

    return fit


def _pick(codes: NDArray[Any], values: list[str], fit: Callable[[str], bool]) -> Mask:
    """Rows whose coded value fits; -1 fits nothing."""
    known = np.asarray([*(fit(value) for value in values), False], bool)
    mask: Mask = known[codes]
    return mask
