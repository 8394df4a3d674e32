"""Checkpoints as sources of their own values, and what they tell of themselves."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.exporting import ExportFacts, export
from inspector_app.backend.formats.content import open_file
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import ExportOptions


@pytest.fixture
def exported(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    model.tied = torch.nn.Linear(4, 3)
    model.tied.weight = model[0].weight
    path = str(tmp_path / "m.safetensors")
    grad = {name: name != "0.weight" for name, _ in model.named_parameters()}
    facts = ExportFacts(target="m.py:f", requires_grad={**grad, "tied.weight": False})
    export(StateDict(model.state_dict()), path, facts=facts)
    return model, path


def test_totals_of_a_foreign_file_count_every_element(tmp_path):
    save_file({"a": torch.zeros(3, 4), "b": torch.tensor(1)}, tmp_path / "x")
    totals = open_checkpoint(tmp_path / "x").totals()
    assert (totals.parameters, totals.trainable, totals.buffers) == (13, 0, 0)
    assert totals.bytes == 56
    assert totals.modules == 0


def test_totals_of_our_file_are_those_of_the_model(exported):
    model, path = exported
    totals = open_checkpoint(path).totals()
    parameters = list(model.parameters())
    assert totals.parameters == sum(p.numel() for p in parameters)
    assert totals.trainable == totals.parameters - model[0].weight.numel()
    assert totals.buffers == sum(b.numel() for b in model.buffers())


def test_values_and_names(exported):
    model, path = exported
    checkpoint = Checkpoint(open_file(path), "./m.safetensors")
    assert (checkpoint.target, checkpoint.title) == ("./m.safetensors", "m.safetensors")
    assert set(checkpoint.names()) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(checkpoint.tensor(name), value)
    checkpoint.close()


def test_exporting_again_keeps_values_and_origin(exported, tmp_path):
    model, path = exported
    checkpoint = open_checkpoint(path)
    facts = ExportFacts(target=path, carried={**checkpoint.metadata, "version": "theirs"})
    report = export(checkpoint, path, ExportOptions(skip=["1"]), facts=facts)  # over the open file
    assert report.tensors == 4
    again = open_checkpoint(path)
    assert again.metadata["model_inspector.target"] == "m.py:f"
    assert again.metadata["version"] == "theirs"
    assert again.metadata["model_inspector.payload"].endswith(":" + report.payload_sha256)
    assert again.metadata["model_inspector.requires_grad"] == (
        '{"0.bias":true,"0.weight":false,"tied.bias":true,"tied.weight":false}'
    )
    assert again.totals().parameters == 18
    assert [tie.names for tie in report.ties] == [["0.weight", "tied.weight"]]
    assert set(load_file(path)) == {"0.weight", "0.bias", "tied.weight", "tied.bias"}
    # The open checkpoint still reads the file that was replaced.
    assert torch.equal(checkpoint.tensor("1.weight"), model[1].weight)
    assert verify(path, against=again).ok


def test_the_fingerprint_tells_changed_values_and_nothing_else(tmp_path):
    values = {"a": torch.arange(100.0)}
    save_file(values, tmp_path / "x")
    save_file(values, tmp_path / "y")
    marks = {open_checkpoint(tmp_path / name).fingerprint() for name in "xy"}
    assert len(marks) == 1
    save_file({"a": torch.arange(100.0).flip(0)}, tmp_path / "y")
    marks.add(open_checkpoint(tmp_path / "y").fingerprint())
    save_file({}, tmp_path / "y")
    marks.add(open_checkpoint(tmp_path / "y").fingerprint())
    assert len(marks) == 3


def test_what_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(TargetError):
        open_checkpoint(tmp_path / "none")


def test_hostile_notes_are_taken_for_none(tmp_path):
    notes = {
        "model_inspector.ties": "[" * 100_000,
        "model_inspector.requires_grad": '{"a": 3}',
    }
    save_file({"a": torch.zeros(2)}, tmp_path / "x", notes)
    checkpoint = open_checkpoint(tmp_path / "x")
    assert checkpoint.totals().parameters == 2
    assert checkpoint.spec("a").memory is None
    assert np.all(checkpoint.tree.table.tie == -1)


def test_an_alias_is_a_row_tied_to_the_name_that_was_kept(exported, tmp_path):
    model, path = exported
    aliased = str(tmp_path / "aliased.safetensors")
    export(open_checkpoint(path), aliased, ExportOptions(ties="alias"))
    assert "tied.weight" not in load_file(aliased)
    checkpoint = open_checkpoint(aliased)
    table = checkpoint.tree.table
    kept, alias = (table.paths.index(name) for name in ("0.weight", "tied.weight"))
    assert table.tie[alias] == table.tie[kept] >= 0
    assert torch.equal(checkpoint.tensor("tied.weight"), model[0].weight)
