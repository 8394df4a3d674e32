"""Verification: by the recorded hash, and bit by bit against another source."""

import hashlib
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inspector_app.backend import pieces
from inspector_app.backend.exporting import ExportFacts, export
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict, tensor_blocks
from inspector_app.backend.verifying import verify
from inspector_app.backend.verifying.of_safetensors import examine
from inspector_app.protocol.errors import Cancelled, TargetError
from inspector_app.protocol.messages import ExportOptions

STATE = {
    "fc.weight": torch.arange(80.0).reshape(8, 10),
    "fc.bias": torch.tensor([float("nan"), 0.0]),
    "step": torch.tensor(3),
    "flag": torch.tensor([True, False, True]),
}


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "m.safetensors")
    export(StateDict(STATE), path, facts=ExportFacts(target="m.py:f", arguments={"hidden": 8}))
    return path


def differences(path, **changes):
    values = {name: value for name, value in {**STATE, **changes}.items() if value is not None}
    found = verify(path, against=StateDict(values), against_name="m.py:f")
    assert found.ok == (not found.differences)
    assert found.recorded == "matches"
    return {difference.name: difference.what for difference in found.differences}


def test_an_export_verifies(path):
    found = verify(path)
    with open(path, "rb") as file:
        content = file.read()
    assert (found.ok, found.recorded, found.against) == (True, "matches", "")
    assert (found.tensors, found.bytes, found.path) == (4, len(content), path)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert verify(path, against=StateDict(STATE)).ok
    assert verify(path, against=open_checkpoint(path)).ok


def test_every_difference_is_told(path):
    assert differences(path) == {}
    weight = STATE["fc.weight"].clone()
    weight[0, 0] = 5
    weight[3, 4] = 5
    weight[7, 9] = -0.0
    assert differences(path, **{"fc.weight": weight}) == {
        "fc.weight": "values differ in 3 of 80 elements"
    }
    assert differences(path, step=None) == {"step": "unexpected"}
    assert differences(path, more=torch.ones(1)) == {"more": "missing"}
    assert differences(path, step=torch.tensor([3])) == {"step": "shape () instead of (1,)"}
    assert differences(path, step=torch.tensor(3, dtype=torch.int32)) == {
        "step": "dtype int64 instead of int32"
    }
    assert differences(path, step=torch.tensor(3, device="meta")) == {
        "step": "cannot be compared: on the meta device: has no data"
    }


def test_bits_count_not_values(path):
    payload = torch.tensor([0x7FC00001, 0], dtype=torch.int32).view(torch.float32)
    assert differences(path, **{"fc.bias": payload}) == {
        "fc.bias": "values differ in 1 of 2 elements"
    }
    negative = torch.tensor([float("nan"), -0.0])
    assert differences(path, **{"fc.bias": negative}) == {
        "fc.bias": "values differ in 1 of 2 elements"
    }


def test_values_that_are_no_tensors_are_not_missed(path):
    assert differences(path, extra={"any": "thing"}) == {}


@given(st.sets(st.integers(0, 299)), st.integers(1, 64))
def test_differing_elements_are_counted_right_however_they_are_cut(places, size):
    values = torch.zeros(300)
    changed = values.clone()
    changed[sorted(places)] = 1
    comparison = pieces.Comparison([1, 4])
    runs = [
        *pieces.runs_of(0, 3, tensor_blocks(torch.zeros(3, dtype=torch.uint8))),
        *pieces.runs_of(1, 1200, tensor_blocks(values)),
    ]
    got = np.concatenate([np.zeros(3, np.uint8), changed.view(torch.uint8).numpy()])
    offset = 0
    for piece in pieces.in_pieces(runs, size):
        assert piece.size == min(size, len(got) - offset)
        comparison.compare(got[offset : offset + piece.size], piece)
        offset += piece.size
    assert offset == len(got)
    assert comparison.differing == ({1: len(places)} if places else {})


def test_any_flipped_bit_is_caught(path):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    generator = np.random.default_rng(0)
    for place, bit in enumerate(generator.integers(0, 8, len(content)).tolist()):
        content[place] ^= 1 << bit
        with open(path, "wb") as file:
            file.write(content)
        content[place] ^= 1 << bit
        try:
            found = verify(path)
        except TargetError:  # no longer begins like safetensors
            assert place < 9
        else:
            assert not found.ok, place
            assert found.recorded == "differs" or found.differences


@pytest.mark.parametrize("keep", [12, 200, 900, -1, -300])
def test_a_truncated_file_fails_and_says_so(path, keep):
    os.truncate(path, keep if keep > 0 else os.path.getsize(path) + keep)
    found = verify(path, against=StateDict(STATE), against_name="m.py:f")
    assert not found.ok
    assert "is damaged" in found.differences[0].what
    with open(path, "rb") as file:
        assert found.sha256 == hashlib.sha256(file.read()).hexdigest()


def rewritten(path, change):
    """The same data below a header that ``change`` edited as text."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header, data = file.read(length).decode(), file.read()
    text = change(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"fc.bias"', '"fc.bios"'),
        ('"F32","shape":[2]', '"I32","shape":[2]'),
        ('"shape":[8,10]', '"shape":[10,8]'),
        ("m.py:f", "n.py:f"),
        ('{\\"hidden\\":8}', '{\\"hidden\\":9}'),
    ],
)
def test_a_changed_header_is_caught(path, before, after):
    def change(header):
        assert header.count(before) == 1
        return header.replace(before, after)

    rewritten(path, change)
    found = verify(path)
    assert (found.ok, found.recorded) == (False, "differs")


def test_a_header_that_says_the_same_otherwise_matches(path):
    rewritten(path, lambda header: header.strip().replace(":[", ": [") + "   ")
    assert verify(path).ok


def test_a_foreign_file_needs_something_to_compare_with(tmp_path):
    path = str(tmp_path / "x")
    save_file(STATE, path)
    with pytest.raises(TargetError, match="--against"):
        verify(path)
    found = verify(path, against=StateDict(STATE), against_name="m")
    assert (found.ok, found.recorded, found.against) == (True, "absent", "m")


def test_an_export_saved_again_by_the_library_is_told_by_its_hash(path):
    """The library orders tensors otherwise or not; values that changed are found in any case."""
    with_notes = SafetensorsFile(path).metadata
    save_file({**load_file(path), "step": torch.tensor(4)}, path, with_notes)
    assert verify(path).recorded == "differs"


@pytest.mark.parametrize("content", [None, b"", b"GGUF" + b"\0" * 100, b"{}"])
def test_what_is_no_checkpoint_is_an_error(tmp_path, content):
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TargetError):
        verify(str(path))


def test_progress_and_cancel(path):
    class Job:
        def __init__(self):
            self.seen = []

        def progress(self, done, total, label):
            self.seen.append((done, total, label))

        def check(self):
            if self.seen:
                raise Cancelled

        def waiting(self):
            return False

        def safe_point(self): ...

    job = Job()
    verify(path, job=job)  # one block: done before the second check
    size = sum(value.nbytes for value in STATE.values())
    assert job.seen == [(size, size, "Verifying")]
    with pytest.raises(Cancelled):
        verify(path, job=job)


def test_a_source_that_gives_other_bytes_than_it_said_is_told(path):
    class Shrinking(StateDict):
        def blocks(self, name):
            return iter([np.zeros(3, np.uint8)] if name == "fc.weight" else super().blocks(name))

    found = verify(path, against=Shrinking(STATE))
    assert [(d.name, d.what) for d in found.differences] == [
        ("fc.weight", "changed while it was compared")
    ]


def test_a_file_without_a_hash_is_read_all_the_same(tmp_path):
    path = str(tmp_path / "x")
    save_file(STATE, path)
    file = SafetensorsFile(path)
    examined = examine(file, None)
    file.close()
    with open(path, "rb") as content:
        assert examined.sha256 == hashlib.sha256(content.read()).hexdigest()
    assert (examined.recorded, examined.ours, examined.differences) == ("absent", False, [])


def test_an_archive_that_is_broken_fails_and_says_so(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"PK\3\4" + b"\0" * 100)
    found = verify(str(path))
    assert not found.ok
    assert "is damaged" in found.differences[0].what


def test_names_that_the_file_leaves_out_as_aliases_are_compared(tmp_path):
    held = torch.arange(6.0)
    path = str(tmp_path / "x")
    report = export(StateDict({"a": held, "b": held.detach()}), path, ExportOptions(ties="alias"))
    assert report.tensors == 1
    assert verify(path, against=StateDict({"a": held, "b": held})).ok
    assert verify(path, against=StateDict({"a": held, "b": held.clone()})).ok
    other = held.clone()
    other[2] = 9
    found = verify(path, against=StateDict({"a": held, "b": other}))
    assert [(d.name, d.what) for d in found.differences] == [
        ("b", "values differ in 1 of 6 elements")
    ]
    found = verify(path, against=StateDict({"a": held, "c": other}))
    assert [(d.name, d.what) for d in found.differences] == [("c", "missing")]
