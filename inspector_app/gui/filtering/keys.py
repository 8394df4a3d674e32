"""The keys of the filter language: what may stand before a colon, and what after it.

A key is described once: reading, completing and the help all derive from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from inspector_app.gui.filtering import conditions
from inspector_app.gui.filtering.conditions import DTYPE_ALIASES, Condition, is_glob
from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.filtering.problems import ValueProblem
from inspector_app.gui.filtering.shapes import shape_pattern
from inspector_app.gui.models.row_values import ITEM_BYTES, Mask
from inspector_app.protocol.table import Flag, Role, RowTable

YES = ("yes", "true", "on", "y", "1")
NO = ("no", "false", "off", "n", "0")
_MORE_DTYPES = ("quint4x2", "quint2x4", "bits8", "int4", "uint4", "float4_e2m1fn_x2")


@dataclass(frozen=True)
class Key:
    """``read`` takes the alternatives after the colon and raises ValueProblem."""

    name: str
    help: str
    example: str
    read: Callable[[list[str]], Condition]
    values: Callable[[RowTable], list[str]]
    aliases: tuple[str, ...] = ()


# -- reading values --------------------------------------------------------------------------------


def _dtypes(texts: list[str]) -> Condition:
    for text in texts:
        _check_dtype(text.lower())
    return conditions.of_dtype(texts)


def _check_dtype(text: str) -> None:
    known = {*ITEM_BYTES, *DTYPE_ALIASES, *_MORE_DTYPES}
    if text in known or is_glob(text):
        return
    near = get_close_matches(text, sorted(known), 1)
    wanted = f"write dtype:{near[0]}" if near else "write dtype:bf16 or dtype:float*"
    starts = any(one.startswith(text) for one in known)
    raise ValueProblem(f"No data type is called {text}: {wanted}.", starts)


def _shapes(texts: list[str]) -> Condition:
    patterns = [shape_pattern(text) for text in texts]
    for text, pattern in zip(texts, patterns, strict=True):
        if pattern is None:
            raise ValueProblem(
                f"{text} is no shape: write shape:3x*x3, shape:*,768 or shape:...,64.",
                text[:1] in "([.-" or text[-1:] in "x×,.",
            )
    return conditions.of_shape([pattern for pattern in patterns if pattern is not None])


def _roles(texts: list[str]) -> Condition:
    words = {role.word: role for role in Role} | {"param": Role.PARAMETER, "plain": Role.ATTRIBUTE}
    roles = []
    for text in texts:
        found = {role for word, role in words.items() if word.startswith(text.lower())}
        if text.lower() in words:
            found = {words[text.lower()]}
        if len(found) != 1:
            known = ", ".join(role.word for role in Role)
            raise ValueProblem(f"No row is held as {text}: write one of {known}.", bool(found))
        roles += list(found)
    return conditions.of_role(roles)


def _mode(texts: list[str]) -> Condition:
    if len(texts) == 1:
        for word, training in (("train", True), ("training", True), ("eval", False)):
            if texts[0].lower() == word:
                return conditions.in_mode(training)
    unfinished = any(word.startswith(texts[0].lower()) for word in ("train", "eval"))
    raise ValueProblem("A mode is train or eval: write mode:eval.", unfinished)


def _yes(name: str, make: Callable[[bool], Condition]) -> Callable[[list[str]], Condition]:
    def read(texts: list[str]) -> Condition:
        text = texts[0].lower()
        if len(texts) == 1 and text in (*YES, *NO):
            return make(text in YES)
        unfinished = len(texts) == 1 and "yes".startswith(text)
        raise ValueProblem(f"Write {name}:yes or {name}:no.", unfinished)

    return read


# -- completing values -----------------------------------------------------------------------------


def _classes_of(table: RowTable) -> list[str]:
    return sorted({name for name in table.classes if name}, key=str.casefold)


def _devices_of(table: RowTable) -> list[str]:
    kinds = {device.partition(":")[0] for device in table.devices}
    return sorted(kinds | set(table.devices))


def _shapes_of(table: RowTable) -> list[str]:
    return ["x".join(map(str, shape)) if shape else "scalar" for shape in table.shapes]


def _names_of(table: RowTable) -> list[str]:
    return []


# -- the keys --------------------------------------------------------------------------------------


def _flag_key(
    name: str,
    help: str,
    is_so: Callable[[Facts], Mask],
    among: Callable[[Facts], Mask] = conditions.tensors,
    example: str = "yes",
    aliases: tuple[str, ...] = (),
) -> Key:
    read = _yes(name, lambda wanted: conditions.flagged(is_so, among, wanted))
    return Key(name, help, example, read, lambda _: ["yes", "no"], aliases)


def _module_key(name: str, help: str, flag: Flag) -> Key:
    read = _yes(name, lambda wanted: conditions.module_flagged(flag, wanted))
    return Key(name, help, "yes", read, lambda _: ["yes", "no"])


def _is_registered(facts: Facts) -> Mask:
    tensor = conditions.flag(Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED)(facts)
    module = conditions.flag(Flag.IN_MODEL)(facts)
    registered: Mask = (tensor & facts.values.is_tensor) | (module & conditions.modules(facts))
    return registered


def _can_be_registered(facts: Facts) -> Mask:
    return facts.values.is_tensor | conditions.modules(facts)


def _is_plain(facts: Facts) -> Mask:
    plain: Mask = facts.table.role == Role.ATTRIBUTE
    return plain


def _is_tied(facts: Facts) -> Mask:
    tied: Mask = facts.table.tie >= 0
    return tied


def _is_strided(facts: Facts) -> Mask:
    return ~conditions.flag(Flag.UNUSUAL)(facts)


def _is_frozen(facts: Facts) -> Mask:
    return ~conditions.flag(Flag.REQUIRES_GRAD)(facts)


_KEYS = (
    Key("class", "Class of a row, and all below it", "Conv*", conditions.of_class, _classes_of),
    Key("name", "Name of its own, not the path", "weight", conditions.named, _names_of),
    Key(
        "dtype",
        "Data type of a tensor",
        "bf16|float16",
        _dtypes,
        lambda table: sorted(table.dtypes),
        ("type",),
    ),
    Key("device", "Where a tensor is stored", "cuda*", conditions.on_device, _devices_of),
    Key("shape", "Shape: * is any extent, ... any number of them", "*,768", _shapes, _shapes_of),
    Key(
        "role",
        "How the owner holds a row",
        "buffer",
        _roles,
        lambda _: [role.word for role in Role],
        ("held",),
    ),
    _flag_key(
        "trainable",
        "Parameters that require a gradient",
        conditions.flag(Flag.REQUIRES_GRAD),
        conditions.parameters,
        "no",
        ("requires_grad",),
    ),
    _flag_key(
        "frozen",
        "Parameters that could be trained and are not",
        _is_frozen,
        conditions.flag(Flag.CAN_TRAIN),
    ),
    _flag_key(
        "plain", "Plain attributes, which nothing registers", _is_plain, conditions.everything
    ),
    _flag_key(
        "registered",
        "Seen by model.modules(), parameters() or buffers()",
        _is_registered,
        _can_be_registered,
        "no",
    ),
    _flag_key(
        "saved", "Tensors that state_dict() holds", conditions.flag(Flag.SAVED), example="no"
    ),
    _flag_key("tied", "Tensors that share all of their memory", _is_tied),
    _flag_key("overlaps", "Tensors that share some bytes", conditions.flag(Flag.OVERLAPS)),
    _flag_key(
        "initial", "Not among what was loaded: still as initialised", conditions.flag(Flag.INITIAL)
    ),
    _flag_key("lazy", "Shape not known before the first forward", conditions.flag(Flag.LAZY)),
    _flag_key("meta", "On the meta device: without data", conditions.flag(Flag.META)),
    _flag_key("strided", "no: sparse, nested and other layouts", _is_strided, example="no"),
    _flag_key(
        "repeated",
        "The same object stands earlier as well",
        conditions.flag(Flag.REPEATED),
        conditions.everything,
    ),
    Key(
        "mode",
        "Mode of a module, and of what is its own",
        "eval",
        _mode,
        lambda _: ["train", "eval"],
    ),
    _module_key("hooks", "Modules with hooks of yours", Flag.HOOKED),
    _module_key("parametrized", "Computed from other tensors", Flag.PARAMETRIZED),
    _module_key("quantized", "With quantized values", Flag.QUANTIZED),
)

KEYS: dict[str, Key] = {name: key for key in _KEYS for name in (key.name, *key.aliases)}
"""By every name they have; aliases come right after the name that the help tells."""
