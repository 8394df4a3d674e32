"""What may go wrong in a person's own file, and what is said about it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.protocol.errors import TargetError

HEAD = "import torch\nfrom torch import nn\n"


@pytest.fixture(autouse=True)
def _imports_as_before() -> Iterator[None]:
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        if not name.startswith(("torch", "numpy")):
            del sys.modules[name]
    sys.modules.update(modules)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + text, encoding="utf-8")
        return path

    return write


def opened(target: object, **options: Any) -> OpenModel:
    found = open_target(str(target), **options)
    assert isinstance(found, OpenModel)
    return found


def refusal(target: object, **options: Any) -> TargetError:
    with pytest.raises(TargetError) as caught:
        open_target(str(target), **options)
    assert "\n" not in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    return caught.value


def test_function(write: Any) -> None:
    path = write("def make(hidden=4, *, bias: bool = True): return nn.Linear(2, hidden, bias=bias)")
    found = opened(f"{path}:make", arguments={"hidden": 7, "bias": False})
    assert (found.model.out_features, found.model.bias) == (7, None)
    assert (found.title, found.path, found.factory_name) == ("mine:make", str(path), "make")
    assert found.arguments == {"hidden": 7, "bias": False}


def test_class(write: Any) -> None:
    path = write("class Net(nn.Linear):\n    pass")
    assert opened(f"{path}:Net", arguments={"in_features": 1, "out_features": 2})


def test_instance(write: Any) -> None:
    path = write("net = nn.Linear(1, 2)")
    assert opened(f"{path}:net").model.out_features == 2
    assert "takes no arguments" in refusal(f"{path}:net", arguments={"a": 1}).sentence


def test_attribute_of_a_class(write: Any) -> None:
    path = write("class Make:\n    @staticmethod\n    def small(): return nn.Linear(1, 2)\n")
    assert opened(f"{path}:Make.small").model.out_features == 2


def test_build_model_is_the_default(write: Any) -> None:
    path = write("def build_model(): return nn.Linear(1, 2)")
    assert opened(path).title == "mine"


def test_without_build_model_lists_what_there_is(write: Any) -> None:
    path = write("from os.path import join\ndef tiny(): ...\nclass Net(nn.Module): ...\n")
    error = refusal(path)
    assert error.sentence == (
        "mine.py has no build_model(). It has Net, tiny: name a factory, as in mine.py:Net."
    )


def test_unknown_factory(write: Any) -> None:
    path = write("def tiny(): ...")
    assert refusal(f"{path}:big").sentence == "mine.py has no 'big'. It has: tiny."


def test_factory_that_is_no_callable(write: Any) -> None:
    assert "is of class int" in refusal(f"{write('width = 3')}:width").sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hiden": 1, "inputs": 2}, "make() has no argument 'hiden': it takes inputs, hidden."),
        ({}, "make() needs the argument 'inputs': give inputs=VALUE (it takes inputs, hidden)."),
    ],
)
def test_arguments_that_do_not_fit(write: Any, arguments: dict[str, int], words: str) -> None:
    path = write("def make(inputs, hidden=3): raise AssertionError('must not be called')")
    assert refusal(f"{path}:make", arguments=arguments).sentence == words


def test_any_keyword_is_passed_on(write: Any) -> None:
    path = write("def make(**options): return nn.Linear(**options)")
    assert opened(f"{path}:make", arguments={"in_features": 1, "out_features": 5})


def test_positional_only(write: Any) -> None:
    path = write("def make(width, /): return nn.Linear(width, 1)")
    assert "by position only" in refusal(f"{path}:make").sentence


def test_raising_factory_names_the_line(write: Any) -> None:
    path = write("def inner():\n    raise ValueError('too small\\nfor this')\ndef make(): inner()")
    error = refusal(f"{path}:make")
    assert error.sentence == f"make() failed in {path}, line 4: ValueError: too small."
    assert "inner" in error.detail
    assert "opening" not in error.detail  # none of our frames


def test_line_is_the_persons_own_even_when_torch_raises(write: Any) -> None:
    path = write("def make():\n    return nn.Linear(2, -1)")
    assert f"{path}, line 4: RuntimeError" in refusal(f"{path}:make").sentence


@pytest.mark.parametrize("code", ["3", "'bye'", ""])
def test_exiting_factory(write: Any, code: str) -> None:
    path = write(f"import sys\ndef make(): sys.exit({code})")
    assert "it ended the program (sys.exit(" in refusal(f"{path}:make").sentence


def test_exiting_file(write: Any) -> None:
    assert "Loading mine.py failed" in refusal(write("raise SystemExit")).sentence


def test_interrupt_passes(write: Any) -> None:
    path = write("def make(): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        open_target(f"{path}:make")


def test_exception_that_cannot_describe_itself(write: Any) -> None:
    path = write(
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError\ndef make(): raise Bad\n"
    )
    assert refusal(f"{path}:make").sentence.endswith(": Bad.")


@pytest.mark.parametrize(("value", "word"), [("None", "return missing"), ("3", "of class int")])
def test_factory_that_returns_no_module(write: Any, value: str, word: str) -> None:
    path = write(f"def make(): return {value}")
    assert word in refusal(f"{path}:make").sentence


def test_syntax_error(write: Any) -> None:
    path = write("def make(:\n")
    error = refusal(path)
    assert f"{path}, line 3: SyntaxError" in error.sentence


def test_missing_import(write: Any) -> None:
    path = write("import surely_not_installed_anywhere")
    error = refusal(path)
    assert f"{path}, line 3" in error.sentence
    assert "install 'surely_not_installed_anywhere'" in error.sentence


def test_failed_file_can_be_corrected_and_opened_again(write: Any) -> None:
    path = write("raise RuntimeError")
    refusal(path)
    write("def build_model(): return nn.Linear(1, 2)")
    assert opened(path)


def test_file_is_read_anew_each_time(write: Any) -> None:
    path = write("def build_model(): return nn.Linear(1, 1)")
    first = opened(path)
    write("def build_model(): return nn.Linear(1, 22)   # longer")
    assert opened(path).model.out_features == 22
    assert first.namespace is not opened(path).namespace


def test_neighbours_can_be_imported(write: Any, tmp_path: Path) -> None:
    write("WIDTH = 9", "neighbour_of_mine.py")
    path = write(
        "import neighbour_of_mine\ndef build_model(): return nn.Linear(1, neighbour_of_mine.WIDTH)"
    )
    assert opened(path).model.out_features == 9
    assert sys.path[0] == str(tmp_path)


def test_name_of_a_loaded_module_is_left_alone(write: Any) -> None:
    before = sys.modules["random"]
    found = opened(write("def build_model(): return nn.Linear(1, 1)", "random.py"), user_path=False)
    assert sys.modules["random"] is before
    assert found.namespace is not None
    assert sys.modules[found.namespace.__name__] is found.namespace


def test_class_can_be_pickled(write: Any) -> None:
    import pickle

    path = write("class Net(nn.Module):\n    pass\ndef build_model(): return Net()")
    model = opened(path).model
    assert type(pickle.loads(pickle.dumps(model))) is type(model)


def test_package(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("", "package_of_mine/__init__.py")
    write("def make(): return nn.Linear(1, 6)", "package_of_mine/nets.py")
    monkeypatch.chdir(tmp_path)
    found = opened("package_of_mine.nets:make")
    assert found.model.out_features == 6
    assert found.path.endswith("nets.py")


def test_installed_package() -> None:
    assert type(opened("torch.nn:Identity").model) is nn.Identity


def test_missing_package() -> None:
    assert "There is no module 'no_such_package'" in refusal("no_such_package.nets:make").sentence


def test_package_with_a_missing_import(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("import not_there_either", "broken_module_of_mine.py")
    monkeypatch.chdir(tmp_path)
    error = refusal("broken_module_of_mine:make")
    assert "install 'not_there_either'" in error.sentence


def test_seeds_before_import_and_call(write: Any) -> None:
    path = write(
        "import random, numpy\nAT_IMPORT = torch.rand(1).item()\n"
        "def build_model():\n"
        "    net = nn.Linear(3, 3)\n"
        "    net.drawn = [AT_IMPORT, random.random(), numpy.random.rand()]\n"
        "    return net\n"
    )
    first, second, other = (opened(path, seed=seed).model for seed in (5, 5, 6))
    assert first.drawn == second.drawn != other.drawn
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    assert torch.equal(nn.Linear(3, 3).weight, first.weight)
    assert [random.random(), np.random.rand()] == first.drawn[1:]


def test_meta(write: Any) -> None:
    path = write("def build_model(): return nn.Linear(10**6, 10**6)")
    found = opened(path, device="meta")
    assert found.model.weight.is_meta
    assert not torch.zeros(1).is_meta
    assert "not on 'cuda'" in refusal(path, device="cuda").sentence


@pytest.mark.parametrize("base", ["BaseException", "GeneratorExit"])
def test_an_exception_below_exception_is_told_as_well(write: Any, base: str) -> None:
    path = write(f"class Low({base}): pass\ndef make(): raise Low('deep down')")
    assert "Low: deep down" in refusal(f"{path}:make").sentence


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_that_torch_cannot_take(write: Any, seed: int) -> None:
    path = write("from torch import nn\ndef make(): return nn.Identity()")
    with pytest.raises(TargetError, match="too large"):
        open_target(f"{path}:make", seed=seed)


@pytest.mark.parametrize(
    "parameter",
    ["bias: bool", "bias=True", "bias: 'bool | None' = None", "bias: int = 1", "bias=0.5"],
)
def test_text_is_no_number_and_no_truth(write: Any, parameter: str) -> None:
    path = write(f"def make({parameter}): return nn.Linear(2, 3, bias=bool(bias))")
    said = refusal(f"{path}:make", arguments={"bias": "flase"}).sentence
    assert "for 'bias', and \"flase\" is text: give bias=VALUE" in said
    opened(f"{path}:make", arguments={"bias": False})


@pytest.mark.parametrize("parameter", ["kind", "kind='a'", "kind: 'int | str' = 3", "kind=None"])
def test_text_is_taken_where_it_may_be_meant(write: Any, parameter: str) -> None:
    path = write(f"def make({parameter}): return nn.Linear(2, 3)")
    opened(f"{path}:make", arguments={"kind": "text"})


def test_a_file_sees_a_command_line_of_its_own(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["inspector-app", "summary", "--json"])
    path = write(
        "import argparse, sys\n"
        "options = argparse.ArgumentParser()\n"
        "options.add_argument('--hidden', type=int, default=4)\n"
        "at_import = options.parse_args()\n"
        "def make():\n"
        "    assert sys.argv == [__file__]\n"
        "    return nn.Linear(2, options.parse_args().hidden)"
    )
    assert opened(f"{path}:make").model.out_features == 4
    assert sys.argv == ["inspector-app", "summary", "--json"]
