"""Drafts that take the places of files, and what a killed process leaves behind."""

import os
import subprocess
import sys

import pytest
import torch

from inspector_app.backend import replacing
from inspector_app.backend.exporting import export
from inspector_app.backend.exporting.pen import Pen
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import RequestError

STATE = StateDict({"w": torch.arange(1000.0)})


def dead_process():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_a_killed_export_left_is_removed_by_the_next_one(tmp_path):
    dead = dead_process()
    stale = tmp_path / f".x.{dead}-0123456789abcdef.part"
    kept = [
        f".x.{os.getpid()}-0123456789abcdef.part",  # of a process that lives
        f".y.{dead}-0123456789abcdef.part",  # of another destination
        f".x.{dead}-0123456789abcde.part",  # of another form
        f"x.{dead}-0123456789abcdef.part",
        f".x.{dead}-0123456789abcdef.part.bak",
        ".x.99999999999999999999-0123456789abcdef.part",
    ]
    for name in (*kept, stale.name):
        (tmp_path / name).write_bytes(b"part")
    (tmp_path / "far").mkdir()
    (tmp_path / f".x.{dead}-fedcba9876543210.part").symlink_to("far")
    export(STATE, str(tmp_path / "x"))
    assert sorted(os.listdir(tmp_path)) == sorted(
        [*kept, "far", "x", f".x.{dead}-fedcba9876543210.part"]
    )


def test_a_draft_that_somebody_holds_is_not_removed(tmp_path, monkeypatch):
    """A process elsewhere may have the number of one that is dead here."""
    drafts = replacing.Drafts()
    draft = drafts.open(str(tmp_path / "x"))
    monkeypatch.setattr(replacing, "_alive", lambda process: False)
    export(STATE, str(tmp_path / "x"))
    assert os.path.exists(draft.path)
    drafts.__exit__()
    assert os.listdir(tmp_path) == ["x"]


def test_a_large_old_file_is_given_back_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing, "_LARGE", 1)
    (tmp_path / "x").write_bytes(b"old")
    export(STATE, str(tmp_path / "x"))
    assert verify(str(tmp_path / "x")).ok


def test_a_pen_writes_every_byte_though_the_system_takes_a_few(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, memoryview(data)[:7], at))
    with replacing.Drafts() as drafts:
        draft = drafts.open(str(tmp_path / "x"))
        Pen(draft).put(bytes(range(100)), 3)
        drafts.put_in_place()
    assert (tmp_path / "x").read_bytes() == b"\0\0\0" + bytes(range(100))


def test_drafts_take_their_places_together_or_not_at_all(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with replacing.Drafts() as drafts:
        os.write(drafts.open(str(tmp_path / "a")).descriptor, b"new")
        os.write(drafts.open(str(tmp_path / "b")).descriptor, b"new")
        with pytest.raises(RequestError, match="is a folder"):
            drafts.open(str(tmp_path))
    assert os.listdir(tmp_path) == ["a"]
    with replacing.Drafts() as drafts:
        for name in ("a", "b"):
            os.write(drafts.open(str(tmp_path / name)).descriptor, b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
        drafts.put_in_place()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_process_is_known_to_live():
    assert replacing._alive(os.getpid())
    assert replacing._alive(1)
    assert not replacing._alive(dead_process())
