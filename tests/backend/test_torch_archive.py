"""Archives of torch.save, against torch's own reading of them."""

import collections
import struct
import zipfile

import numpy as np
import pytest
import torch

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.exporting import export
from inspector_app.backend.opening.torch_archive import TorchArchive
from inspector_app.backend.session import Session
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import RefusedError, TargetError
from tests.backend.torch_files import Canary, archive_of, description_of, with_members

DTYPES = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2),
]


def written(tmp_path, content, name="x.pt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else archive_of(content))
    return path


def same(ours, theirs):
    return (
        (ours.dtype, ours.shape, ours.stride(), ours.is_conj(), ours.is_neg())
        == (theirs.dtype, theirs.shape, theirs.stride(), theirs.is_conj(), theirs.is_neg())
    ) and all(
        torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
        for a, b in [(ours.resolve_conj().resolve_neg(), theirs.resolve_conj().resolve_neg())]
        if a.numel() and a.dim()
    )


def test_every_tensor_is_what_torch_reads(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    state = collections.OrderedDict(
        {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in DTYPES},
        view=base[1:, ::2],
        transposed=base.t(),
        base=base,
        expanded=torch.ones(1).expand(5, 7),
        scalar=torch.tensor(2.5),
        empty=torch.empty(0, 3),
        parameter=torch.nn.Parameter(torch.ones(2), requires_grad=False),
        conjugate=torch.ones(2, 2, dtype=torch.complex64).conj(),
        imaginary=torch.ones(3, dtype=torch.complex64).conj().imag,
    )
    state["again"] = state["view"]
    path = written(tmp_path, state)
    theirs = torch.load(path, weights_only=True)
    checkpoint = Checkpoint(path)
    assert checkpoint.names() == list(state)
    for name, tensor in theirs.items():
        assert same(checkpoint.tensor(name), tensor.detach()), name
        spec = checkpoint.spec(name)
        if not spec.reason:
            content = b"".join(map(bytes, checkpoint.blocks(name)))
            plain = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
            assert content == bytes(plain.view(torch.uint8).numpy()), name
    assert checkpoint.spec("torch.complex128").reason
    table = checkpoint.tree.table
    assert table.class_name(table.paths.index("parameter")) == "Parameter"
    tie = table.tie[[table.paths.index(name) for name in ("base", "transposed", "view", "again")]]
    assert tie[0] == tie[1] >= 0
    assert tie[2] == tie[3] >= 0
    checkpoint.close()


@pytest.mark.filterwarnings("ignore")
def test_what_has_no_plain_values_is_listed_and_refused(tmp_path):
    state = {
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
        "channels": torch.quantize_per_channel(
            torch.ones(2, 3), torch.ones(2), torch.zeros(2), 0, torch.qint8
        ),
        "coo": torch.eye(3).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.ones(3, device="meta"),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    }
    checkpoint = Checkpoint(written(tmp_path, state))
    table = checkpoint.tree.table
    for name in state:
        assert checkpoint.spec(name).reason
        with pytest.raises(RefusedError, match=name):
            checkpoint.tensor(name)
        if name != "nested":
            assert table.shape(table.paths.index(name)) == tuple(state[name].shape)
    checkpoint.close()


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "net", "ema"])
def test_a_state_dict_is_found_with_all_else_beside_it(tmp_path, wrapper):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    held = {wrapper: model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    path = written(tmp_path, {**held, "best": np.float64(0.5), "note": "x" * 999})
    checkpoint = Checkpoint(path)
    assert checkpoint.names() == list(model.state_dict())
    values = checkpoint.file.values
    assert (values["epoch"].class_name, values["epoch"].value) == ("int", 3)
    assert values["best"].value == 0.5
    assert len(values["note"].text) < 300
    assert "optimizer.state.0.exp_avg" in checkpoint.file.entries
    assert checkpoint.totals().parameters == 3 * 2 + 2 + 2 + 2 + 2 + 2 + 1
    target = str(tmp_path / "out.safetensors")
    assert export(checkpoint, target).tensors == len(model.state_dict())
    assert verify(target, against=checkpoint).ok
    checkpoint.close()
    with Session() as session:
        session.open(str(path))
        paths = session.tree.table.paths
        assert session.measure(paths.index("1.running_var")).count == 2
        assert session.measure(paths.index("optimizer.state.0.exp_avg")).count == 6
        assert wrapper in session.describe_row(0).facts[-1].value
        for row in range(len(paths)):
            assert session.describe_row(row).facts
        assert session.summary_json()["rows"]
        assert wrapper in session.summary_text()


def test_a_module_pickled_whole_is_listed_and_not_loaded(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    checkpoint = Checkpoint(written(tmp_path, model))
    assert checkpoint.names() == list(model.state_dict())
    totals = checkpoint.totals()
    assert (totals.parameters, totals.trainable, totals.buffers) == (12, 10, 5)
    (note,) = checkpoint.notes
    assert "torch.nn.modules.linear.Linear" in note.value
    assert "nothing of the file was imported or run" in note.value
    checkpoint.close()


def test_no_code_runs(tmp_path):
    proof = tmp_path / "proof"
    path = written(tmp_path, {"state_dict": {"a": torch.ones(2)}, "bad": Canary(proof)})
    checkpoint = Checkpoint(path)
    assert checkpoint.names() == ["a"]
    assert "mkdir" in checkpoint.notes[-1].value
    checkpoint.close()
    assert not proof.exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"byteorder": b"big"}, "big-endian"),
        ({"data_0": None}, "record 0 is missing"),
        ({"data_0": b"123"}, "has 3 of 24 bytes"),
        ({"data_pkl": b"\x80\x02"}, "cannot be read"),
        ({"data_pkl": None}, "none of torch.save"),
        ({"constants_pkl": b""}, "TorchScript"),
    ],
)
def test_other_and_damaged_archives_are_told(tmp_path, changed, words):
    path = written(tmp_path, with_members(archive_of({"a": torch.ones(2, 3)}), **changed))
    with pytest.raises(TargetError, match=words) as raised:
        TorchArchive(path)
    assert str(path) in raised.value.sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86", "beyond its record"),
        (b"K\x03K\x01\x86", b"K\xffK\x01\x86", "beyond its record"),
        (b"QK\x00", b"QK\x01", "beyond its record"),
        (b"K\x02K\x03\x86", b"K\x02N\x86", "something else than a size"),
        (b"K\x02K\x03\x86", b"K\x02\x85", "as many strides"),
        (b"K\x02K\x03\x86", b"\x8a\x08" + struct.pack("<q", 10**18) + b"K\x03\x86", "beyond"),
    ],
)
def test_tensors_beyond_their_record_do_not_pass(tmp_path, old, new, words):
    content = archive_of({"a": torch.ones(2, 3)})
    description = description_of({"a": torch.ones(2, 3)})
    assert description.count(old) == 1
    path = written(tmp_path, with_members(content, data_pkl=description.replace(old, new)))
    with pytest.raises(TargetError, match=words):
        TorchArchive(path)


def test_a_tensor_repeated_without_end_does_not_pass(tmp_path):
    value = {"a": torch.ones(1).expand(5)}
    assert torch.equal(TorchArchive(written(tmp_path, value)).tensor("a"), value["a"])
    description = description_of(value)
    old = b"K\x05\x85"
    assert description.count(old) == 1
    huge = description.replace(old, b"\x8a\x08" + struct.pack("<q", 10**18) + b"\x85")
    path = written(tmp_path, with_members(archive_of(value), data_pkl=huge))
    with pytest.raises(TargetError, match="repeated from a few bytes"):
        TorchArchive(path)


def test_compressed_and_cut_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "c", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"x" * 1000)
    with pytest.raises(TargetError, match="compressed"):
        TorchArchive(tmp_path / "c")
    content = archive_of({"a": torch.ones(2, 3)})
    for size in range(4, len(content) - 1, 37):
        with pytest.raises(TargetError):
            TorchArchive(written(tmp_path, content[:size]))


def test_what_holds_itself_is_listed(tmp_path):
    loop = {"a": torch.ones(1)}
    loop["more"] = {"up": loop}
    checkpoint = Checkpoint(written(tmp_path, {"root": loop}))
    assert any("holds itself" in value.text for value in checkpoint.file.values.values())
    checkpoint.close()
