"""Laying a checkpoint onto a model, against what torch's own ``load_state_dict`` makes of it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import ModelError, RefusedError
from tests.backend import load_models
from tests.backend.edit_models import raw, state
from tests.backend.load_models import OLD, randomised

MODELS = ["resnet", "transformer", "recurrent", "computed", "strided", "dtypes", "linear"]


@pytest.fixture
def session():
    with Session() as session:
        yield session


def opened(session: Session, name: str) -> nn.Module:
    session.open(f"tests.backend.load_models:{name}")
    return session._opened.model


def saved(path: Path, values: dict[str, object], *, torch_format: bool = False) -> str:
    if torch_format:
        torch.save(values, path)
    else:
        tied: set[int] = set()
        tensors = {}
        for key, value in values.items():
            plain = value.resolve_conj().resolve_neg().contiguous()
            fresh = plain.clone() if plain.data_ptr() in tied else plain
            tied.add(fresh.data_ptr())
            tensors[key] = fresh
        save_file(tensors, path)
    return str(path)


def kinds(plan: m.StatePlan) -> dict[str, str]:
    return {difference.name: difference.kind for difference in plan.differences}


def one(plan: m.StatePlan, name: str) -> m.StateDifference:
    (found,) = [difference for difference in plan.differences if difference.name == name]
    return found


def values_of(model: nn.Module) -> dict[str, bytes]:
    state = model.state_dict()
    return {key: raw(value) for key, value in state.items() if isinstance(value, torch.Tensor)}


@pytest.mark.filterwarnings(OLD)
@pytest.mark.parametrize("torch_format", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_loaded_as_torch_loads_it_and_undone_bit_by_bit(
    session, tmp_path, name, torch_format
):
    model = opened(session, name)
    new = randomised(model)
    if not torch_format and name == "dtypes":
        del new["of_complex128"], model._buffers["of_complex128"]  # which safetensors does not know
        session._rebuilt()
    before = state(model)
    theirs = copy.deepcopy(model) if name != "computed" else None
    path = saved(tmp_path / "weights", new, torch_format=torch_format)
    plan = session.plan_state(path)
    assert plan.complete
    assert plan.matching == plan.fits == plan.tensors == len(new)
    assert state(model) == before
    edited = session.load_state(path)
    if theirs is None:  # an old norm's weight cannot be copied: built anew
        theirs = getattr(load_models, name)()
    theirs.load_state_dict(new)
    assert values_of(model) == values_of(theirs)
    after = state(model)
    assert {key: (facts[0], facts[1], facts[3]) for key, facts in after.items()} == {
        key: (facts[0], facts[1], facts[3]) for key, facts in before.items()
    }
    (entry,) = edited.history
    assert (entry.kind, entry.title, entry.fit) == ("load", "Load weights", False)
    assert edited.refused == []
    session.undo()
    assert state(model) == before
    session.redo()
    assert state(model) == after


def test_what_does_not_fit_is_told_and_nothing_is_loaded(session, tmp_path):
    model = opened(session, "resnet")
    new = randomised(load_models.resnet(classes=7))
    del new["bn1.weight"], new["layer1.0.bn1.num_batches_tracked"]
    new["extra.weight"] = torch.zeros(2, 3)
    path = saved(tmp_path / "other.safetensors", new)
    before = state(model)
    plan = session.plan_state(path)
    assert kinds(plan) == {
        "bn1.weight": "missing",
        "layer1.0.bn1.num_batches_tracked": "missing",
        "fc.weight": "shape",
        "fc.bias": "shape",
        "extra.weight": "unexpected",
    }
    head = one(plan, "fc.weight")
    assert (head.model, head.file) == ("float32 [5, 8]", "float32 [7, 8]")
    assert session.tree.table.path(session.tree.table.position(head.row)) == "fc.weight"
    assert one(plan, "extra.weight").row == -1
    assert "older files lack it" in one(plan, "layer1.0.bn1.num_batches_tracked").sentence
    assert plan.fits == plan.matching == plan.tensors - 4
    with pytest.raises(RefusedError) as refused:
        session.load_state(path)
    assert refused.value.sentence == (
        "other.safetensors does not fit the model, so nothing was changed: 2 not in the file "
        "(bn1.weight, layer1.0.bn1.num_batches_tracked), 1 not of the model (extra.weight), 2 of "
        "another shape (fc.weight, fc.bias). Load what fits to load the rest."
    )
    assert state(model) == before
    with pytest.raises(RefusedError, match="nothing to undo"):
        session.undo()


def test_what_fits_is_loaded_when_asked_for(session, tmp_path):
    model = opened(session, "resnet")
    new = randomised(load_models.resnet(classes=7))
    path = saved(tmp_path / "other.safetensors", new)
    before = state(model)
    edited = session.load_state(path, fit=True)
    values = model.state_dict()
    for key, value in new.items():
        if not key.startswith("fc"):
            assert torch.equal(values[key], value)
    assert state(model)["fc.weight"] == before["fc.weight"]
    (entry,) = edited.history
    assert (entry.title, entry.fit) == ("Load what fits of other.safetensors", True)
    assert entry.touched == len(new) - 2
    reasons = {refusal.reason: refusal.examples for refusal in edited.refused}
    assert reasons == {
        "the file has float32 [7, 8]": ["fc.weight"],
        "the file has float32 [7]": ["fc.bias"],
    }
    session.undo()
    assert state(model) == before


def test_a_file_of_another_model_is_refused_even_then(session, tmp_path):
    model = opened(session, "linear")
    before = state(model)
    path = saved(tmp_path / "other.safetensors", {"conv.kernel": torch.zeros(2)})
    with pytest.raises(RefusedError, match=r"It is of another model\."):
        session.load_state(path, fit=True)
    assert state(model) == before


def test_a_prefix_is_found_told_and_kept_for_the_replay(session, tmp_path):
    model = opened(session, "resnet")
    new = randomised(model)
    wrapped = {f"module._orig_mod.{key}": value for key, value in new.items()}
    path = saved(tmp_path / "wrapped.safetensors", wrapped)
    plan = session.plan_state(path)
    assert plan.complete
    assert plan.prefix == "module._orig_mod."
    assert plan.notes[0] == "“module._orig_mod.” is taken off the front of the file's keys"
    assert not session.plan_state(path, prefix="").matching
    edited = session.load_state(path)
    assert edited.history[0].prefix is None  # which finds it again
    assert session.load_state(path, plan.prefix).history[1].prefix == plan.prefix
    assert torch.equal(model.state_dict()["fc.weight"], new["fc.weight"])


def test_the_requests_go_and_the_answers_come_across_the_wire(session, tmp_path):
    model = opened(session, "resnet")
    new = randomised(load_models.resnet(classes=7))
    path = saved(tmp_path / "other.safetensors", new)
    frozen = {
        name: nn.Parameter(tensor.detach(), False) for name, tensor in model.named_parameters()
    }
    noting = saved(tmp_path / "noting.pt", frozen, torch_format=True)
    asked = [
        m.PlanState(path=path, prefix=""),
        m.LoadState(path=path, fit=True),
        m.ApplyRequiresGrad(path=noting),
    ]
    for request, kind in zip(asked, (m.StatePlan, m.Edited, m.Edited), strict=True):
        body = b"".join(framing.encode(request))[4:]
        answer = session.handle(framing.decode(body, type(request)))
        again = framing.decode(b"".join(framing.encode(answer))[4:], kind)
        assert type(again) is kind
        if kind is m.StatePlan:
            assert again == answer
        else:
            assert again.history == answer.history
            assert again.refused == answer.refused


# -- data types ------------------------------------------------------------------------------------


def test_conversions_without_loss_are_no_difference_but_a_note(session, tmp_path):
    model = opened(session, "resnet")
    new = randomised(model)
    halved = {
        key: value.bfloat16() if value.is_floating_point() else value.int()
        for key, value in new.items()
    }
    path = saved(tmp_path / "half.safetensors", halved)
    plan = session.plan_state(path)
    assert plan.complete
    floats = sum(value.dtype == torch.bfloat16 for value in halved.values())
    assert plan.notes == [
        f"{floats} tensors are converted from bfloat16 to float32 without loss",
        f"{len(new) - floats} tensors are converted from int32 to int64 without loss",
    ]
    session.load_state(path)
    theirs = load_models.resnet()
    theirs.load_state_dict(halved)
    assert values_of(model) == values_of(theirs)


def test_digits_are_lost_only_when_what_fits_is_asked_for(session, tmp_path):
    model = opened(session, "linear")
    new = {key: value.double() + 1e-12 for key, value in randomised(model).items()}
    path = saved(tmp_path / "double.safetensors", new)
    plan = session.plan_state(path)
    assert (plan.matching, plan.fits) == (0, 2)
    weight = one(plan, "weight")
    assert (weight.kind, weight.fits) == ("dtype", True)
    assert weight.sentence == "digits are lost from float64 to float32"
    with pytest.raises(RefusedError, match="2 of another data type"):
        session.load_state(path)
    edited = session.load_state(path, fit=True)
    assert edited.refused == []
    theirs = load_models.linear()
    theirs.load_state_dict(new)
    assert values_of(model) == values_of(theirs)


def test_values_that_a_conversion_does_not_hold_are_never_loaded(session, tmp_path):
    model = opened(session, "linear")
    new = {key: value.double() for key, value in randomised(model).items()}
    new["weight"][1, 2] = 1e39
    path = saved(tmp_path / "large.safetensors", new)
    before = state(model)
    plan = session.plan_state(path)
    weight = one(plan, "weight")
    assert (weight.kind, weight.fits, plan.fits) == ("value", False, 1)
    assert weight.sentence.startswith("converting would overflow: the file holds 1e+39")
    session.load_state(path, fit=True)
    assert state(model)["weight"] == before["weight"]
    assert state(model)["bias"] != before["bias"]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("of_float32", torch.complex64),
        ("of_complex64", torch.float32),
        ("of_int64", torch.float32),
        ("of_float32", torch.int64),
        ("of_bool", torch.uint8),
        ("of_uint8", torch.bool),
    ],
)
def test_another_kind_of_number_never_fits(session, tmp_path, name, dtype):
    model = opened(session, "dtypes")
    values = torch.ones(model.state_dict()[name].shape, dtype=dtype)
    path = saved(tmp_path / "kind.pt", {name: values}, torch_format=True)
    difference = one(session.plan_state(path), name)
    assert (difference.kind, difference.fits) == ("dtype", False)
    assert "different kinds of numbers" in difference.sentence


def test_integers_that_would_wrap_do_not_fit(session, tmp_path):
    model = opened(session, "dtypes")
    values = {"of_int8": torch.tensor([1, 2, 3, 4, 5, 127]), "of_int32": torch.full((6,), 2**31)}
    path = saved(tmp_path / "wide.safetensors", values)
    plan = session.plan_state(path)
    assert "of_int8" not in kinds(plan)  # its values fit, so nothing is lost
    assert one(plan, "of_int32").sentence == (
        "converting would wrap: the file holds 2,147,483,648, and int32 ends at 2,147,483,647"
    )
    session.load_state(path, fit=True)
    assert model.of_int8.tolist() == [1, 2, 3, 4, 5, 127]
    assert model.of_int32.tolist() == [0, 1, 2, 3, 4, 5]


def test_every_bit_of_a_value_arrives(session, tmp_path):
    model = opened(session, "dtypes")
    odd = torch.tensor([0x7FC0DEAD, -2147483648, 0x7F800001, 1, -1] * 3, dtype=torch.int32)
    values = {
        "of_float32": odd.view(torch.float32).reshape(3, 5),
        "of_bool": torch.tensor([7, 255], dtype=torch.uint8).view(torch.bool),
    }
    path = saved(tmp_path / "bits.safetensors", values)
    session.load_state(path, fit=True)
    assert torch.equal(model.of_float32.detach().view(torch.int32), odd.reshape(3, 5))
    assert model.of_bool.view(torch.uint8).tolist() == [7, 255]


def test_a_scalar_of_one_element_is_a_scalar_as_torch_has_it(session, tmp_path):
    model = opened(session, "dtypes")
    path = saved(tmp_path / "old.safetensors", {"scalar": torch.tensor([2.5])})
    session.load_state(path, fit=True)
    assert model.scalar.item() == 2.5
    assert model.scalar.shape == ()


# -- keys and tensors that are not one to one ------------------------------------------------------


def test_a_tied_tensor_is_loaded_under_any_of_its_names(session, tmp_path):
    model = opened(session, "transformer")
    new = randomised(model)
    for left_out in ("head.weight", "embed.weight"):
        part = {key: value for key, value in new.items() if key != left_out}
        path = saved(tmp_path / f"{left_out}.safetensors", part)
        plan = session.plan_state(path)
        assert plan.complete
        assert plan.matching == plan.tensors
        (note,) = plan.notes
        assert note.startswith("tied: ")
        session.load_state(path)
        assert torch.equal(model.embed.weight, new["embed.weight"])
        assert model.head.weight is model.embed.weight
        session.undo()


def test_two_names_of_one_tensor_with_other_values_are_a_conflict(session, tmp_path):
    model = opened(session, "transformer")
    new = randomised(model)
    new["head.weight"] = new["embed.weight"] + 1
    path = saved(tmp_path / "untied.safetensors", new)
    plan = session.plan_state(path)
    assert kinds(plan) == {"head.weight": "value"}
    assert plan.differences[0].sentence == (
        "other values than embed.weight, which is the same tensor in the model: those are loaded"
    )
    with pytest.raises(RefusedError):
        session.load_state(path)
    session.load_state(path, fit=True)
    assert torch.equal(model.head.weight, new["embed.weight"])


def test_what_a_file_of_ours_holds_once_is_loaded_under_all_its_names(session, tmp_path):
    opened(session, "transformer")
    path = str(tmp_path / "ours.safetensors")
    session.export(path)
    model = opened(session, "transformer")
    model.head.weight = nn.Parameter(torch.zeros(11, 8))  # not tied any more
    session._rebuilt()
    plan = session.plan_state(path)
    assert plan.complete
    session.load_state(path)
    assert torch.equal(model.head.weight, model.embed.weight)
    assert model.head.weight is not model.embed.weight


def test_parameters_on_one_memory_must_agree(session, tmp_path):
    model = opened(session, "sharing")
    del model._buffers["expanded"]
    session._rebuilt()
    before = state(model)
    whole = torch.arange(12.0).reshape(4, 3)
    agreeing = {"whole": whole, "twin": whole.clone(), "part": whole[1:3].clone()}
    path = saved(tmp_path / "agreeing.safetensors", agreeing)
    plan = session.plan_state(path)
    assert plan.complete
    assert plan.notes == [
        "share memory, so the file must give them the same values there: whole, part"
    ]
    session.load_state(path)
    assert torch.equal(model.part, whole[1:3])
    session.undo()
    assert state(model) == before
    path = saved(tmp_path / "other.safetensors", agreeing | {"part": torch.zeros(2, 3)})
    with pytest.raises(RefusedError, match="shares memory with another tensor"):
        session.load_state(path)
    assert state(model) == before
    edited = session.load_state(path, fit=True)
    assert any(note.endswith("those were written last") for note in edited.notes)
    session.undo()
    assert state(model) == before


def test_what_cannot_be_written_fits_only_where_it_holds_the_values_already(session, tmp_path):
    model = opened(session, "sharing")
    new = {key: value.clone() for key, value in model.state_dict().items()}
    assert session.plan_state(saved(tmp_path / "same.safetensors", new)).complete
    new["expanded"] = torch.arange(5.0)
    plan = session.plan_state(saved(tmp_path / "other.safetensors", new))
    assert kinds(plan) == {"expanded": "value"}
    assert "share one place in memory" in plan.differences[0].sentence


def test_what_no_tensor_of_the_model_is_cannot_be_loaded_and_is_named(session, tmp_path):
    model = opened(session, "peculiar")
    new = randomised(model)
    path = saved(tmp_path / "weights.pt", new, torch_format=True)
    plan = session.plan_state(path)
    told = {difference.name: difference.sentence for difference in plan.differences}
    assert told.keys() == {"hooked.doubled", "overridden.packed"}
    assert "computes it for its state dict" in told["overridden.packed"]
    assert all(difference.row == -1 for difference in plan.differences)
    edited = session.load_state(path, fit=True)
    assert any("overridden.packed" in note for note in edited.notes)
    assert torch.equal(model.hooked.bias, new["hooked.offset"])
    assert torch.equal(model.extra.weight, new["extra.weight"])


def test_computed_values_that_are_the_same_anyway_fit(session, tmp_path):
    model = opened(session, "hooked")
    new = dict(model.state_dict())
    path = saved(tmp_path / "weights.pt", new, torch_format=True)
    assert session.plan_state(path).complete
    new["hooked.doubled"] = new["hooked.doubled"] + 1
    path = saved(tmp_path / "other.pt", new, torch_format=True)
    assert kinds(session.plan_state(path)) == {"hooked.doubled": "value"}


def test_a_buffer_that_is_not_saved_is_named_as_one(session, tmp_path):
    opened(session, "peculiar")
    path = saved(tmp_path / "weights.safetensors", {"passing": torch.zeros(3)})
    difference = one(session.plan_state(path), "passing")
    assert difference.kind == "unexpected"
    assert (
        difference.sentence
        == "the model has a buffer of that name, which its state dict leaves out"
    )


@pytest.mark.filterwarnings(OLD)
def test_weight_norm_of_old_is_loaded_into_that_of_today_as_torch_does(session, tmp_path):
    model = opened(session, "computed")
    new = randomised(model)
    for letter, number in (("g", 0), ("v", 1)):
        new[f"new_norm.weight_{letter}"] = new.pop(
            f"new_norm.parametrizations.weight.original{number}"
        )
    path = saved(tmp_path / "old.safetensors", new)
    plan = session.plan_state(path)
    assert plan.complete
    session.load_state(path)
    theirs = load_models.computed()
    theirs.load_state_dict(new)
    assert values_of(model) == values_of(theirs)


def test_code_that_may_rename_keys_is_named_where_keys_are_left_over(session, tmp_path):
    model = opened(session, "linear")
    model.register_load_state_dict_pre_hook(lambda module, state, *rest: None)
    path = saved(
        tmp_path / "renamed.safetensors", {"kernel": torch.zeros(2, 3), "bias": torch.zeros(2)}
    )
    plan = session.plan_state(path)
    assert plan.notes == [
        "torch would run code of the model that may rename keys, and here it is not run: load "
        "hooks of the model"
    ]


def test_values_beside_the_state_dict_are_no_keys(session, tmp_path):
    model = opened(session, "linear")
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    new = randomised(model)
    everything = {"model": new, "optimizer": optimizer.state_dict(), "epoch": 3}
    plan = session.plan_state(saved(tmp_path / "training.pt", everything, torch_format=True))
    assert plan.complete
    assert plan.notes[0] == "found under “model”: what stands beside it is not loaded"


def test_gradients_stay_and_are_told(session, tmp_path):
    model = opened(session, "linear")
    model(torch.ones(1, 3)).sum().backward()
    gradient = model.weight.grad
    model.bias.requires_grad_(False)
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    version = model.weight._version
    edited = session.load_state(path)
    assert model.weight.grad is gradient
    assert not model.bias.requires_grad
    assert any("2 of the tensors have gradients" in note for note in edited.notes)
    assert model.weight._version > version


# -- lazy tensors ----------------------------------------------------------------------------------


def test_lazy_tensors_get_the_shapes_of_the_file_as_torch_gives_them(session, tmp_path):
    model = opened(session, "lazy")
    parameters = list(model.parameters())
    kept = raw(model[2].weight)
    new = randomised(load_models.not_lazy())
    path = saved(tmp_path / "weights.safetensors", new)
    plan = session.plan_state(path)
    assert plan.complete
    assert plan.notes == ["6 lazy tensors get their shapes from the file"]
    edited = session.load_state(path)
    theirs = load_models.lazy()
    theirs.load_state_dict(new)
    assert values_of(model) == values_of(theirs)
    assert [type(tensor) for tensor in model.parameters()] == [nn.Parameter] * 6
    assert len(edited.change.changed) >= 6
    assert session.tree.table.shape(session.tree.table.paths.index("0.weight")) == (4, 3)
    session.undo()
    assert all(now is then for now, then in zip(model.parameters(), parameters, strict=True))
    assert isinstance(model[0].weight, nn.UninitializedParameter)
    assert isinstance(model[1].running_mean, nn.UninitializedBuffer)
    assert raw(model[2].weight) == kept
    assert session.tree.table.shape(session.tree.table.paths.index("0.weight")) is None
    session.redo()
    assert values_of(model) == values_of(theirs)
    assert model(torch.ones(5, 3)).shape == (5, 2)


def test_a_lazy_layer_that_has_run_cannot_be_made_lazy_again(session, tmp_path):
    model = opened(session, "lazy")
    path = saved(tmp_path / "weights.safetensors", randomised(load_models.not_lazy()))
    session.load_state(path)
    model(torch.ones(5, 3))
    after = values_of(model)
    with pytest.raises(RefusedError, match="have run since"):
        session.undo()
    assert values_of(model) == after


# -- where it cannot be done -----------------------------------------------------------------------


def test_a_checkpoint_and_a_model_on_meta_say_why(session, tmp_path):
    path = saved(tmp_path / "weights.safetensors", {"weight": torch.zeros(2, 3)})
    told = session.open(path)
    for ask in (session.plan_state, session.load_state):
        with pytest.raises(RefusedError) as refused:
            ask(path)
        assert refused.value.sentence == told.disabled["load"]
    told = session.open("tests.backend.load_models:linear", device="meta")
    with pytest.raises(RefusedError, match="nothing to load into"):
        session.load_state(path)
    assert "nothing to load into" in told.disabled["load"]


def test_a_model_without_a_state_dict_is_told(session, tmp_path):
    model = opened(session, "linear")

    def broken(*args, **kwargs):
        raise ValueError("not today")

    model.state_dict = broken
    path = saved(tmp_path / "weights.safetensors", {"weight": torch.zeros(2, 3)})
    with pytest.raises(ModelError, match=r"state_dict.*not today"):
        session.plan_state(path)


def test_a_wider_type_whose_values_all_fit_is_no_difference(session, tmp_path):
    model = opened(session, "linear")
    new = {key: value.double() for key, value in randomised(model).items()}
    plan = session.plan_state(saved(tmp_path / "double.safetensors", new))
    assert plan.complete
    assert "2 tensors are converted from float64 to float32 without loss" in plan.notes
