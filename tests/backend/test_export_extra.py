"""Values that are no plain tensors, in files for torch.load: kept, or refused by name."""

import collections
import io
import os

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.exporting import export, plan_export
from inspector_app.backend.exporting.aliased import Aliased
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import ExportOptions

TORCH = ExportOptions(format="torch")


class Extra(nn.Module):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def get_extra_state(self):
        return self.state

    def set_extra_state(self, state):
        self.state = state


@pytest.mark.parametrize(
    "state",
    [
        {"scale": 3.5, "names": ["a", ("b", None)], "flag": True},
        {"inner": torch.arange(5), "big": 2**100},
        collections.OrderedDict(a={1, 2}),
        b"bytes",
        None,
        7,
    ],
)
def test_extra_state_that_torch_loads_safely_is_kept(tmp_path, state):
    model = nn.Sequential(nn.Linear(1, 1), Extra(state))
    path = str(tmp_path / "x")
    report = export(StateDict(model.state_dict()), path, TORCH)
    assert report.left_out == []
    fresh = nn.Sequential(nn.Linear(1, 1), Extra("other"))
    fresh.load_state_dict(torch.load(path, weights_only=True))
    assert repr(fresh[1].state) == repr(state)
    assert verify(path, against=StateDict(model.state_dict())).ok


class Unpicklable:
    def __reduce__(self):
        raise SystemExit("no")


class Mine:
    pass


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Mine(), r"not a tensor but Mine, which torch.load\(weights_only=True\) does not read"),
        ({"deep": [Mine()]}, "does not read"),
        (io.BytesIO(b"x"), "does not read"),
        (frozenset([1]), "does not read"),
        (np.float64(3), "does not read"),
        (Unpicklable(), "pickling it raised SystemExit: no"),
        (lambda: 1, "pickling it raised"),
        ({"meta": torch.zeros(2, device="meta")}, "on the meta device"),
    ],
)
def test_other_extra_state_is_refused_by_name(tmp_path, state, words):
    model = nn.Sequential(nn.Linear(1, 1), Extra(state))
    path = str(tmp_path / "x")
    with pytest.raises(RefusedError, match=rf'torch\.load.*"1\._extra_state" \(.*{words}'):
        export(StateDict(model.state_dict()), path, TORCH)
    assert os.listdir(tmp_path) == []
    options = ExportOptions(format="torch", skip=["1._extra_state"])
    assert export(StateDict(model.state_dict()), path, options).tensors == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
        lambda: torch.eye(4).to_sparse_bsr((2, 2)),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.quantize_per_channel(
            torch.ones(2, 2), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.quint8
        ),
        lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch warns of its prototypes
def test_tensors_of_other_layouts_are_kept(tmp_path, make):
    value, path = make(), str(tmp_path / "x")
    export(StateDict({"odd": value, "plain": torch.ones(2)}), path, TORCH)
    read = torch.load(path, weights_only=True)
    assert repr(read["odd"]) == repr(value)
    assert torch.equal(read["plain"], torch.ones(2))
    assert verify(path).ok


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.zeros(2, device="meta"), "meta"),
        (nn.UninitializedParameter, "lazy"),
        (nn.UninitializedBuffer, "lazy"),
    ],
)
def test_tensors_without_values_are_refused(tmp_path, make, reason):
    plan = plan_export(StateDict({"good": torch.ones(1), "odd": make()}), TORCH)
    assert [(left.name, reason in left.reason) for left in plan.refused] == [("odd", True)]


def test_a_data_type_that_torch_does_not_know_is_refused_and_copied_otherwise(tmp_path):
    header = b'{"w":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}'
    content = len(header).to_bytes(8, "little") + header + b"abc"
    (tmp_path / "x").write_bytes(content)
    checkpoint = open_checkpoint(tmp_path / "x")
    plan = plan_export(Aliased(checkpoint), TORCH)
    assert [left.name for left in plan.refused] == ["w"]
    assert "float6_e2m3, which torch" in plan.refused[0].reason
    assert plan_export(Aliased(checkpoint), ExportOptions(dtype="float32")).converted == 0
    export(Aliased(checkpoint), str(tmp_path / "y"))
    assert verify(str(tmp_path / "y"), against=Aliased(checkpoint)).ok
    checkpoint.close()
    assert (tmp_path / "y").read_bytes().endswith(b"abc")


def test_names_of_any_kind(tmp_path):
    names = ["a b", "new\nline", "\u202eright to left", "x" * 3000, "\0", "..", "/", "🙂", ""]
    values = {name: torch.full((2,), float(n)) for n, name in enumerate(names)}
    for form in ("torch", "safetensors"):
        path = str(tmp_path / form)
        export(StateDict(values), path, ExportOptions(format=form))
        assert verify(path, against=StateDict(values)).ok
    assert list(torch.load(tmp_path / "torch", weights_only=True)) == names
    plan = plan_export(StateDict({"\ud800": torch.ones(1)}), TORCH)
    assert [left.reason for left in plan.refused] == ["its name is not valid text"]


def test_tensors_that_wrap_others_are_refused():
    from torch._subclasses import FakeTensorMode
    from torch.testing._internal.two_tensor import TwoTensor

    with FakeTensorMode():
        fake = torch.ones(2)
    plan = plan_export(StateDict({"f": fake, "w": TwoTensor(torch.ones(2), torch.ones(2))}), TORCH)
    assert [left.name for left in plan.refused] == ["f", "w"]
    assert "TwoTensor" in plan.refused[1].reason


def test_a_subclass_is_written_as_the_plain_tensor_that_it_is(tmp_path):
    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args, **kwargs):
            raise AssertionError("code of the subclass ran")

    loud = torch.Tensor._make_subclass(Loud, torch.arange(3.0))
    values = {"s": loud, "p": nn.Parameter(torch.ones(2)), "e": {"inner": loud}}
    export(StateDict(values), str(tmp_path / "x"), TORCH)
    read = torch.load(tmp_path / "x", weights_only=True)
    assert [type(read[name]) for name in "sp"] == [torch.Tensor, torch.Tensor]
    assert read["s"].tolist() == read["e"]["inner"].tolist() == [0, 1, 2]


def test_numbers_of_an_open_archive_are_kept_and_the_rest_refused(tmp_path):
    torch.save({"w": torch.ones(2), "n": 3, "s": "text"}, tmp_path / "x.pt")
    checkpoint = open_checkpoint(tmp_path / "x.pt")
    plan = plan_export(checkpoint, TORCH)
    assert [left.name for left in plan.refused] == ["s"]
    options = ExportOptions(format="torch", skip=["s"])
    export(checkpoint, str(tmp_path / "y.pt"), options)
    checkpoint.close()
    assert torch.load(tmp_path / "y.pt")["n"] == 3


@pytest.mark.parametrize("shard_bytes", [0, 1500])
def test_extra_state_of_an_open_archive_is_one_key_and_refused(tmp_path, shard_bytes):
    """Its values are shown by names of their own, which must not become keys."""
    values = {"w": torch.ones(300), "x._extra_state": {"inner": torch.arange(3), "n": 1}}
    options = ExportOptions(format="torch", shard_bytes=shard_bytes)
    report = export(StateDict(values), str(tmp_path / "out"), options)
    assert verify(report.path, against=StateDict(values)).ok
    checkpoint = open_checkpoint(report.path)
    source = Aliased(checkpoint)
    assert sorted(source.names()) == ["w", "x._extra_state"]
    for form in ("torch", "safetensors"):
        plan = plan_export(source, ExportOptions(format=form))
        assert [left.name for left in plan.refused] == ["x._extra_state"]
        skip = ExportOptions(format=form, skip=["x"])
        assert export(source, str(tmp_path / "again"), skip).tensors == 1
    assert verify(report.path, against=source).ok
    checkpoint.close()
