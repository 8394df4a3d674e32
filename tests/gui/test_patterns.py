from __future__ import annotations

import pytest

from inspector_app.gui.panels.patterns import classes_in, patterns_in
from tests.gui.tables import buffer, module, parameter, table_of


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("", []),
        ("a.* b", ["a.*", "b"]),
        ("a,b , c", ["a", "b", "c"]),
        ("layers[0] x", ["layers[0]", "x"]),
        ("cache['my key'].w", ["cache['my key'].w"]),
        ("w[ab, c] d", ["w[ab, c]", "d"]),
        ("class:Conv2d preset:norms", ["class:Conv2d", "preset:norms"]),
    ],
)
def test_patterns_are_apart_by_spaces_and_commas(text, patterns):
    assert patterns_in(text) == patterns


def test_classes_are_those_with_parameters_in_them():
    table = table_of(
        module(
            "",
            "Net",
            module("a", "Sequential", module("0", "Linear", parameter("weight", 2, 2))),
            module("b", "Linear", parameter("weight", 2, 2)),
            module("c", "Block", module("0", "Norm", buffer("running_mean", 2))),
            module("d", "Block", module("0", "Conv2d", parameter("weight", 2, 2))),
            module("e", "ReLU"),
            module("f", "Odd, name", parameter("weight", 2)),
        )
    )
    assert classes_in(table) == ["Linear", "Block", "Conv2d"]


def test_a_module_reached_again_is_counted_once(table):
    assert classes_in(table) == ["Linear", "BatchNorm1d", "Embedding"]
    assert classes_in(table_of(module("", "Empty"))) == []


def test_of_any_modules_those_without_parameters_too():
    relu = module("a", "Sequential", module("0", "ReLU"), module("1", "ReLU"))
    table = table_of(module("", "Net", relu, module("b", "Linear", parameter("weight", 2))))
    assert classes_in(table, any_module=True) == ["ReLU", "Linear"]
