"""Exports in several files with an index."""

import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import nn

from inspector_app.backend.exporting import ExportFacts, export, plan_export
from inspector_app.backend.exporting.sharding import base_of, shard_path
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import Cancelled, RefusedError, RequestError, TargetError
from inspector_app.protocol.messages import ExportOptions
from tests.backend.exports import CancelAt, bits

STATE = {f"layers.{n}.weight": torch.full((1000,), float(n)) for n in range(10)}
STATE["tied"] = STATE["layers.9.weight"]


def load_all(folder, index):
    with open(os.path.join(folder, index)) as file:
        weights = json.load(file)["weight_map"]
    found = {}
    for name in set(weights.values()):
        path = os.path.join(folder, name)
        if name.endswith("safetensors"):
            with safe_open(path, "pt") as file:
                found.update((key, file.get_tensor(key)) for key in file.keys())  # noqa: SIM118
        else:
            found.update(torch.load(path, weights_only=True))
    assert set(found) == set(weights)
    return found


@pytest.mark.parametrize("from_disk", [False, True])
@pytest.mark.parametrize(("form", "ending"), [("safetensors", "safetensors"), ("torch", "bin")])
def test_the_files_are_those_of_hugging_face(tmp_path, form, ending, from_disk):
    path = str(tmp_path / f"model.{ending}")
    options = ExportOptions(format=form, shard_bytes=20_000, from_disk=from_disk)
    facts = ExportFacts(target="m.py:f", requires_grad={"tied": True})
    report = export(StateDict(STATE), path, options, facts=facts)
    total = len(report.files) - 1
    names = [f"model-{n + 1:05d}-of-{total:05d}.{ending}" for n in range(total)]
    assert [os.path.basename(file) for file in report.files] == [
        f"model.{ending}.index.json",
        *names,
    ]
    assert total > 2
    assert report.path == report.files[0]
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, report.files))
    assert report.bytes == sum(os.path.getsize(file) for file in report.files)
    assert all(os.path.getsize(file) <= 20_000 for file in report.files)
    index = json.loads((tmp_path / f"model.{ending}.index.json").read_text())
    assert list(index) == ["metadata", "weight_map"]
    size = 44_000 if form == "safetensors" else 40_000
    assert index["metadata"]["total_size"] == size
    assert index["metadata"]["model_inspector.target"] == "m.py:f"
    assert list(index["weight_map"]) == sorted(STATE)
    found = load_all(tmp_path, f"model.{ending}.index.json")
    assert all(bits(found[name]) == bits(value) for name, value in STATE.items())
    found = verify(report.path)
    assert (found.ok, found.recorded, found.tensors, found.bytes) == (
        True,
        "matches",
        11,
        report.bytes,
    )
    assert found.sha256 == report.sha256
    assert verify(report.path, against=StateDict(STATE)).ok
    for file in report.files[1:]:
        assert verify(file).ok
    checkpoint = open_checkpoint(report.path)
    assert checkpoint.metadata["model_inspector.target"] == "m.py:f"
    checkpoint.close()


sizes = st.lists(st.integers(0, 3000), min_size=1, max_size=12)


@given(sizes, st.integers(1, 12_000), st.sampled_from(["safetensors", "torch"]))
def test_no_file_is_larger_than_asked_for_if_it_can_be_helped(
    tmp_path_factory, counts, limit, form
):
    values = {f"w{n}": torch.zeros(count, dtype=torch.uint8) for n, count in enumerate(counts)}
    folder = tmp_path_factory.mktemp("shards")
    options = ExportOptions(format=form, shard_bytes=limit)
    planned = plan_export(StateDict(values), options)
    report = export(StateDict(values), str(folder / "m"), options)
    files = report.files[1:] or [report.path]
    assert len(files) == planned.files
    for file in files:
        checkpoint = open_checkpoint(file)
        held = checkpoint.names()
        checkpoint.close()
        assert len(held) == 1 or os.path.getsize(file) <= limit
    large = [name for name, value in values.items() if value.nbytes > limit]
    told = [note for note in report.notes if "in files of their own" in note]
    assert len(told) == bool(large)
    assert all(name in told[0] for name in large[:5])


def test_what_fits_into_one_file_is_one_file(tmp_path):
    options = ExportOptions(shard_bytes=10**9)
    report = export(StateDict(STATE), str(tmp_path / "model.safetensors"), options)
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert report.files == []


def test_the_name_of_an_index_makes_an_index(tmp_path):
    path = str(tmp_path / "model.safetensors.index.json")
    report = export(StateDict(STATE), path, ExportOptions(shard_bytes=10**9))
    assert sorted(os.listdir(tmp_path)) == [
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
    ]
    assert report.path == path
    assert verify(path).ok
    with pytest.raises(RequestError, match="the name of an index"):
        export(StateDict(STATE), path)


def test_names_with_and_without_an_ending():
    assert shard_path("a.b/model", 2, 3) == "a.b/model-00002-of-00003"
    assert shard_path("a.b/model.x.bin", 2, 12) == "a.b/model.x-00002-of-00012.bin"
    assert base_of("x/model.bin.index.json") == "x/model.bin"
    assert base_of("x/model.bin") == "x/model.bin"


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_names_of_one_tensor_stay_together(tmp_path, form):
    """In torch's format they are one storage, which only one file can hold."""
    options = ExportOptions(format=form, shard_bytes=14_000)
    report = export(StateDict(STATE), str(tmp_path / "m"), options)
    index = json.loads((tmp_path / "m.index.json").read_text())
    assert index["weight_map"]["tied"] == index["weight_map"]["layers.9.weight"]
    if form == "torch":
        read = torch.load(tmp_path / index["weight_map"]["tied"])
        assert read["tied"].data_ptr() == read["layers.9.weight"].data_ptr()
    assert verify(report.path, against=StateDict(STATE)).ok


def test_an_alias_may_be_in_one_of_several_files(tmp_path):
    options = ExportOptions(ties="alias", shard_bytes=14_000)
    report = export(StateDict(STATE), str(tmp_path / "m"), options)
    assert report.tensors == 10
    assert verify(report.path, against=StateDict(STATE)).ok
    other = {**STATE, "tied": torch.zeros(1000)}
    found = verify(report.path, against=StateDict(other))
    assert [(d.name, d.what) for d in found.differences] == [
        ("tied", "values differ in 1,000 of 1,000 elements")
    ]


@pytest.mark.parametrize(("size", "words"), [(-1, "cannot be smaller"), (1, "allow larger ones")])
def test_sizes_that_make_no_sense(tmp_path, size, words, monkeypatch):
    from inspector_app.backend.exporting import sharding

    monkeypatch.setattr(sharding, "_MOST", 5)
    with pytest.raises(RequestError, match=words):
        export(StateDict(STATE), str(tmp_path / "x"), ExportOptions(shard_bytes=size))
    assert os.listdir(tmp_path) == []


# -- all or nothing --------------------------------------------------------------------------------


def test_files_of_another_export_stay_and_are_told(tmp_path):
    path = str(tmp_path / "model.safetensors")
    first = export(StateDict(STATE), path, ExportOptions(shard_bytes=14_000))
    assert first.notes == []
    second = export(StateDict(STATE), path, ExportOptions(shard_bytes=30_000))
    assert len(second.notes) == 1
    assert f"model-00001-of-{len(first.files) - 1:05d}.safetensors" in second.notes[0]
    assert all(os.path.exists(file) for file in first.files)
    single = export(StateDict(STATE), path)
    assert "model.safetensors.index.json" in single.notes[0]
    third = export(StateDict(STATE), path, ExportOptions(shard_bytes=30_000))
    assert "model.safetensors, " in third.notes[0] + ", "  # which readers would take instead
    (tmp_path / "model-0001-of-00002.safetensors").write_bytes(b"of another form")
    assert "model-0001" not in export(StateDict(STATE), path).notes[0]


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_cancel_leaves_all_as_it_was(tmp_path, form):
    path = str(tmp_path / "m")
    options = ExportOptions(format=form, shard_bytes=14_000)
    watched = CancelAt(2**62)
    export(StateDict(STATE), path, options, job=watched)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    changed = {name: value + 1 for name, value in STATE.items()}
    for moment in {done for done, _, _ in watched.seen[:-1]}:
        with pytest.raises(Cancelled):
            export(StateDict(changed), path, options, job=CancelAt(moment))
        after = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
        assert after == before


def test_a_place_that_cannot_be_written_is_found_before_anything_is(tmp_path):
    options = ExportOptions(shard_bytes=14_000)
    total = plan_export(StateDict(STATE), options).files
    place = shard_path("m", 3, total)
    (tmp_path / place).mkdir()
    with pytest.raises(RequestError, match="is a folder"):
        export(StateDict(STATE), str(tmp_path / "m"), options)
    assert os.listdir(tmp_path) == [place]


def test_a_rename_that_fails_midway_says_what_is_new(tmp_path, monkeypatch):
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(RequestError, match=r"2 of \d files are new already"):
        export(StateDict(STATE), str(tmp_path / "m"), ExportOptions(shard_bytes=14_000))
    assert [name[:7] for name in sorted(os.listdir(tmp_path))] == ["m-00001", "m-00002"]


def test_an_index_that_arrives_otherwise_is_found_out(tmp_path, monkeypatch):
    real = os.pwrite

    def flip(descriptor, data, offset):
        data = bytes(data)
        return real(descriptor, data.replace(b"weight_map", b"weight_mop"), offset)

    monkeypatch.setattr(os, "pwrite", flip)
    with pytest.raises(RefusedError, match="cannot be read again"):
        export(StateDict(STATE), str(tmp_path / "m"), ExportOptions(shard_bytes=14_000))
    assert os.listdir(tmp_path) == []


# -- verification ----------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path):
    options = ExportOptions(shard_bytes=14_000)
    return export(StateDict(STATE), str(tmp_path / "m"), options).path


def test_any_flipped_bit_of_an_index_is_caught(index):
    with open(index, "rb") as file:
        content = bytearray(file.read())
    generator = np.random.default_rng(0)
    missed = []
    for place, bit in enumerate(generator.integers(0, 8, len(content)).tolist()):
        if content[place] in b" \n":  # another blank says the same
            continue
        content[place] ^= 1 << bit
        with open(index, "wb") as file:
            file.write(content)
        content[place] ^= 1 << bit
        try:
            if verify(index).ok:
                missed.append(place)
        except TargetError:
            missed.append(place)
    assert missed == []


def test_a_shard_that_was_damaged_exchanged_or_lost_is_caught(index, tmp_path):
    shard = next(tmp_path.glob("m-00002-of-*"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    found = verify(index)
    assert (found.ok, found.recorded) == (False, "differs")
    assert [d.what for d in found.differences] == [
        f"{shard.name} is not the file that was exported"
    ]
    content[-1] ^= 1
    content[4] ^= 1
    shard.write_bytes(content)
    assert not verify(index).ok
    shard.unlink()
    found = verify(index)
    assert not found.ok
    assert "lacks" in found.differences[0].what


def test_an_index_of_others_can_be_compared(tmp_path):
    state = {"a": torch.ones(2), "b": torch.zeros(3)}
    torch.save({"a": state["a"]}, tmp_path / "m-1.bin")
    torch.save({"b": state["b"]}, tmp_path / "m-2.bin")
    index = tmp_path / "m.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "m-1.bin", "b": "m-2.bin"}}))
    assert verify(str(index), against=StateDict(state)).ok
    with pytest.raises(TargetError, match="--against"):
        verify(str(index))
    index.write_text(json.dumps({"metadata": 3, "weight_map": {"a": "m-1.bin", "b": "m-2.bin"}}))
    assert verify(str(index), against=StateDict(state)).ok


def test_transformers_reads_it(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        vocab_size=11,
        max_position_embeddings=5,
    )
    model = transformers.BertModel(config)
    nn.init.normal_(model.pooler.dense.bias)
    config.save_pretrained(tmp_path)
    path = str(tmp_path / "model.safetensors")
    report = export(StateDict(model.state_dict()), path, ExportOptions(shard_bytes=8_000))
    assert len(report.files) > 2
    read = transformers.BertModel.from_pretrained(tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name
