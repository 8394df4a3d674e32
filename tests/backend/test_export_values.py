"""What an export writes: every bit of every value, and what the file says of itself."""

import hashlib
import json
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from inspector_app.backend import states
from inspector_app.backend.exporting import ExportFacts, export
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.hashing import PIECE
from inspector_app.backend.states import StateDict, tensor_blocks
from inspector_app.backend.verifying import verify
from inspector_app.protocol.messages import ExportOptions, JournalEntry
from tests.backend.exports import Tied, bits, run_python, tensors


@given(st.dictionaries(st.text('abc.é"\\\n/', max_size=6), tensors(), max_size=5), st.booleans())
def test_every_bit_arrives(tmp_path_factory, values, from_disk):
    values = {name: made.tensor for name, made in values.items()}
    path = str(tmp_path_factory.mktemp("out") / "file of any.ending")
    report = export(StateDict(values), path, ExportOptions(from_disk=from_disk))
    file = SafetensorsFile(path)
    assert set(file.entries) == set(values)
    assert file.data_start % 8 == 0
    with safe_open(path, "pt") as library:
        for name, value in values.items():
            theirs, ours = library.get_tensor(name), file.tensor(name)
            assert theirs.dtype == ours.dtype == value.dtype
            assert theirs.shape == ours.shape == value.shape
            assert bits(theirs) == bits(ours) == bits(value)
    with open(path, "rb") as written:
        content = written.read()
    assert report.bytes == len(content)
    assert report.sha256 == hashlib.sha256(content).hexdigest()
    assert report.tensors == len(values)
    assert verify(path).ok
    assert verify(path, against=StateDict(values)).ok
    # Alignment: every tensor begins at a multiple of its element's size.
    for entry in file.entries.values():
        assert (file.data_start + entry.start) % entry.torch_dtype.itemsize == 0


def memory_of(tensor):
    flat = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    return flat.numpy()


@given(tensors(), st.integers(1, 40))
def test_blocks_are_the_bytes_however_small_they_are_cut(made, limit):
    tensor = made.tensor
    before, states.BLOCK = states.BLOCK, limit
    try:
        blocks = list(tensor_blocks(tensor))
    finally:
        states.BLOCK = before
    assert b"".join(block.tobytes() for block in blocks) == bits(tensor)
    copied = [b for b in blocks if not np.shares_memory(b, memory_of(tensor))]
    assert all(len(block) <= max(limit, tensor.element_size()) for block in copied)
    if tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg()):
        assert copied == []


def test_the_file_loads_strictly_and_equals_the_model(tmp_path):
    model, path = Tied(), str(tmp_path / "m.safetensors")
    report = export(StateDict(model.state_dict()), path)
    fresh = Tied()
    fresh.load_state_dict(load_file(path), strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    assert [tie.names for tie in report.ties] == [["embedding.weight", "head.weight"]]
    assert "written under each of the 2 names" in report.ties[0].kept
    assert report.left_out == []
    assert report.tensors == len(model.state_dict())


def test_parameters_and_their_subclasses_are_written(tmp_path):
    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args, **kwargs):
            raise AssertionError("code of the subclass ran")

    loud = torch.Tensor._make_subclass(Loud, torch.arange(3.0))
    values = {"p": nn.Parameter(torch.ones(2)), "b": nn.Buffer(torch.zeros(1)), "s": loud}
    export(StateDict(values), str(tmp_path / "x"))
    assert load_file(tmp_path / "x")["s"].tolist() == [0, 1, 2]


def test_the_metadata_tell_what_rebuilds_the_model(tmp_path):
    entry = JournalEntry(number=1, kind="freeze", title="Freeze head", touched=1, patterns=["head"])
    facts = ExportFacts(
        target="m.py:build",
        arguments={"hidden": 128, "odd": object},
        device="cpu",
        seed=3,
        class_name="Tied",
        edits=[entry],
        requires_grad={"embedding.weight": False, "norm.bias": True, "elsewhere": True},
    )
    path = str(tmp_path / "x")
    options = ExportOptions(skip=["norm.weight"])
    export(StateDict(Tied().state_dict()), path, options, facts=facts)
    with safe_open(path, "pt") as library:
        metadata = library.metadata()
    ours = {
        key.removeprefix("model_inspector."): value
        for key, value in metadata.items()
        if key.startswith("model_inspector.")
    }
    assert metadata["format"] == "pt"
    assert (ours["target"], ours["device"], ours["seed"]) == ("m.py:build", "cpu", "3")
    assert ours["class"] == "Tied"
    assert ours["torch"] == str(torch.__version__)
    assert json.loads(ours["arguments"]) == {"hidden": 128, "odd": "<class 'object'>"}
    assert json.loads(ours["edits"])[0]["title"] == "Freeze head"
    assert json.loads(ours["requires_grad"]) == {"embedding.weight": False, "norm.bias": True}
    assert json.loads(ours["ties"]) == [["embedding.weight", "head.weight"]]
    assert ours["payload"].startswith("sha256-of-sums:")


def test_the_payload_hash_is_what_its_docstring_says(tmp_path):
    path = str(tmp_path / "x")
    values = {"b": torch.arange(3), "ä": torch.ones(2, 1), "c": torch.arange(PIECE // 4 + 1.0)}
    values["d"] = torch.arange(PIECE // 4 + 9.0)
    report = export(StateDict(values), path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = file.read()
    notes = header.pop("__metadata__")
    notes.pop("model_inspector.payload")
    tensors = [
        [name, value["dtype"], value["shape"], *value["data_offsets"]]
        for name, value in sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    ]
    text = json.dumps([sorted(notes.items()), tensors], separators=(",", ":"), ensure_ascii=False)
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    assert len(pieces) == 3
    whole = hashlib.sha256(text.encode())
    for piece in pieces:
        rest = len(piece) // 8 * 8
        words = struct.unpack(f"<{rest // 8}Q", piece[:rest])
        total = (sum(words) + sum(piece[rest:])) % 2**64
        whole.update(struct.pack("<LQ", zlib.crc32(piece), total))
    assert whole.hexdigest() == report.payload_sha256


def test_the_same_state_makes_the_same_file(tmp_path):
    state = Tied().state_dict()
    first = export(StateDict(state), str(tmp_path / "a"))
    second = export(StateDict(dict(state)), str(tmp_path / "b"))
    assert first.sha256 == second.sha256


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_values_that_no_computation_gives_arrive(tmp_path, form):
    """Illegal bytes of bool, payloads of NaN, the sign of zero, empty tensors and scalars."""
    values = {
        "bool": torch.tensor([7, 0, 255], dtype=torch.uint8).view(torch.bool),
        "nan": torch.tensor([0x7FC00001, -1, 0x7F800001], dtype=torch.int32).view(torch.float32),
        "zero": torch.tensor([-0.0, 0.0]),
        "scalar": torch.tensor(-0.0, dtype=torch.float64),
        "empty": torch.empty(3, 0, 2),
        "none": torch.empty(0),
        "turned": torch.arange(12.0).reshape(3, 4).t(),
        "conj": torch.tensor([1 + 2j, 3 - 4j]).conj(),
        "neg": torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
    }
    path = str(tmp_path / "x")
    export(StateDict(values), path, ExportOptions(format=form))
    read = load_file(path) if form == "safetensors" else torch.load(path, weights_only=True)
    assert list(read) == list(values) or form == "safetensors"
    for name, value in values.items():
        assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
        assert bits(read[name]) == bits(value)
    assert verify(path, against=StateDict(values)).ok


class Odd(nn.Module):
    """Keys that differ from the walk: hooks rename one, add one, and leave one out."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(4.0))
        self.gone = nn.Parameter(torch.ones(1))
        self._register_state_dict_hook(self._change)

    @staticmethod
    def _change(module, state, prefix, metadata):
        state[prefix + "scale"] = state.pop(prefix + "weight") * 2
        del state[prefix + "gone"]


class Overridden(nn.Linear):
    def state_dict(self, *args, **kwargs):
        return {"only": self.weight.detach()}


@pytest.mark.parametrize("form", ["safetensors", "torch"])
@pytest.mark.parametrize("make", [Odd, lambda: Overridden(2, 2), lambda: nn.Sequential(Odd())])
def test_the_keys_are_those_of_state_dict(tmp_path, form, make):
    model, path = make(), str(tmp_path / "x")
    export(StateDict(model.state_dict()), path, ExportOptions(format=form))
    read = load_file(path) if form == "safetensors" else torch.load(path, weights_only=True)
    assert set(read) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(read[name], value)


def test_many_small_tensors(tmp_path):
    values = {f"layers.{n // 9}.w{n % 9}": torch.full((3,), float(n)) for n in range(5_000)}
    values["odd"] = torch.ones(PIECE + 5, dtype=torch.uint8)
    for form in ("safetensors", "torch"):
        path = str(tmp_path / form)
        export(StateDict(values), path, ExportOptions(format=form))
        assert verify(path, against=StateDict(values)).ok


@pytest.mark.parametrize("form", ["safetensors", "torch"])
@pytest.mark.parametrize("options", ["", ", dtype='float64'", ", from_disk=True"])
def test_memory_stays_small_however_large_a_tensor_is(tmp_path, form, options):
    """A turned tensor of 200 MB, in a process of its own: its copy would show in the peak."""
    result = run_python(
        f"""
        import re, torch
        from inspector_app.backend.exporting import export
        from inspector_app.backend.states import StateDict
        from inspector_app.protocol.messages import ExportOptions
        def peak():
            with open("/proc/self/status") as file:
                return int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1])
        options = ExportOptions(format={form!r}{options})
        export(StateDict({{"w": torch.ones(3, 3).t()}}), {str(tmp_path / "small")!r}, options)
        tensor = torch.ones(5000, 10000).t()
        before = peak()
        export(StateDict({{"w": tensor}}), {str(tmp_path / "x")!r}, options)
        print(peak() - before)
        """
    )
    assert int(result.stdout) < 64_000, result.stderr
