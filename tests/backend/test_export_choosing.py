"""Which keys are written, which are refused, and how an export says so."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from inspector_app.backend.exporting import ExportFacts, export, keys_matching, plan_export
from inspector_app.backend.states import StateDict, describe_value
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import ExportOptions, Rename
from tests.backend.exports import Tied

KEYS = ["fc1.weight", "fc1.bias", "fc10.weight", "enc.0.w", "enc.1.w", "enc", "a[0]", ".x", "y"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["fc1"], ["fc1.weight", "fc1.bias"]),
        (["fc1.bias"], ["fc1.bias"]),
        (["fc1*"], ["fc1.weight", "fc1.bias", "fc10.weight"]),
        (["enc"], ["enc", "enc.0.w", "enc.1.w"]),
        (["enc.?"], ["enc.0.w", "enc.1.w"]),
        (["*.w"], ["enc.0.w", "enc.1.w"]),
        (["a[0]"], ["a[0]"]),
        ([""], KEYS),
        (["*"], KEYS),
        (["y", "fc1.bias"], ["fc1.bias", "y"]),
        ([".x"], [".x"]),
    ],
)
def test_patterns(patterns, expected):
    assert keys_matching(KEYS, patterns) == set(expected)


@pytest.mark.parametrize("pattern", ["fc", "FC1", "enc.2", "fc1.", "x", "a[1]"])
def test_a_pattern_that_means_nothing_is_an_error_that_names_it(pattern, tmp_path):
    source = StateDict({key: torch.zeros(1) for key in KEYS})
    for only, skip in ([pattern], []), (None, [pattern]):
        with pytest.raises(RequestError, match="No key") as raised:
            export(source, str(tmp_path / "x"), ExportOptions(skip=skip), only=only)
        assert f'"{pattern}"' in raised.value.sentence
    assert os.listdir(tmp_path) == []


def test_only_and_skip(tmp_path):
    source = StateDict(Tied().state_dict())
    options = ExportOptions(skip=["norm.running_*"])
    report = export(source, str(tmp_path / "x"), options, only=["norm", "head"])
    assert set(load_file(tmp_path / "x")) == {
        "norm.weight",
        "norm.bias",
        "norm.num_batches_tracked",
        "head.weight",
    }
    assert {left.name: left.reason for left in report.left_out} == {
        "embedding.weight": "not selected",
        "norm.running_mean": "skipped as asked",
        "norm.running_var": "skipped as asked",
    }
    assert report.ties == []
    assert plan_export(source, only=[]).tensors == 7


def quantized():
    return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


class Extra(nn.Module):
    def get_extra_state(self):
        return {"any": "thing"}

    def set_extra_state(self, state): ...


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.zeros(2, dtype=torch.complex32), "complex32"),
        (lambda: torch.zeros(2, dtype=torch.complex128), "complex128"),
        (lambda: torch.zeros(2, 2).to_sparse(), "sparse"),
        (lambda: torch.eye(2).to_sparse_csr(), "sparse"),
        (lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), "nested"),
        (quantized, "quantized"),
        (lambda: torch.zeros(2, device="meta"), "meta"),
        (lambda: nn.UninitializedParameter(), "lazy"),
        (lambda: nn.UninitializedBuffer(), "lazy"),
        (lambda: torch.ones(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)[0], "pairs"),
        (lambda: {"any": "thing"}, "not a tensor but dict"),
        (lambda: 3, "not a tensor but int"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch warns of its prototypes
def test_what_the_format_cannot_hold_is_refused_by_name(tmp_path, make, reason):
    source = StateDict({"good": torch.ones(1), "layer.odd": make()})
    path = str(tmp_path / "x")
    plan = plan_export(source)
    assert [(left.name, reason in left.reason) for left in plan.refused] == [("layer.odd", True)]
    with pytest.raises(RefusedError, match=r'"layer\.odd".*--skip') as raised:
        export(source, path)
    assert reason in raised.value.sentence
    assert os.listdir(tmp_path) == []
    report = export(source, path, ExportOptions(skip=["layer"]))
    assert [left.name for left in report.left_out] == ["layer.odd"]
    assert reason in report.left_out[0].reason
    assert set(load_file(path)) == {"good"}
    assert export(source, path, only=["good"]).tensors == 1


def test_extra_state_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(1, 1), Extra())
    with pytest.raises(RefusedError, match=r"1\._extra_state"):
        export(StateDict(model.state_dict()), str(tmp_path / "x"))


def test_names_the_format_cannot_hold_are_refused(tmp_path):
    for name in ("__metadata__", "\ud800"):
        plan = plan_export(StateDict({name: torch.ones(1)}))
        assert [left.name for left in plan.refused] == [name]


def test_many_refusals_are_counted(tmp_path):
    source = StateDict({f"x{number}": number for number in range(9)})
    with pytest.raises(RefusedError, match="and 4 more") as raised:
        export(source, str(tmp_path / "x"))
    assert len(raised.value.detail.splitlines()) == 9


def test_wrappers_without_memory_of_their_own_are_refused():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode() as mode:
        fake = torch.ones(2)
    assert mode
    assert "no data" in describe_value(fake).reason


def test_shared_memory_is_told_and_only_one_tensor_is_a_tie(tmp_path):
    base = torch.arange(6.0)
    array = np.arange(4.0)
    values = {
        "base": base,
        "same": base.detach(),
        "turned": base.reshape(2, 3).t(),
        "part": base[2:],
        "one": torch.from_numpy(array),
        "other": torch.from_numpy(array),
        "empty": torch.zeros(0),
        "empty too": torch.zeros(0),
    }
    for form in ("safetensors", "torch"):
        path = tmp_path / form
        report = export(StateDict(values), str(path), ExportOptions(format=form))
        assert [tie.names for tie in report.ties] == [["base", "same"], ["one", "other"]]
        assert ["4 keys lie in the same memory" in note for note in report.notes] == [True]
        assert all(name in report.notes[0] for name in ("base", "same", "turned", "part"))
        read = load_file(path) if form == "safetensors" else torch.load(path)
        assert all(torch.equal(read[name], value) for name, value in values.items())


def test_views_that_are_not_the_same_values_are_no_tie(tmp_path):
    held = torch.tensor([1 + 2j, 3 - 4j])
    values = {"a": held, "conj": held.conj(), "real": torch.view_as_real(held)}
    options = ExportOptions(ties="alias")
    report = export(StateDict(values), str(tmp_path / "x"), options)
    assert report.ties == []
    assert report.tensors == 3
    read = load_file(tmp_path / "x")
    assert torch.equal(read["conj"], values["conj"].resolve_conj())


def test_only_what_is_trained(tmp_path):
    grad = {"embedding.weight": True, "head.weight": True, "norm.weight": False, "norm.bias": True}
    facts = ExportFacts(requires_grad=grad)
    source = StateDict(Tied().state_dict())
    report = export(source, str(tmp_path / "x"), ExportOptions(trainable=True), facts=facts)
    assert set(load_file(tmp_path / "x")) == {"embedding.weight", "head.weight", "norm.bias"}
    assert {left.name: left.reason for left in report.left_out} == {
        "norm.weight": "frozen",
        "norm.running_mean": "not a parameter",
        "norm.running_var": "not a parameter",
        "norm.num_batches_tracked": "not a parameter",
    }


def test_nothing_is_not_written(tmp_path):
    source = StateDict(Tied().state_dict())
    with pytest.raises(RequestError, match="Nothing is left to be written: all 7 keys"):
        export(source, str(tmp_path / "x"), ExportOptions(skip=[""]))
    assert os.listdir(tmp_path) == []
    assert export(StateDict({}), str(tmp_path / "x")).tensors == 0  # there is nothing


def test_where_nothing_tells_what_is_trained_it_says_so(tmp_path):
    source = StateDict(Tied().state_dict())
    with pytest.raises(RequestError, match="Nothing tells which tensors"):
        export(source, str(tmp_path / "x"), ExportOptions(trainable=True))
    assert os.listdir(tmp_path) == []


def test_what_a_checkpoint_noted_goes_before_what_it_says_now(tmp_path):
    carried = {"model_inspector.requires_grad": '{"norm.bias":true}', "mine": "kept"}
    facts = ExportFacts(requires_grad={"norm.weight": True}, carried=carried)
    source = StateDict(Tied().state_dict())
    export(source, str(tmp_path / "x"), ExportOptions(trainable=True), facts=facts)
    assert set(load_file(tmp_path / "x")) == {"norm.bias"}


def test_a_renaming_that_another_one_always_comes_before_is_refused():
    source = StateDict({"model.weight": torch.ones(2)})
    inner = [Rename(old="model.", new=""), Rename(old="model.w", new="v")]
    with pytest.raises(RequestError, match="All keys that begin with"):
        plan_export(source, ExportOptions(renames=inner))
    put, off = Rename(old="", new="a."), Rename(old="model.")
    with pytest.raises(RequestError, match="the first that fits counts: put it first"):
        plan_export(source, ExportOptions(renames=[put, off]))
    with pytest.raises(RequestError, match="All keys are renamed by what stands before"):
        plan_export(source, ExportOptions(renames=[off, put]))
