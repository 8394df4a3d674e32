"""Names and tensors that transformers changed since a file was written."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.recipes import LoadRecipe
from inspector_app.backend.session import Session
from inspector_app.backend.transformers_names import as_the_model_names_it, origin
from tests.backend import load_models
from tests.backend.edit_models import raw
from tests.backend.test_loading import saved
from tests.backend.test_loading_transformers import build, opened, transformers

pytestmark = pytest.mark.filterwarnings("ignore")  # those of another package

EXPERTS = "model.layers.0.mlp.experts.gate_up_proj"


def renamed(path, model):
    """A file under the model's names, and the notes."""
    return as_the_model_names_it(open_checkpoint(path), model, list(model.state_dict()))


@pytest.fixture
def mixture(tmp_path):
    """A mixture of experts and its file, which holds each expert apart."""
    torch.manual_seed(1)
    model = build("mixtral", "MixtralForCausalLM")
    model.save_pretrained(tmp_path)
    return model, str(tmp_path / "model.safetensors")


def test_any_other_model_and_names_that_are_right_already_are_left_alone(tmp_path):
    model = load_models.linear()
    path = saved(tmp_path / "a.safetensors", {"gamma": torch.zeros(2)})
    checkpoint = open_checkpoint(path)
    assert as_the_model_names_it(checkpoint, model, ["weight"]) == (checkpoint, [])
    bert = build("bert", "BertModel")
    path = saved(tmp_path / "b.safetensors", dict(bert.state_dict()))
    checkpoint = open_checkpoint(path)
    assert as_the_model_names_it(checkpoint, bert, list(bert.state_dict())) == (checkpoint, [])


def test_old_names_are_the_new_ones_with_their_memory(tmp_path):
    model = build("bert", "BertModel")
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma"): value
        for key, value in model.state_dict().items()
    }
    path = saved(tmp_path / "old.pt", {"bert." + k: v for k, v in old.items()}, torch_format=True)
    checkpoint, notes = renamed(path, model)
    changed = sum("LayerNorm.weight" in key for key in model.state_dict())
    assert notes == [f"{changed} keys were renamed by transformers since the file was written"]
    name = "bert.embeddings.LayerNorm.weight"
    assert origin(checkpoint, name) == "bert.embeddings.LayerNorm.gamma"
    assert checkpoint.spec(name).memory is not None
    assert torch.equal(checkpoint.tensor(name), model.embeddings.LayerNorm.weight)
    assert b"".join(block.tobytes() for block in checkpoint.blocks(name)) == raw(
        model.embeddings.LayerNorm.weight
    )
    assert checkpoint.fingerprint() == open_checkpoint(path).fingerprint()
    checkpoint.close()


def test_experts_are_put_together_from_descriptions_and_read_when_asked_for(mixture):
    model, path = mixture
    checkpoint, notes = renamed(path, model)
    assert notes[-1] == "4 tensors are put together or taken apart as transformers does it"
    wanted = model.state_dict()[EXPERTS]
    entry = checkpoint.file.entries[EXPERTS]
    assert (entry.shape, entry.dtype, entry.nbytes) == (wanted.shape, "float32", wanted.nbytes)
    assert origin(checkpoint, EXPERTS) is None
    assert sorted(checkpoint.names()) == sorted(model.state_dict())
    assert b"".join(block.tobytes() for block in checkpoint.blocks(EXPERTS)) == raw(wanted)
    checkpoint.release()
    checkpoint.close()


def test_a_part_that_is_missing_or_of_another_shape_is_told(mixture, tmp_path):
    model, path = mixture
    held = load_file(path)
    experts = [key for key in held if "layers.0" in key and "experts.1." in key]
    assert experts
    part = {key: value for key, value in held.items() if key not in experts}
    other = tmp_path / "part.safetensors"
    save_file(part, other)
    checkpoint, _ = renamed(other, model)
    assert checkpoint.file.entries[EXPERTS].shape[0] == 2
    part = {**held, experts[0]: torch.zeros(1, 1)}
    save_file(part, other)
    checkpoint, _ = renamed(other, model)
    reasons = [entry.reason for entry in checkpoint.file.entries.values() if entry.reason]
    assert any(reason.startswith("transformers cannot convert it") for reason in reasons)


def test_what_cannot_be_put_together_is_a_difference_and_the_rest_is_loaded(
    mixture, tmp_path, monkeypatch
):
    _, path = mixture
    held = load_file(path)
    broken = next(key for key in held if "layers.0" in key and "experts.1." in key)
    other = str(tmp_path / "part.safetensors")
    save_file({**held, broken: torch.zeros(1, 1)}, other)
    with Session() as session:
        opened(session, "mixtral", "MixtralForCausalLM", monkeypatch)
        plan = session.plan_state(other)
        (difference,) = plan.differences
        assert difference.kind == "value"
        assert "transformers cannot convert it" in difference.sentence
        edited = session.load_state(other, fit=True)
        assert edited.history[0].touched == plan.tensors - 1


def test_a_script_can_say_what_was_renamed_and_not_what_was_put_together(
    mixture, tmp_path, monkeypatch
):
    _, path = mixture
    with Session() as session:
        opened(session, "mixtral", "MixtralForCausalLM", monkeypatch)
        session.load_state(path)
        assert session._journal.standing[-1][0].recipe is None
        build("vit", "ViTModel").save_pretrained(tmp_path / "vit")
        opened(session, "vit", "ViTModel", monkeypatch)
        session.load_state(str(tmp_path / "vit" / "model.safetensors"))
        recipe = session._journal.standing[-1][0].recipe
        assert isinstance(recipe, LoadRecipe)
        names = load_file(tmp_path / "vit" / "model.safetensors").keys()
        assert {name for name, _ in recipe.keys} == set(names)
        assert {key for _, key in recipe.keys} == set(session._opened.model.state_dict())


def test_a_list_of_another_form_is_told_and_the_file_taken_as_it_is(tmp_path, monkeypatch):
    model = build("bert", "BertModel")
    path = saved(tmp_path / "a.safetensors", {"gamma": torch.zeros(2)})
    mapping = transformers.conversion_mapping
    monkeypatch.setattr(mapping, "get_model_conversion_mapping", lambda model: 3)
    checkpoint, notes = renamed(path, model)
    assert checkpoint.names() == ["gamma"]
    assert notes[0].startswith("transformers' list of renamed layers could not be used: ")
