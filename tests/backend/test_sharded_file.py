"""Checkpoints in several files: read as one, and every lie of the index told."""

import json

import pytest
import torch
from safetensors.torch import save_file

from inspector_app.backend.formats.values import SAMPLE
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.table import Flag
from tests.backend.torch_files import Canary, legacy_of

NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def sharded(folder, weight_map=None, **metadata):
    """Two shards and their index; the index."""
    shards = (
        {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)},
        {"b.weight": torch.full((2, 2), 3.0, dtype=torch.bfloat16)},
    )
    for name, tensors in zip(NAMES, shards, strict=True):
        save_file(tensors, folder / name)
    if weight_map is None:
        pairs = zip(NAMES, shards, strict=True)
        weight_map = {key: name for name, tensors in pairs for key in tensors}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": metadata, "weight_map": weight_map}))
    return path


def test_shards_are_one_checkpoint(tmp_path):
    checkpoint = open_checkpoint(sharded(tmp_path, total_size=1))
    assert checkpoint.names() == ["a.weight", "a.bias", "b.weight"]
    assert torch.equal(checkpoint.tensor("a.weight"), torch.arange(6.0).reshape(2, 3))
    content = b"".join(map(bytes, checkpoint.blocks("b.weight")))
    assert content == b"\x40\x40" * 4
    totals = checkpoint.totals()
    assert (totals.parameters, totals.bytes) == (12, 40)
    assert checkpoint.title == "model.safetensors.index.json"
    assert (checkpoint.tree.table.tie == -1).all()  # bytes of different files are never one
    checkpoint.release()
    checkpoint.close()


def test_a_session_opens_measures_and_exports_it(tmp_path):
    path = sharded(tmp_path)
    with Session() as session:
        opened = session.open(str(path))
        assert (opened.kind, opened.notes, opened.trust) == ("checkpoint", [], None)
        row = session.tree.table.paths.index("a.weight")
        assert session.measure(row).maximum == 5.0
        out = tmp_path / "one.safetensors"
        session.export(str(out))
        assert set(open_checkpoint(out).names()) == {"a.weight", "a.bias", "b.weight"}


def test_the_folder_stands_for_its_index(tmp_path):
    sharded(tmp_path)
    assert open_checkpoint(tmp_path).names() == ["a.weight", "a.bias", "b.weight"]


def test_the_fingerprint_tells_a_changed_shard(tmp_path):
    first = open_checkpoint(sharded(tmp_path)).fingerprint()
    assert open_checkpoint(sharded(tmp_path)).fingerprint() == first
    save_file({"b.weight": torch.full((2, 2), 4.0, dtype=torch.bfloat16)}, tmp_path / NAMES[1])
    assert open_checkpoint(tmp_path).fingerprint() != first
    assert SAMPLE > 40  # so that a sample holds all of these values


def test_pickled_shards_are_read_without_running_them(tmp_path):
    proof = tmp_path / "proof"
    first = {"a": torch.ones(2), "view": torch.ones(4)[1:], "bad": Canary(proof)}
    shared = torch.ones(3)
    torch.save(first, tmp_path / "one.bin")
    (tmp_path / "two.bin").write_bytes(legacy_of({"b": shared, "c": shared}))
    index = tmp_path / "pytorch_model.bin.index.json"
    places = {"a": "one.bin", "view": "one.bin", "b": "two.bin", "c": "two.bin"}
    index.write_text(json.dumps({"weight_map": places}))
    checkpoint = open_checkpoint(index)
    assert not proof.exists()
    assert checkpoint.names() == list(places)
    assert any("mkdir" in fact.value for fact in checkpoint.facts)
    table = checkpoint.tree.table
    tie = {table.path(row): int(table.tie[row]) for row in range(len(table))}
    assert tie["b"] == tie["c"] >= 0
    assert tie["a"] == tie["view"] == -1
    assert checkpoint.spec("b").memory == checkpoint.spec("c").memory is not None
    assert checkpoint.totals().parameters == 2 + 3 + 3
    assert "bad" in checkpoint.file.values
    checkpoint.close()


def test_what_the_index_leaves_out_stands_beside(tmp_path):
    places = {"a.weight": NAMES[0], "b.weight": NAMES[1]}
    checkpoint = open_checkpoint(sharded(tmp_path, places))
    assert checkpoint.names() == list(places)
    (note,) = checkpoint.notes
    assert note.startswith("1 tensor is in the shards but not in their index")
    table = checkpoint.tree.table
    assert not table.has(table.paths.index("a.bias"), Flag.SAVED)
    assert table.has(table.paths.index("a.weight"), Flag.SAVED)


def test_one_name_in_two_shards_is_told_apart(tmp_path):
    path = sharded(tmp_path)
    save_file({"b.weight": torch.ones(2), "a.bias": torch.zeros(7)}, tmp_path / NAMES[1])
    checkpoint = open_checkpoint(path)
    assert checkpoint.tensor("a.bias").tolist() == [1.0, 1.0]
    assert checkpoint.tensor(f"a.bias (in {NAMES[1]})").tolist() == [0.0] * 7


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../model-00001-of-00002.safetensors", "not beside it"),
        ("/etc/passwd", "not beside it"),
        ("..\\x", "not beside it"),
        ("C:x", "not beside it"),
        ("..", "not beside it"),
        ("", "not beside it"),
        ("a\0b", "not beside it"),
        ("other.safetensors", 'lacks "other.safetensors" of the 1 files'),
        ("x" * 5000, 'xxx" of the 1 files'),
        (NAMES[1], '"a.weight" is in a shard that does not hold it'),
    ],
)
def test_files_that_are_elsewhere_or_lack_a_key_are_told(tmp_path, name, words):
    path = sharded(tmp_path, {"a.weight": name})
    with pytest.raises(TargetError) as raised:
        open_checkpoint(path)
    assert words in raised.value.sentence
    assert raised.value.sentence.endswith(".")


def test_a_link_beside_the_index_is_a_shard(tmp_path):
    """The hub's own cache keeps every shard as a link into a folder of blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    sharded(blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(path)
    assert open_checkpoint(snapshot).names() == ["a.weight", "a.bias", "b.weight"]


def test_damaged_shards_and_indexes_are_told(tmp_path):
    path = sharded(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(TargetError, match="git-lfs"):
        open_checkpoint(path)
    (tmp_path / NAMES[0]).write_bytes((tmp_path / NAMES[1]).read_bytes()[:-1])
    with pytest.raises(TargetError, match="is damaged"):
        open_checkpoint(path)
    for text, words in (
        ('{"weight_map": {"a": 3}}', "must map names of tensors to files"),
        ('{"weight_map": [', "must map names of tensors to files"),
        ('{"weight_map": ' + "[" * 100_000, "must map names of tensors to files"),
        ('{"other": 3}', "has no weight_map"),
    ):
        path.write_text(text)
        with pytest.raises(TargetError, match=words):
            open_checkpoint(path)


def test_an_index_without_shards_is_an_empty_checkpoint(tmp_path):
    path = tmp_path / "x.index.json"
    path.write_text('{"weight_map": {}}')
    checkpoint = open_checkpoint(path)
    assert checkpoint.names() == []
    assert len(checkpoint.tree.table) == 1
    assert checkpoint.fingerprint()
