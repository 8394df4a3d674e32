"""Checkpoints: rows from the header, and the checkpoint as a source of its own values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inspector_app.backend.checkpoint import Checkpoint, checkpoint_tree
from inspector_app.backend.exporting import ExportFacts, export
from inspector_app.backend.opening.safetensors_file import TensorEntry
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role


def entries_of(keys):
    return {
        key: TensorEntry(key, "float32", (2, 3), 24 * number, 24 * number + 24)
        for number, key in enumerate(keys)
    }


def rows(tree):
    table = tree.table
    return [(table.path(p), Role(int(table.role[p])).word) for p in range(len(table))]


def test_groups_stand_above_tensors():
    tree = checkpoint_tree(entries_of(["layer.10.w", "layer.9.w", "head", "layer.9.b"]))
    assert rows(tree) == [
        ("", "group"),
        ("head", "tensor"),
        ("layer", "group"),
        ("layer.9", "group"),
        ("layer.9.b", "tensor"),
        ("layer.9.w", "tensor"),
        ("layer.10", "group"),
        ("layer.10.w", "tensor"),
    ]
    table = tree.table
    at = table.paths.index("layer.9.w")
    assert table.shape(at) == (2, 3)
    assert (table.dtype(at), table.device(at)) == ("float32", "cpu")
    assert (table.class_name(at), table.class_name(at - 2)) == ("Tensor", "Group")
    assert table.class_name(0) == "Checkpoint"
    assert (table.count[at], table.bytes[at]) == (6, 24)
    assert table.flags[at] == Flag.TENSOR | Flag.SAVED
    assert table.shape(0) is None
    assert SubtreeSums(table).bytes(0) == 96
    assert SubtreeSums(table).bytes(table.paths.index("layer.9")) == 48


KEYS = st.lists(st.text(st.sampled_from("ab1.é[] "), max_size=8), unique=True, max_size=12)


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_every_key_is_the_path_of_its_row(keys):
    entries = entries_of(keys)
    tree = checkpoint_tree(entries)
    table = tree.table
    found = {}
    for position, value in enumerate(tree.objects):
        assert (value is not None) == (table.role[position] == Role.TENSOR)
        if value is not None:
            assert table.path(position) == table.paths[position] == value.name
            found[value.name] = value
    assert found == entries
    assert len(set(table.paths[1:])) == len(table) - 1
    for position in range(1, len(table)):
        above = int(table.parent[position])
        assert above < position < table.end[position] <= table.end[above]


def test_a_key_that_is_a_prefix_of_others_has_them_below_it():
    tree = checkpoint_tree(entries_of(["a", "a.b", "a.c.d"]))
    assert rows(tree) == [
        ("", "group"),
        ("a", "tensor"),
        ("a.b", "tensor"),
        ("a.c", "group"),
        ("a.c.d", "tensor"),
    ]


def test_endless_dots_make_no_endless_tree():
    key = "." * 10_000
    tree = checkpoint_tree(entries_of([key]))
    assert len(tree.table) < 50
    assert tree.table.paths[-1] == key


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
    totals = Checkpoint(tmp_path / "x").totals()
    assert (totals.parameters, totals.trainable, totals.buffers) == (13, 0, 0)
    assert totals.bytes == 56
    assert totals.modules == 0


def test_totals_of_our_file_are_those_of_the_model(exported):
    model, path = exported
    totals = Checkpoint(path).totals()
    parameters = list(model.parameters())
    assert totals.parameters == sum(p.numel() for p in parameters)
    assert totals.trainable == totals.parameters - model[0].weight.numel()
    assert totals.buffers == sum(b.numel() for b in model.buffers())


def test_values_and_names(exported):
    model, path = exported
    checkpoint = Checkpoint(path, "./m.safetensors")
    assert (checkpoint.target, checkpoint.title) == ("./m.safetensors", "m.safetensors")
    assert set(checkpoint.names()) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(checkpoint.tensor(name), value)
    checkpoint.close()


def test_exporting_again_keeps_values_and_origin(exported, tmp_path):
    model, path = exported
    checkpoint = Checkpoint(path)
    facts = ExportFacts(target=path, carried={**checkpoint.metadata, "version": "theirs"})
    report = export(checkpoint, path, skip=["1"], facts=facts)  # over the open file
    assert report.tensors == 4
    again = Checkpoint(path)
    assert again.metadata["model_inspector.target"] == "m.py:f"
    assert again.metadata["version"] == "theirs"
    assert again.metadata["model_inspector.payload"] == "sha256:" + report.payload_sha256
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
    marks = {Checkpoint(tmp_path / name).fingerprint() for name in "xy"}
    assert len(marks) == 1
    save_file({"a": torch.arange(100.0).flip(0)}, tmp_path / "y")
    marks.add(Checkpoint(tmp_path / "y").fingerprint())
    save_file({}, tmp_path / "y")
    marks.add(Checkpoint(tmp_path / "y").fingerprint())
    assert len(marks) == 3


def test_what_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(TargetError):
        Checkpoint(tmp_path / "none")


def test_hostile_notes_are_taken_for_none(tmp_path):
    notes = {
        "model_inspector.ties": "[" * 100_000,
        "model_inspector.requires_grad": '{"a": 3}',
    }
    save_file({"a": torch.zeros(2)}, tmp_path / "x", notes)
    checkpoint = Checkpoint(tmp_path / "x")
    assert checkpoint.totals().parameters == 2
    assert checkpoint.spec("a").memory is None
    assert np.all(checkpoint.tree.table.tie == -1)
