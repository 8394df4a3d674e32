"""``requires_grad`` as a file notes it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError
from tests.backend.edit_models import state
from tests.backend.load_models import randomised
from tests.backend.test_loading import opened, saved


@pytest.fixture
def session():
    with Session() as session:
        yield session


def frozen(model: nn.Module) -> list[str]:
    return [name for name, tensor in model.named_parameters() if not tensor.requires_grad]


def exported(session, tmp_path, *patterns: str, name: str = "resnet") -> str:
    """A file of ours that notes some parameters as frozen."""
    opened(session, name)
    if patterns:
        session.freeze(m.Selection(patterns=list(patterns)))
    path = str(tmp_path / "ours.safetensors")
    session.export(path)
    return path


def test_what_was_noted_is_set_with_one_edit_and_undone(session, tmp_path):
    path = exported(session, tmp_path, "layer1.0", "bn1")
    noted = frozen(session._opened.model)
    model = opened(session, "resnet")
    model.bn1.weight.requires_grad_(False)
    model.fc.bias.requires_grad_(False)  # noted as trainable
    session._rebuilt()
    before = state(model)
    plan = session.plan_state(path)
    assert plan.requires_grad == len(noted) - 1 + 1
    assert state(model) == before
    edited = session.apply_requires_grad(path)
    assert frozen(model) == noted
    assert edited.totals.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    (entry,) = edited.history
    assert (entry.kind, entry.title) == ("requires_grad", "Apply requires_grad of ours.safetensors")
    assert entry.touched == plan.requires_grad
    assert session.plan_state(path).requires_grad == 0
    session.undo()
    assert state(model) == before
    session.redo()
    assert frozen(model) == noted


def test_what_is_so_already_is_no_edit(session, tmp_path):
    path = exported(session, tmp_path)
    opened(session, "resnet")
    assert session.apply_requires_grad(path).history == []


def test_a_frozen_parameter_loses_its_gradient_and_undo_gives_it_back(session, tmp_path):
    path = exported(session, tmp_path, "weight", name="linear")
    model = opened(session, "linear")
    model(torch.ones(1, 3)).sum().backward()
    gradient = model.weight.grad
    edited = session.apply_requires_grad(path)
    assert model.weight.grad is None
    assert model.bias.grad is not None
    assert any("1 gradients are taken off" in note for note in edited.notes)
    session.undo()
    assert model.weight.grad is gradient


def test_a_torch_file_of_parameters_notes_it_too(session, tmp_path):
    model = opened(session, "linear")
    model.weight.requires_grad_(False)
    path = saved(tmp_path / "p.pt", dict(model.state_dict(keep_vars=True)), torch_format=True)
    model = opened(session, "linear")
    assert session.plan_state(path).requires_grad == 1
    session.apply_requires_grad(path)
    assert frozen(model) == ["weight"]


def test_a_file_that_notes_nothing_is_refused(session, tmp_path):
    model = opened(session, "linear")
    path = saved(tmp_path / "plain.safetensors", randomised(model))
    assert session.plan_state(path).requires_grad == 0
    with pytest.raises(RefusedError, match=r"plain\.safetensors does not note requires_grad"):
        session.apply_requires_grad(path)


def test_names_that_only_one_of_both_has_are_told(session, tmp_path):
    path = exported(session, tmp_path, "weight", name="linear")
    model = opened(session, "linear")
    model.scale = nn.Parameter(torch.ones(1))
    model._parameters["offset"] = model._parameters.pop("weight")
    session._rebuilt()
    edited = session.apply_requires_grad(path)
    assert edited.notes == [
        "noted, but no parameter of this model that can train: weight",
        "2 parameters of this model are not noted and stay as they are",
    ]
    assert frozen(model) == []


def test_a_prefix_is_found_for_it_as_well(session, tmp_path):
    path = exported(session, tmp_path, "weight", name="linear")
    session.open("tests.backend.load_models:wrapped")
    edited = session.apply_requires_grad(path)
    assert frozen(session._opened.model) == ["module.weight"]
    assert edited.notes[0] == "“module.” is put before the file's keys"
    assert edited.history[0].prefix is None


def test_one_tensor_noted_as_both_is_left_alone_and_told(session, tmp_path):
    model = opened(session, "transformer")
    model.head.weight = nn.Parameter(torch.zeros(11, 8), requires_grad=False)
    model.norm.weight.requires_grad_(False)
    session._rebuilt()
    path = str(tmp_path / "untied.safetensors")
    session.export(path)
    model = opened(session, "transformer")
    edited = session.apply_requires_grad(path)
    (refusal,) = edited.refused
    assert refusal.examples == ["embed.weight", "head.weight"]
    assert "one tensor under several names" in refusal.reason
    assert frozen(model) == ["norm.weight"]


def test_parameters_on_one_memory_are_set_together_or_not_at_all(session, tmp_path):
    model = opened(session, "sharing")
    noted = {"whole": False, "twin": False, "part": True}
    path = noting(tmp_path, model, noted)
    edited = session.apply_requires_grad(path)
    assert frozen(model) == []
    assert {name for refusal in edited.refused for name in refusal.examples} == set(noted)
    session.apply_requires_grad(noting(tmp_path, model, dict.fromkeys(noted, False)))
    assert frozen(model) == ["whole", "twin", "part"]


def noting(tmp_path, model: nn.Module, noted: dict[str, bool]) -> str:
    """A torch file whose parameters have the requires_grad given."""
    values = {
        name: nn.Parameter(tensor.detach().clone(), requires_grad=noted[name])
        for name, tensor in model.named_parameters()
    }
    return saved(tmp_path / "noting.pt", values, torch_format=True)


def test_integers_are_passed_over_and_what_objects_changes_nothing(session, tmp_path):
    model = opened(session, "linear")
    model.codes = nn.Parameter(torch.arange(3, dtype=torch.int8), requires_grad=False)
    model.made = (model.weight * 2).requires_grad_(True)
    with torch.inference_mode():
        model.inferred = nn.Parameter(torch.ones(2), requires_grad=False)
    session._rebuilt()
    names = [name for name, _ in model.named_parameters()]
    values = {"codes": False, "inferred": True, "weight": False, "bias": True}
    path = saved(
        tmp_path / "noting.pt",
        {
            name: nn.Parameter(torch.ones(2), requires_grad=values[name])
            for name in names
            if name != "codes"
        },
        torch_format=True,
    )
    edited = session.apply_requires_grad(path)
    assert frozen(model) == ["weight", "codes", "inferred"]
    assert any("inference mode" in note for note in edited.notes)
    session.undo()
    assert frozen(model) == ["codes", "inferred"]
    only = saved(tmp_path / "only.pt", {"inferred": nn.Parameter(torch.ones(2))}, torch_format=True)
    with pytest.raises(RefusedError, match="inference mode"):
        session.apply_requires_grad(only)


def test_a_checkpoint_cannot_be_frozen(session, tmp_path):
    path = exported(session, tmp_path, name="linear")
    told = session.open(path)
    with pytest.raises(RefusedError) as refused:
        session.apply_requires_grad(path)
    assert refused.value.sentence == told.disabled["freeze"]
