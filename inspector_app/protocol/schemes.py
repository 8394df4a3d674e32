"""The init schemes a person can choose: names, arguments, one line each.

Plain data, so that the window's dialog, the command line and the backend agree on them.  The
values themselves come from ``torch.nn.init``, whose documentation is the source of every default:
https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Scheme

_TEXT_LIMIT = 1000  # characters of a scheme as text


Value = float | str
Values = Mapping[str, Value]


class ArgumentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a scheme; ``default`` None follows from the others, as ``derived`` says."""

    kind: Literal["number", "integer", "choice"]
    default: Value | None
    summary: str
    derived: str = ""
    choices: tuple[str, ...] = ()  # of a choice
    minimum: float | None = None  # of a number, inclusive
    maximum: float | None = None  # of a number, inclusive


class SchemeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One scheme; ``arguments`` in the order in which they may be given without a name."""

    name: str
    arguments: dict[str, ArgumentInfo]
    summary: str
    source: str
    derive: Callable[[Values], Values] | None = None  # those arguments whose default is None
    problem: Callable[[Values], str | None] | None = None  # of arguments that do not fit together


def _number(
    default: float | None,
    summary: str,
    minimum: float | None = None,
    maximum: float | None = None,
    derived: str = "",
) -> ArgumentInfo:
    return ArgumentInfo(
        kind="number",
        default=default,
        summary=summary,
        minimum=minimum,
        maximum=maximum,
        derived=derived,
    )


def _choice(choices: tuple[str, ...], default: str, summary: str) -> ArgumentInfo:
    return ArgumentInfo(kind="choice", default=default, summary=summary, choices=choices)


def _uniform_problem(values: Values) -> str | None:
    low, high = float(values["a"]), float(values["b"])
    return None if low <= high else f"a must not be above b, but {low:g} is above {high:g}"


def _truncated_problem(values: Values) -> str | None:
    mean, std, low, high = (float(values[name]) for name in ("mean", "std", "a", "b"))
    if std <= 0:
        return "std must be above 0; for one value everywhere take constant_"
    if low >= high:
        return f"a must be below b, but {low:g} is not below {high:g}"
    if not low - 2 * std <= mean <= high + 2 * std:
        # torch only warns, of a distribution that may be wrong.
        return f"the mean {mean:g} is more than 2 std outside of {low:g} to {high:g}"
    return None


def _two_deviations(values: Values) -> Values:
    """Bounds that cut whatever std is; torch's own -2 and 2 do not where std is 0.02."""
    mean, std = float(values["mean"]), float(values["std"])
    return {"a": mean - 2 * std, "b": mean + 2 * std}


_KAIMING = {
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
}
_XAVIER = {"gain": _number(1.0, "factor on the spread", minimum=0.0)}
_NORMAL = {
    "mean": _number(0.0, "mean"),
    "std": _number(1.0, "standard deviation", minimum=0.0),
}
_HE = "He et al. 2015, Delving deep into rectifiers"
_GLOROT = "Glorot and Bengio 2010, Understanding the difficulty of training deep networks"

SCHEMES: dict[str, SchemeInfo] = {
    info.name: info
    for info in (
        SchemeInfo(
            name="kaiming_uniform_",
            arguments=_KAIMING,
            summary="Uniform within gain * sqrt(3 / fan), for layers followed by ReLU.",
            source=_HE,
        ),
        SchemeInfo(
            name="kaiming_normal_",
            arguments=_KAIMING,
            summary="Normal with std gain / sqrt(fan), for layers followed by ReLU.",
            source=_HE,
        ),
        SchemeInfo(
            name="xavier_uniform_",
            arguments=_XAVIER,
            summary="Uniform within gain * sqrt(6 / (fan_in + fan_out)), for tanh and attention.",
            source=_GLOROT,
        ),
        SchemeInfo(
            name="xavier_normal_",
            arguments=_XAVIER,
            summary="Normal with std gain * sqrt(2 / (fan_in + fan_out)), for tanh and attention.",
            source=_GLOROT,
        ),
        SchemeInfo(
            name="normal_",
            arguments=_NORMAL,
            summary="Normally distributed.",
            source="torch.nn.init.normal_",
        ),
        SchemeInfo(
            name="trunc_normal_",
            arguments=_NORMAL
            | {
                "a": _number(None, "lower bound, a value as such", derived="mean - 2 * std"),
                "b": _number(None, "upper bound, a value as such", derived="mean + 2 * std"),
            },
            summary="Normally distributed, what lies outside of a to b drawn again.",
            source="torch.nn.init.trunc_normal_, whose own bounds are -2 and 2 whatever std is",
            derive=_two_deviations,
            problem=_truncated_problem,
        ),
        SchemeInfo(
            name="uniform_",
            arguments={"a": _number(0.0, "lower bound"), "b": _number(1.0, "upper bound")},
            summary="Uniformly distributed between a and b.",
            source="torch.nn.init.uniform_",
            problem=_uniform_problem,
        ),
        SchemeInfo(
            name="orthogonal_",
            arguments={"gain": _number(1.0, "factor on the matrix")},
            summary="Random rows (or columns) at right angles, all of length gain.",
            source="Saxe et al. 2013, Exact solutions to the nonlinear dynamics of learning",
        ),
        SchemeInfo(
            name="sparse_",
            arguments={
                # torch has no default for it.
                "sparsity": _number(
                    0.9, "share of each column that is zero", minimum=0.0, maximum=1.0
                ),
                "std": _number(0.01, "standard deviation of the others", minimum=0.0),
            },
            summary="Mostly zero: each column keeps a few normally distributed values.",
            source="Martens 2010, Deep learning via Hessian-free optimization",
        ),
        SchemeInfo(
            name="eye_",
            arguments={},
            summary="The identity: each output is one of the inputs.",
            source="torch.nn.init.eye_",
        ),
        SchemeInfo(
            name="dirac_",
            arguments={
                "groups": ArgumentInfo(
                    kind="integer",
                    default=1.0,
                    summary="groups of outputs that each keep the inputs; 1: those of the layer",
                    minimum=1.0,
                )
            },
            summary="The identity for convolutions: each channel comes out as it went in.",
            source="torch.nn.init.dirac_",
        ),
        SchemeInfo(
            name="constant_",
            arguments={"val": _number(0.0, "the value")},  # torch has no default
            summary="One value everywhere.",
            source="torch.nn.init.constant_",
        ),
        SchemeInfo(
            name="ones_",
            arguments={},
            summary="All one.",
            source="torch.nn.init.ones_",
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


def _checked(info: SchemeInfo, name: str, value: object) -> Value:
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
    if argument.maximum is not None and number > argument.maximum:
        raise RequestError(f"{where} must be at most {argument.maximum:g}, not {number:g}.")
    if argument.kind == "integer" and not number.is_integer():
        raise RequestError(f"{where} must be a whole number, not {number:g}.")
    return number


def check_scheme(scheme: Scheme) -> Scheme:
    """The same scheme under its full name, with every argument checked.

    Raises RequestError with what would be accepted.
    """
    info = find_scheme(scheme.name)
    arguments = {name: _checked(info, name, value) for name, value in scheme.arguments.items()}
    checked = Scheme(name=info.name, arguments=arguments)
    problem = info.problem(all_arguments(checked)) if info.problem else None
    if problem is not None:
        raise RequestError(f"{info.name}: {problem}.")
    return checked


def all_arguments(scheme: Scheme) -> dict[str, Value]:
    """The arguments given, and the defaults of those that were not."""
    info = find_scheme(scheme.name)
    stated = {
        name: argument.default
        for name, argument in info.arguments.items()
        if argument.default is not None
    }
    values = stated | scheme.arguments
    return {**info.derive(values), **values} if info.derive else values


def _written(info: SchemeInfo, name: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    whole = name in info.arguments and info.arguments[name].kind == "integer"
    return str(int(value)) if whole else repr(float(value))


def scheme_text(scheme: Scheme) -> str:
    """The scheme as a person writes it: ``normal_(std=0.02)``; parse_scheme reads it back."""
    info = find_scheme(scheme.name)
    arguments = ", ".join(
        f"{name}={_written(info, name, value)}" for name, value in scheme.arguments.items()
    )
    return f"{scheme.name}({arguments})" if arguments else scheme.name


def _literal(info: SchemeInfo, name: str, node: ast.expr) -> Value:
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
    return check_scheme(Scheme(name=info.name, arguments=arguments))
