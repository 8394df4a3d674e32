"""Files for torch.load: what they hold, that torch reads them safely, and what is refused."""

import collections
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.exporting import ExportFacts, export, plan_export
from inspector_app.backend.exporting.zip_writer import ZipWords
from inspector_app.backend.formats.torch_archive import TorchArchive
from inspector_app.backend.formats.zip_directory import data_start, read_directory
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import ExportOptions, Rename
from tests.backend.exports import Tied, bits, tensors

TORCH = ExportOptions(format="torch")
NEWER = [torch.uint16, torch.uint32, torch.uint64, torch.complex32, torch.complex128]


@given(st.dictionaries(st.text('abc.é"\\\n/', max_size=6), tensors(), max_size=5), st.booleans())
def test_every_bit_arrives(tmp_path_factory, values, from_disk):
    values = {name: made.tensor for name, made in values.items()}
    path = str(tmp_path_factory.mktemp("out") / "file")
    report = export(StateDict(values), path, ExportOptions(format="torch", from_disk=from_disk))
    for mapped in (False, True):
        read = torch.load(path, weights_only=True, mmap=mapped)
        assert type(read) is collections.OrderedDict
        assert list(read) == list(values)
        for name, value in values.items():
            assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
            assert read[name].is_contiguous()
            assert not read[name].requires_grad
            assert bits(read[name]) == bits(value)
    assert report.bytes == os.path.getsize(path)
    assert verify(path).ok
    assert verify(path, against=StateDict(values)).ok


@pytest.mark.parametrize("dtype", NEWER)
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_data_types_that_safetensors_lacks_or_torch_added_late(tmp_path, dtype):
    value = torch.arange(6).to(dtype)
    export(StateDict({"w": value}), str(tmp_path / "x"), TORCH)
    read = torch.load(tmp_path / "x", weights_only=True)["w"]
    assert read.dtype == dtype
    assert bits(read) == bits(value)


def test_it_is_what_torch_save_writes(tmp_path):
    """The same pickle but for opcodes of the memo, the same members, the same alignment."""
    state = Tied().state_dict()
    export(StateDict(state), str(tmp_path / "ours"), TORCH)
    with open(tmp_path / "theirs", "wb") as file:
        torch.save(state, file)
    with zipfile.ZipFile(tmp_path / "ours") as ours, zipfile.ZipFile(tmp_path / "theirs") as theirs:
        assert ours.testzip() is None
        for name in theirs.namelist():
            if name.endswith(("data.pkl", "serialization_id")):
                continue
            assert ours.read(name) == theirs.read(name)
        assert set(ours.namelist()) - set(theirs.namelist()) == {"archive/model_inspector.json"}
        for info in ours.infolist():
            with open(tmp_path / "ours", "rb") as file:
                file.seek(info.header_offset + 26)
                name_size, extra_size = struct.unpack("<2H", file.read(4))
            assert (info.header_offset + 30 + name_size + extra_size) % 64 == 0
    loaded = [torch.load(tmp_path / name, weights_only=True) for name in ("ours", "theirs")]
    assert loaded[0]._metadata == loaded[1]._metadata
    assert list(loaded[0]) == list(loaded[1])
    fresh = Tied()
    fresh.load_state_dict(loaded[0])


def test_ties_stay_one_storage(tmp_path):
    report = export(StateDict(Tied().state_dict()), str(tmp_path / "x"), TORCH)
    assert [tie.names for tie in report.ties] == [["embedding.weight", "head.weight"]]
    assert "one storage" in report.ties[0].kept
    read = torch.load(tmp_path / "x")
    assert read["embedding.weight"].data_ptr() == read["head.weight"].data_ptr()
    assert report.bytes < 8_000
    assert plan_export(StateDict(Tied().state_dict()), TORCH).bytes == (
        sum(value.nbytes for value in Tied().state_dict().values()) - 80
    )


def test_a_small_view_does_not_bring_its_whole_storage(tmp_path):
    export(StateDict({"w": torch.zeros(1_000_000)[5:8]}), str(tmp_path / "x"), TORCH)
    assert os.path.getsize(tmp_path / "x") < 5_000


def test_the_notes_are_there_and_torch_does_not_mind(tmp_path):
    facts = ExportFacts(target="m.py:f", requires_grad={"norm.bias": False})
    path = str(tmp_path / "x")
    report = export(StateDict(Tied().state_dict()), path, TORCH, facts=facts)
    file = TorchArchive(path)
    notes = dict(file.metadata)
    file.close()
    assert notes["model_inspector.target"] == "m.py:f"
    assert json.loads(notes["model_inspector.requires_grad"]) == {"norm.bias": False}
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment.decode()
    assert comment == f"model_inspector.payload=sha256:{report.payload_sha256}"


def test_versions_of_modules_follow_their_names(tmp_path):
    state = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    options = ExportOptions(format="torch", renames=[Rename(old="", new="body.")])
    export(StateDict(state), str(tmp_path / "x"), options)
    read = torch.load(tmp_path / "x")
    assert read._metadata == {"body": {"version": 1}, "body.0": {"version": 2}}
    odd = {"w": torch.ones(1)}
    for versions in ({3: {}, "a": 5, "b": {"version": 2, "hook": print}}, "text", None):
        held = collections.OrderedDict(odd)
        held._metadata = versions
        export(StateDict(held), str(tmp_path / "y"), TORCH)
        found = getattr(torch.load(tmp_path / "y", weights_only=True), "_metadata", None)
        assert found == ({"b": {"version": 2}} if isinstance(versions, dict) else None)


# -- damage ----------------------------------------------------------------------------------------


def test_any_flipped_bit_is_caught(tmp_path):
    path = tmp_path / "x"
    values = {"w": torch.arange(20.0), "n": torch.tensor(3), "e": {"extra": 1}}
    export(StateDict(values), str(path), TORCH, facts=ExportFacts(target="m.py:f"))
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(0)
    for place, bit in enumerate(generator.integers(0, 8, len(content)).tolist()):
        content[place] ^= 1 << bit
        path.write_bytes(content)
        content[place] ^= 1 << bit
        try:
            found = verify(str(path))
        except TargetError:
            pytest.fail(f"the flip at {place} makes it no file of ours")
        assert not found.ok, place


@pytest.mark.parametrize("keep", [1, 10, 300, -1, -70, -500])
def test_a_file_that_was_cut_off_is_caught(tmp_path, keep):
    path = str(tmp_path / "x")
    export(StateDict(Tied().state_dict()), path, TORCH)
    os.truncate(path, keep if keep > 0 else os.path.getsize(path) + keep)
    try:
        assert not verify(path, against=StateDict(Tied().state_dict())).ok
    except TargetError:
        assert keep < 4  # nothing of it is left


def test_every_difference_is_told(tmp_path):
    path = str(tmp_path / "x")
    state = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2), "n": 3}
    export(StateDict(state), path, TORCH)

    def told(**changes):
        values = {k: v for k, v in {**state, **changes}.items() if v is not None}
        found = verify(path, against=StateDict(values))
        assert found.ok == (not found.differences)
        return {difference.name: difference.what for difference in found.differences}

    assert told() == {}
    assert told(w=torch.arange(6.0).reshape(2, 3) + torch.tensor([[0, 0, 1], [0, 0, 0]])) == {
        "w": "values differ in 1 of 6 elements"
    }
    assert told(w=torch.arange(6.0)) == {"w": "shape (2, 3) instead of (6,)"}
    assert told(b=None) == {"b": "unexpected"}
    assert told(more=torch.ones(1)) == {"more": "missing"}


def test_a_file_of_torch_can_be_compared_as_well(tmp_path):
    path = tmp_path / "x"
    turned = torch.arange(6.0).reshape(2, 3).t()
    torch.save({"state_dict": {"w": turned}, "epoch": 3}, path)
    assert verify(str(path), against=StateDict({"w": turned})).ok
    with pytest.raises(TargetError, match="--against"):
        verify(str(path))


# -- the archive -----------------------------------------------------------------------------------


def test_members_beyond_four_gigabytes_are_described_by_zip64():
    """Only the words: the members' bytes are not made."""
    zip_words = ZipWords()
    pieces, places = [], {}
    for name, size in (("small", 5), ("huge", 5 << 32), ("behind", 7)):
        at = zip_words.offset
        header = zip_words.begin(name, size)
        places[name] = at + len(header), size
        pieces.append((at, header))
        at = zip_words.offset
        pieces.append((at, zip_words.end(0x01020304)))
    at = zip_words.offset
    pieces.append((at, zip_words.finish(b"comment", 3) + b"end"))
    total = zip_words.offset

    def read(offset, size):
        content = bytearray(size)
        for at, text in pieces:
            first, last = max(at, offset), min(at + len(text), offset + size)
            if first < last:
                content[first - offset : last - offset] = text[first - at : last - at]
        return bytes(content)

    assert total == pieces[-1][0] + len(pieces[-1][1])
    directory = read_directory(read, total)
    for name, (start, size) in places.items():
        place = directory.places[name]
        assert directory.sizes[place] == size
        found = data_start(read, name, directory.headers[place], size, directory.start)
        assert found == start
        assert start % 64 == 0


def test_seventy_thousand_members(tmp_path):
    zip_words = ZipWords()
    with open(tmp_path / "x", "wb") as file:
        for number in range(70_000):
            file.write(zip_words.begin(f"m{number}", 0))
            file.write(zip_words.end(0))
        file.write(zip_words.finish(b"", 0))
    with zipfile.ZipFile(tmp_path / "x") as archive:
        assert len(archive.namelist()) == 70_000


def test_the_pickle_holds_nothing_but_what_torch_allows(tmp_path):
    export(StateDict(Tied().state_dict()), str(tmp_path / "x"), TORCH)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(str(tmp_path / "x")) == []
    with zipfile.ZipFile(tmp_path / "x") as archive:
        text = archive.read("archive/data.pkl")
    assert text[:2] == pickle.PROTO + b"\2"
