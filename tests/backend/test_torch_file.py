"""Files of torch.save in both of their forms, against torch's own reading of them."""

import collections

import numpy as np
import pytest
import torch

from inspector_app.backend.exporting import export
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.session import Session
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import RefusedError
from tests.backend.torch_files import Canary, archive_of, legacy_of, written

# What torch reads from both forms, and what only from archives.
DTYPES = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128),
]
LATER = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]


def same(ours, theirs):
    return (
        (ours.dtype, ours.shape, ours.stride(), ours.is_conj(), ours.is_neg())
        == (theirs.dtype, theirs.shape, theirs.stride(), theirs.is_conj(), theirs.is_neg())
    ) and all(
        torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
        for a, b in [(ours.resolve_conj().resolve_neg(), theirs.resolve_conj().resolve_neg())]
        if a.numel() and a.dim()
    )


@pytest.fixture(params=["archive", "legacy", "legacy 4"])
def save(request, tmp_path):
    """Writes a value in one of the two forms."""

    def save(value):
        if request.param == "archive":
            return written(tmp_path, archive_of(value))
        return written(tmp_path, legacy_of(value, protocol=2 if request.param == "legacy" else 4))

    save.dtypes = DTYPES + (LATER if request.param == "archive" else [])
    return save


def test_every_tensor_is_what_torch_reads(save):
    base = torch.arange(24.0).reshape(4, 6)
    state = collections.OrderedDict(
        {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in save.dtypes},
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
    path = save(state)
    theirs = torch.load(path, weights_only=False)
    checkpoint = open_checkpoint(path)
    assert checkpoint.names() == list(state)
    for name, tensor in theirs.items():
        assert same(checkpoint.tensor(name), tensor.detach()), name
        spec = checkpoint.spec(name)
        if not spec.reason:
            content = b"".join(map(bytes, checkpoint.blocks(name)))
            plain = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
            assert content == bytes(plain.view(torch.uint8).numpy()), name
    assert checkpoint.spec("torch.complex128").nbytes == 96
    table = checkpoint.tree.table
    assert table.class_name(table.paths.index("parameter")) == "Parameter"
    tie = table.tie[[table.paths.index(name) for name in ("base", "transposed", "view", "again")]]
    assert tie[0] == tie[1] >= 0
    assert tie[2] == tie[3] >= 0
    checkpoint.close()


@pytest.mark.filterwarnings("ignore")
def test_what_has_no_plain_values_is_listed_and_refused(save):
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
    checkpoint = open_checkpoint(save(state))
    table = checkpoint.tree.table
    for name in state:
        assert checkpoint.spec(name).reason
        with pytest.raises(RefusedError, match=name):
            checkpoint.tensor(name)
        if name != "nested":
            assert table.shape(table.paths.index(name)) == tuple(state[name].shape)
    checkpoint.close()


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "net", "ema"])
def test_a_state_dict_is_found_with_all_else_beside_it(save, tmp_path, wrapper):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    held = {wrapper: model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    path = save({**held, "best": np.float64(0.5), "note": "x" * 999})
    checkpoint = open_checkpoint(path)
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


def test_a_module_pickled_whole_is_listed_and_not_loaded(save):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    checkpoint = open_checkpoint(save(model))
    assert checkpoint.names() == list(model.state_dict())
    totals = checkpoint.totals()
    assert (totals.parameters, totals.trainable, totals.buffers) == (12, 10, 5)
    (note,) = checkpoint.facts
    assert "torch.nn.modules.linear.Linear" in note.value
    assert "nothing of the file was imported or run" in note.value
    checkpoint.close()


def test_no_code_runs(save, tmp_path):
    proof = tmp_path / "proof"
    path = save({"state_dict": {"a": torch.ones(2)}, "bad": Canary(proof)})
    checkpoint = open_checkpoint(path)
    assert checkpoint.names() == ["a"]
    assert "mkdir" in checkpoint.facts[-1].value
    checkpoint.close()
    assert not proof.exists()
