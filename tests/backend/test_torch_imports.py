"""Which imports of a pickle are harmless: by an allowlist, and nothing by its looks."""

import pytest

from inspector_app.backend.formats.pickle_values import Global
from inspector_app.backend.formats.torch_imports import imports_of, only_describes


def known(module, name):
    (found,) = imports_of([Global(module, name)])
    return found.known


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch.nn.modules.linear", "Linear"),
        ("torch.nn.modules.transformer", "TransformerEncoderLayer"),
        ("torch.nn.functional", "relu"),
        ("collections", "deque"),
        ("argparse", "Namespace"),
    ],
)
def test_harmless_names(module, name):
    assert known(module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("__main__", "Net"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.nn.modules.linear", "Linear.__init__.__globals__"),
        ("torch.nn.modules.linear", "F"),
        ("torch.nn.modules.linear", "init"),
        ("torch.nn.modules.linear", "Module"),  # not of this module
        ("torch.nn.modules.linear", "no_such_layer"),
        ("torch.nn.modules.no_such_module", "Linear"),
        ("torch.nn.modulesque", "Linear"),
        ("functools", "partial"),
    ],
)
def test_all_others_are_not(module, name):
    assert not known(module, name)


def test_names_that_only_describe_are_no_imports():
    names = [
        *(("torch", "FloatStorage"), ("torch", "float32"), ("collections", "OrderedDict")),
        *(("torch._utils", "_rebuild_tensor_v2"), ("torch.nn.parameter", "Parameter")),
    ]
    assert all(only_describes(*name) for name in names)
    assert imports_of([Global(*name) for name in names]) == []
    assert not only_describes("os", "system")


def test_they_come_in_order():
    names = [Global("z", "a"), Global("a", "z"), Global("a", "b")]
    assert [found.name for found in imports_of(names)] == ["a.b", "a.z", "z.a"]
