"""Keys of a model's state dict, traced back to its tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.state_slots import slots_of, state_of
from inspector_app.backend.tree import build_tree
from inspector_app.protocol.errors import ModelError
from tests.backend import load_models


def slots(model: nn.Module):
    tree = build_tree(model)
    found = slots_of(model, tree)
    paths = {slot.key: tree.table.path(slot.row) if slot.row >= 0 else None for slot in found}
    return {slot.key: slot for slot in found}, paths


def test_every_key_of_an_ordinary_model_is_the_row_of_its_path():
    for build in (load_models.resnet, load_models.recurrent, load_models.strided):
        model = build()
        found, paths = slots(model)
        assert list(found) == list(model.state_dict())
        assert all(key == path for key, path in paths.items())
        assert not any(slot.reason for slot in found.values())


def test_names_of_one_tensor_have_one_memory_and_others_none_in_common():
    found, _ = slots(load_models.transformer())
    assert found["embed.weight"].memory == found["head.weight"].memory
    assert len({slot.memory for slot in found.values()}) == len(found) - 1
    found, _ = slots(load_models.sharing())
    assert found["whole"].memory == found["twin"].memory != found["part"].memory


def test_other_names_and_parts_of_tensors_are_traced_by_their_memory():
    found, paths = slots(load_models.hooked())
    assert paths["hooked.offset"] == "hooked.bias"
    assert paths["hooked.first_row"] == "hooked.weight"
    assert paths["hooked.doubled"] is None
    assert "computes it for its state dict" in found["hooked.doubled"].reason


def test_what_is_no_tensor_or_cannot_be_written_has_a_reason():
    found, _ = slots(load_models.peculiar())
    assert "no tensor but dict" in found["extra._extra_state"].reason
    assert "no tensor but int" in found["versioned._extra_state"].reason
    assert found["overridden.packed"].row == -1
    found, paths = slots(load_models.sharing())
    assert "expanded" in found["expanded"].reason
    assert paths["expanded"] == "expanded"


def test_kinds_of_tensors_that_have_no_plain_memory():
    model = nn.Module()
    model.register_buffer("sparse", torch.eye(3).to_sparse())
    model.register_buffer("meta", torch.empty(3, device="meta"))
    with torch.inference_mode():
        model.register_buffer("inferred", torch.ones(2))
    found, paths = slots(model)
    assert "sparse" in found["sparse"].reason
    assert "no data" in found["meta"].reason
    assert "inference mode" in found["inferred"].reason
    assert all(key == path for key, path in paths.items())


def test_lazy_and_empty_tensors():
    found, paths = slots(load_models.lazy())
    assert found["0.weight"].lazy
    assert not found["2.weight"].lazy
    assert paths["0.weight"] == "0.weight"
    model = nn.Module()
    model.register_buffer("empty", torch.empty(0))
    model.register_buffer("none", torch.empty(0, 3))
    found, paths = slots(model)
    assert found["empty"].memory is None
    assert paths == {"empty": "empty", "none": "none"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (lambda: {1: torch.ones(1)}, "key of class int"),
        (lambda: 3, "state_dict"),
        (lambda: exec("raise SystemExit(3)"), "SystemExit"),
    ],
)
def test_a_state_dict_that_is_none_is_told(state, said):
    model = nn.Linear(2, 2)
    model.state_dict = state
    with pytest.raises(ModelError, match=said):
        state_of(model)


def test_a_model_that_holds_itself_is_told():
    model = nn.Module()
    model.inner = nn.Module()
    model.inner.outer = model
    with pytest.raises(ModelError, match="holds itself"):
        state_of(model)
