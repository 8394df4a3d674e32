"""Formats are known by content; whatever else a file is, it is named."""

import io
import os
import tarfile

import pytest
import torch
from safetensors.torch import save_file

from inspector_app.backend.formats import pickle_reader
from inspector_app.backend.formats.content import is_torch_file, open_file
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.formats.sharded_file import ShardedFile
from inspector_app.backend.formats.torch_archive import TorchArchive
from inspector_app.backend.formats.torch_legacy import LegacyTorchFile
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import Cancelled, TargetError
from tests.backend.torch_files import archive_of, legacy_of, written

STATE = {"a": torch.ones(2)}


@pytest.mark.parametrize("ending", [".pt", ".safetensors", ".json", ".bin", ""])
def test_the_ending_says_nothing(tmp_path, ending):
    save_file(STATE, tmp_path / f"safe{ending}")
    written(tmp_path, archive_of(STATE), f"archive{ending}")
    written(tmp_path, legacy_of(STATE), f"legacy{ending}")
    (tmp_path / f"index{ending}").write_text('{"weight_map": {}}')
    for word, kind in (
        ("safe", SafetensorsFile),
        ("archive", TorchArchive),
        ("legacy", LegacyTorchFile),
        ("index", ShardedFile),
    ):
        file = open_file(tmp_path / f"{word}{ending}")
        assert type(file) is kind
        file.close()


def test_what_torch_wrote(tmp_path):
    assert is_torch_file(written(tmp_path, archive_of(STATE)))
    assert is_torch_file(written(tmp_path, legacy_of(STATE)))
    assert not is_torch_file(written(tmp_path, b"x"))
    with pytest.raises(TargetError):
        is_torch_file(tmp_path / "none")


def tar_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tar_file(), "tar archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"abcdefgh{ and more text of a person", "text file"),
        (b"[1, 2]", "text file"),
        (b"\x80\x04K\x01.", "pickle, but none that torch.save wrote"),
    ],
)
def test_other_files_are_named(tmp_path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(TargetError, match=words) as raised:
        open_file(path)
    assert str(path) in raised.value.sentence
    assert raised.value.sentence.endswith(".")


def test_what_cannot_be_read_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (f"{tmp_path}/a\0b", "cannot be read"),
    ):
        with pytest.raises(TargetError, match=words):
            open_file(path)


@pytest.mark.parametrize("form", [archive_of, legacy_of])
def test_reading_a_long_description_can_be_cancelled(tmp_path, monkeypatch, form):
    monkeypatch.setattr(pickle_reader, "_TURNS", 50)
    asked = []

    def check():
        asked.append(len(asked))
        if len(asked) > 5:
            raise Cancelled

    path = written(tmp_path, form({f"key {number}": number for number in range(1000)}))
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Cancelled):
        open_file(path, check)
    assert len(asked) == 6
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_session_passes_its_jobs_cancel_on(tmp_path):
    class Stopped:
        def check(self):
            raise Cancelled

        def progress(self, *_): ...

    path = written(tmp_path, STATE)
    with Session() as session, pytest.raises(Cancelled):
        session.open(str(path), job=Stopped())
