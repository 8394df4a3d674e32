"""The init schemes a person can choose: names, arguments, one line each.

Plain data, so that the window's dialog, the command line and the backend agree on them.  The
values themselves come from ``torch.nn.init``, whose documentation is the source of every default:
https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import ast
import math
from typing import Literal

import msgspec

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Scheme

_TEXT_LIMIT = 1000  # characters of a scheme as text


class ArgumentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a scheme."""

    kind: Literal["number", "choice"]
    default: float | str
    summary: str
    choices: tuple[str, ...] = ()  # of a choice
    minimum: float | None = None  # of a number, inclusive


class SchemeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One scheme; ``arguments`` in the order in which they may be given without a name."""

    name: str
    arguments: dict[str, ArgumentInfo]
    summary: str
    source: str


def _number(default: float, summary: str, minimum: float | None = None) -> ArgumentInfo:
    return ArgumentInfo(kind="number", default=default, summary=summary, minimum=minimum)


def _choice(choices: tuple[str, ...], default: str, summary: str) -> ArgumentInfo:
    return ArgumentInfo(kind="choice", default=default, summary=summary, choices=choices)


SCHEMES: dict[str, SchemeInfo] = {
    info.name: info
    for info in (
        SchemeInfo(
            name="kaiming_uniform_",
            arguments={
                "a": _number(0.0, "negative slope of the leaky ReLU that follows"),
                "mode": _choice(
                    ("fan_in", "fan_out"),
                    "fan_in",
                    "keep the variance of activations (fan_in) or of gradients (fan_out)",
                ),
                "nonlinearity": _choice(
                    # Those torch.nn.init.calculate_gain knows; it has no gain for GELU and SiLU.
                    ("leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu"),
                    "leaky_relu",
                    "what follows the layer",
                ),
            },
            summary="Uniform within gain * sqrt(3 / fan), for layers followed by ReLU.",
            source="He et al. 2015, Delving deep into rectifiers",
        ),
        SchemeInfo(
            name="xavier_uniform_",
            arguments={"gain": _number(1.0, "factor on the bound", minimum=0.0)},
            summary="Uniform within gain * sqrt(6 / (fan_in + fan_out)), for tanh and attention.",
            source="Glorot and Bengio 2010, Understanding the difficulty of training deep networks",
        ),
        SchemeInfo(
            name="normal_",
            arguments={
                "mean": _number(0.0, "mean"),
                "std": _number(1.0, "standard deviation", minimum=0.0),
            },
            summary="Normally distributed.",
            source="torch.nn.init.normal_",
        ),
        SchemeInfo(
            name="zeros_",
            arguments={},
            summary="All zero.",
            source="torch.nn.init.zeros_",
        ),
        SchemeInfo(
            name="reset_parameters",
            arguments={},
            summary="What each module does itself when it is made, inner modules first.",
            source="the reset_parameters method of the module's class",
        ),
    )
}


def _accepted(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def find_scheme(name: str) -> SchemeInfo:
    """The scheme of this name, with or without the trailing underscore.

    Raises RequestError, with the names there are.
    """
    for candidate in (name, name + "_", name.rstrip("_")):
        if candidate in SCHEMES:
            return SCHEMES[candidate]
    raise RequestError(f"There is no init scheme {name!r}. There are: {_accepted([*SCHEMES])}.")


def _checked(info: SchemeInfo, name: str, value: object) -> float | str:
    argument = info.arguments.get(name)
    if argument is None:
        raise RequestError(
            f"{info.name} has no argument {name!r}. It has: {_accepted([*info.arguments])}."
        )
    where = f"{info.name}: {name}"
    if argument.kind == "choice":
        if value not in argument.choices:
            raise RequestError(
                f"{where} cannot be {value!r}. It can be: {_accepted([*argument.choices])}."
            )
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{where} must be a number, not {value!r}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(f"{where} must be a finite number.")
    if argument.minimum is not None and number < argument.minimum:
        raise RequestError(f"{where} must be at least {argument.minimum:g}, not {number:g}.")
    return number


def check_scheme(scheme: Scheme) -> Scheme:
    """The same scheme under its full name, with every argument checked.

    Raises RequestError with what would be accepted.
    """
    info = find_scheme(scheme.name)
    arguments = {name: _checked(info, name, value) for name, value in scheme.arguments.items()}
    return Scheme(name=info.name, arguments=arguments)


def all_arguments(scheme: Scheme) -> dict[str, float | str]:
    """The arguments given, and the defaults of those that were not."""
    info = find_scheme(scheme.name)
    return {name: argument.default for name, argument in info.arguments.items()} | dict(
        scheme.arguments
    )


def scheme_text(scheme: Scheme) -> str:
    """The scheme as a person writes it: ``normal_(std=0.02)``; parse_scheme reads it back."""
    arguments = ", ".join(
        f"{name}={value if isinstance(value, str) else repr(float(value))}"
        for name, value in scheme.arguments.items()
    )
    return f"{scheme.name}({arguments})" if arguments else scheme.name


def _literal(info: SchemeInfo, name: str, node: ast.expr) -> float | str:
    """The value of one argument; words need no quotes."""
    if isinstance(node, ast.Name):
        return _checked(info, name, node.id)
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        raise RequestError(
            f"{info.name}: {name} must be a plain number or word, not {ast.unparse(node)!r}."
        ) from None
    return _checked(info, name, value)


def parse_scheme(text: str) -> Scheme:
    """The scheme that ``text`` names: ``zeros``, ``normal_(std=0.02)``, ``xavier_uniform_(2)``.

    Nothing is evaluated.  Raises RequestError with what would be accepted.
    """
    unreadable = RequestError(
        f"{text[:80]!r} is not an init scheme. Write a name, and arguments in brackets where "
        f"they are wanted: normal_(std=0.02). There are: {_accepted([*SCHEMES])}."
    )
    if len(text) > _TEXT_LIMIT:
        raise unreadable
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise unreadable from None
    if isinstance(node, ast.Name):
        return Scheme(name=find_scheme(node.id).name)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise unreadable
    info = find_scheme(node.func.id)
    names = [*info.arguments]
    if len(node.args) > len(names):
        raise RequestError(
            f"{info.name} has {len(names)} arguments, not {len(node.args)}: {_accepted(names)}."
        )
    arguments = {
        name: _literal(info, name, value) for name, value in zip(names, node.args, strict=False)
    }
    for keyword in node.keywords:
        if keyword.arg is None:
            raise unreadable
        if keyword.arg in arguments:
            raise RequestError(f"{info.name}: {keyword.arg} is given twice.")
        arguments[keyword.arg] = _literal(info, keyword.arg, keyword.value)
    return Scheme(name=info.name, arguments=arguments)
