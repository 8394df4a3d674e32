"""Factories of a file, told from its syntax alone."""

import os
import subprocess
import sys

import pytest

from inspector_app import factories
from inspector_app.factories import Argument, list_factories, source_file
from inspector_app.protocol.errors import TargetError
from inspector_app.resources import sample_names

SOURCE = '''\
"""A file that must not be run."""
raise SystemExit("it was run")

import torch
import torch.nn as nn
from torch.nn import Linear as Layer
from torch import nn as other
from lightning import LightningModule


def helper(x: int) -> int:
    return x


def resnet(depth: "int" = 18, *, norm=nn.BatchNorm2d, **more) -> nn.Module:
    """A residual network.

    More text.
    """


class Base(nn.Module):
    """Does nothing."""

    def __init__(self, width: int, name: str = "a b") -> None: ...


class Child(Base): ...


class Own(Layer): ...


class Lit(LightningModule): ...


class Far(other.Sequential):
    def __init__(self): ...


class Config: ...


class _Hidden(nn.Module): ...


def make_both(a, b=2, /, *rest, c, d=(1, 2)) -> None: ...


def _private(): ...


def example_inputs(): ...


def loss(output): ...


async def get_later(): ...


if torch.cuda.is_available():

    def create_fast(): ...


try:
    import missing
except ImportError:

    def build_slow(): ...


def build_model(hidden: int = 128, norm: nn.Module | None = None):
    """The model."""
'''


@pytest.fixture
def write(tmp_path):
    def write(text, name="net.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def sentence(target):
    with pytest.raises(TargetError) as raised:
        list_factories(target)
    return raised.value.sentence


def test_the_likeliest_come_first(write):
    found = list_factories(write(SOURCE))
    assert [factory.name for factory in found] == [
        "build_model",
        "resnet",
        "make_both",
        "create_fast",
        "build_slow",
        "Base",
        "Child",
        "Own",
        "Lit",
        "Far",
        "helper",
    ]
    assert {factory.kind for factory in found[5:10]} == {"class"}
    assert {factory.kind for factory in (*found[:5], *found[10:])} == {"function"}


def test_arguments_are_those_of_the_source(write):
    found = {factory.name: factory for factory in list_factories(write(SOURCE))}
    assert found["build_model"].arguments == (
        Argument("hidden", "int", "128", required=False),
        Argument("norm", "nn.Module | None", "None", required=False),
    )
    assert found["build_model"].summary == "The model."
    assert found["resnet"].arguments == (
        Argument("depth", "'int'", "18", required=False),
        Argument("norm", "", "nn.BatchNorm2d", required=False, keyword_only=True),
    )
    assert (found["resnet"].more, found["resnet"].summary) == (True, "A residual network.")
    assert [a.name for a in found["make_both"].arguments] == ["a", "b", "c", "d"]
    assert [a.required for a in found["make_both"].arguments] == [True, False, True, False]
    assert [a.keyword_only for a in found["make_both"].arguments] == [False, False, True, True]
    assert SOURCE.splitlines()[found["Base"].line - 1] == "class Base(nn.Module):"


def test_classes_take_what_their_init_takes(write):
    found = {factory.name: factory for factory in list_factories(write(SOURCE))}
    own = (Argument("width", "int"), Argument("name", "str", "'a b'", required=False))
    assert found["Base"].arguments == found["Child"].arguments == own
    assert not found["Base"].more
    assert found["Far"].arguments == ()
    assert not found["Far"].more
    assert found["Own"].arguments == ()
    assert found["Own"].more  # of a class that is written elsewhere


def test_a_module_without_init_takes_nothing(write):
    (found,) = list_factories(write("from torch import nn\nclass Net(nn.Module): ...\n"))
    assert (found.arguments, found.more) == ((), False)


def test_classes_that_are_their_own_bases_end(write):
    source = "class A(B): ...\nclass B(A): ...\nclass C(C): ...\n"
    assert list_factories(write(source)) == []


def test_of_two_with_one_name_the_last_holds(write):
    found = list_factories(write("def make(a): ...\ndef make(b): ...\n"))
    assert [a.name for factory in found for a in factory.arguments] == ["b"]


def test_files_packages_and_samples(write, monkeypatch):
    path = write("def build_model(): ...", "a_package_here/inner/net.py")
    monkeypatch.chdir(path.parents[2])
    for target in (str(path), f"{path}:build_model", "a_package_here.inner.net"):
        assert [factory.name for factory in list_factories(target)] == ["build_model"]
    assert source_file("a_package_here.inner.net:make") == path
    assert not any(name.startswith("a_package_here") for name in sys.modules)
    for name in sample_names():
        assert list_factories(f"sample:{name}")[0].name == "build_model"


def test_an_installed_package_is_found_without_being_imported():
    before = set(sys.modules)
    path = source_file("torch.nn.modules.transformer")
    assert path.name == "transformer.py"
    names = [factory.name for factory in list_factories("torch.nn.modules.transformer")]
    assert "TransformerEncoderLayer" in names
    assert not {name for name in set(sys.modules) - before if name.startswith("torch")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n    pass\n", "net.py, line 1: SyntaxError"),
        ("x = 1\n  y = 2\n", "net.py, line 2: SyntaxError"),
        (b"x = '\xff'", "net.py"),
        (b"# coding: nonsense\n", "SyntaxError"),
        (b"\0", "net.py"),
        ("x = " + "(" * 5000 + ")" * 5000, "net.py"),
    ],
)
def test_what_cannot_be_parsed_is_told(write, text, words):
    said = sentence(write(text))
    assert words in said
    assert said.endswith(".")


def test_what_is_no_file_is_told(write, tmp_path, monkeypatch):
    assert "There is no file" in sentence(tmp_path / "none.py")
    assert "There is no file" in sentence("x" * 5000 + ".py")
    assert "There is no module 'no_such_package'" in sentence("no_such_package.net")
    assert "'os' is no package" in sentence("os.path.inner")
    assert "There is no module 'torch.nn.none'" in sentence("torch.nn.none.inner")
    assert "no Python source" in sentence("sys")
    assert "is a folder" in sentence(tmp_path)
    assert "no Python file" in sentence(write(b"x", "weights.pt"))
    assert "There is no sample" in sentence("sample:none")
    assert "Name a Python file" in sentence(" ")
    os.mkfifo(tmp_path / "pipe.py")
    assert "not a regular file" in sentence(tmp_path / "pipe.py")
    monkeypatch.setattr(factories, "_SIZE_LIMIT", 10)
    assert "10 are read at most" in sentence(write("x = 1\n" * 10, "long.py"))


def test_warnings_of_the_persons_code_stay_silent(write):
    assert [f.name for f in list_factories(write("def build(): return '\\d'\n"))] == ["build"]


def test_it_needs_the_standard_library_alone():
    code = "import sys, inspector_app.factories; print(*map(sys.modules.get, ('torch', 'PySide6')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "None"]
