from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.protocol.errors import TargetError
from inspector_app.resources import sample_names


def sentence(target: object, **options: object) -> str:
    with pytest.raises(TargetError) as caught:
        open_target(str(target), **options)  # type: ignore[arg-type]
    assert caught.value.sentence.endswith(".")
    return caught.value.sentence


def test_samples() -> None:
    found = open_target("sample:mlp", arguments={"hidden": 4})
    assert isinstance(found, OpenModel)
    assert found.title == "mlp"
    assert found.target == "sample:mlp"
    assert found.model.hidden.out_features == 4


def test_factory_of_a_sample() -> None:
    found = open_target("sample:mlp:MLP", arguments={"inputs": 1, "hidden": 2, "outputs": 3})
    assert isinstance(found, OpenModel)
    assert found.factory_name == "MLP"


def test_unknown_sample_lists_all() -> None:
    said = sentence("sample:nope")
    assert all(name in said for name in sample_names())


def test_sample_without_its_prefix() -> None:
    assert "sample:resnet" in sentence("resnet")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin", "odd:name", "model.pt"])
def test_safetensors_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file({"a": torch.ones(2, 3)}, path)
    found = open_target(str(path))
    assert isinstance(found, Checkpoint)
    found.close()
    assert found.tree.table.paths[-1] == "a"
    assert found.target == str(path)


@pytest.mark.parametrize("name", ["weights.pt", "pytorch_model.bin", "last.ckpt", "w.safetensors"])
def test_archives_of_torch_save_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save({"a": torch.ones(2, 3)}, path)
    found = open_target(str(path))
    assert isinstance(found, Checkpoint)
    assert found.names() == ["a"]
    found.close()


def test_arguments_for_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert "takes no arguments (hidden)" in sentence(path, arguments={"hidden": 1})
    assert "no Python file" in sentence(f"{path}:make")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes/read.me", "hello")


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": [1, 2]}))


WRITERS = {
    "git-lfs": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
    "web page": lambda p: p.write_text("\n<!DOCTYPE html><html></html>"),
    "zip archive": _zip,
    "pickle": _pickle,
    "GGUF": lambda p: p.write_bytes(b"GGUF" + bytes(20)),
    "is empty": lambda p: p.write_bytes(b""),
    "text file": lambda p: p.write_text("hello é"),
    "unknown content": lambda p: p.write_bytes(bytes(range(256))),
}


@pytest.mark.parametrize("word", WRITERS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_content_is_named(tmp_path: Path, word: str, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    WRITERS[word](path)
    said = sentence(path)
    # Bytes that call themselves safetensors are judged by the reader of that format.
    assert word in said or (suffix == ".safetensors" and "safetensors" in said)
    assert str(path) in said


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "net.py").touch()
    said = sentence(tmp_path)
    assert "is a folder" in said
    assert "net.py" in said


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "model.py").touch()
    assert "has model.py" in sentence(f"{tmp_path / 'modle.py'}:make")
    assert "does not exist either" in sentence(tmp_path / "no" / "model.py")


@pytest.mark.parametrize(
    "target",
    [
        "",
        " ",
        "x" * 5000,
        "x" * 5000 + ".py",
        "nothing_here",
        "a.b",
        "a\0b",
        ":",
        "::",
        "x.py:",
        "é",
    ],
)
def test_nonsense_is_told_in_a_sentence(target: str) -> None:
    sentence(target)


def test_dotted_name_without_factory() -> None:
    assert "torch.nn:FACTORY" in sentence("torch.nn")


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)
    sentence(path)


def test_relative_path_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for target in ("w.safetensors", "~/w.safetensors"):
        found = open_target(target)
        assert isinstance(found, Checkpoint)
        found.close()


@pytest.mark.parametrize("first", ["checkpoint", "opening", "opening.target"])
def test_any_part_can_be_imported_first(first: str) -> None:
    subprocess.run([sys.executable, "-c", f"import inspector_app.backend.{first}"], check=True)


def test_a_package_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package_of_a_person"
    package.mkdir()
    (package / "__init__.py").write_text("from torch.nn import Identity as build")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    opened = open_target("package_of_a_person:build")
    assert isinstance(opened, OpenModel)
    assert "is a folder" in sentence(package)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe" in sentence(tmp_path / "pipe")


def test_what_is_near_is_said_to_be_in_the_current_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.pt").touch()
    with pytest.raises(TargetError) as raised:
        open_target("nofile.pt")
    assert ". . " not in raised.value.sentence
    with pytest.raises(TargetError, match=r"The current folder has there\.pt\."):
        open_target("no-file.pt")
