import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inspector_app.backend.freezing import freeze, plan_freeze
from inspector_app.backend.tree import refreshed
from inspector_app.protocol.changes import apply
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.table import Flag
from tests.backend.edit_models import Mixed, at, everything, paths, state, tree_of


def reasons(told):
    return {refusal.reason: refusal.examples for refusal in told.refused}


def trains(model):
    return {name: p.requires_grad for name, p in model.named_parameters(remove_duplicate=False)}


@pytest.fixture
def model():
    return Mixed()


@pytest.fixture
def tree(model):
    return tree_of(model)


def test_freezes_from_the_root_and_back(model, tree):
    before = state(model)
    edit = freeze(tree, everything(tree), True)
    assert not any(trains(model).values())
    assert edit.touched == len({id(p) for p in model.parameters() if p.dtype != torch.int8})
    edit.undo()
    assert state(model) == before
    edit.redo()
    assert not any(trains(model).values())


def test_the_plan_is_what_happens(model, tree):
    plan = plan_freeze(tree, at(tree, "body"), True, "Freeze body")
    before = state(model)
    edit = freeze(tree, at(tree, "body"), True)
    changed = {name for name, value in state(model).items() if value != before[name]}
    assert set(paths(tree, plan.changes)) == changed
    assert sorted(edit.rows) == sorted(plan.changes)
    assert (plan.tensors, plan.title, plan.undoable) == (edit.touched, "Freeze body", True)
    assert (plan.notes, plan.refused) == (edit.notes, edit.refused)


def test_planning_changes_nothing(model, tree):
    before = state(model)
    plan_freeze(tree, everything(tree), True, "")
    plan_freeze(tree, everything(tree), False, "")
    assert state(model) == before


def test_a_second_parameter_on_the_same_memory_is_frozen_too(model, tree):
    plan = plan_freeze(tree, at(tree, "body"), True, "")
    assert {"twin", "part"} <= set(paths(tree, plan.changes))
    assert "tied: twin is also known as body.0.weight" in plan.notes
    assert any("shares" in note and "part" in note for note in plan.notes)
    freeze(tree, at(tree, "body"), True)
    start = model.body[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    sum(p.abs().sum() for p in model.parameters() if p.requires_grad).backward()
    optimizer.step()
    assert torch.equal(model.body[0].weight, start)


def test_a_tied_tensor_is_one_and_both_its_names_are_told(model, tree):
    plan = plan_freeze(tree, at(tree, "head"), True, "")
    assert plan.tensors == 1
    assert plan.elements == 24
    assert set(paths(tree, plan.changes)) == {"embed.weight", "head.weight"}
    assert plan.notes == ["tied: embed.weight is also known as head.weight"]


def test_many_names_are_cut_short():
    shared = nn.Linear(2, 2, bias=False)
    model = nn.ModuleList([shared] * 30)
    tree = tree_of(model)
    (note,) = plan_freeze(tree, at(tree, "0"), True, "").notes
    assert note.endswith("20.weight and 9 more")


def test_integers_are_left_out_with_a_word(tree):
    told = reasons(freeze(tree, everything(tree), False))
    assert told == {"int8: only floating-point and complex parameters have gradients": ["codes"]}
    with pytest.raises(RefusedError, match="codes"):
        freeze(tree, at(tree, "codes"), True)


@pytest.mark.parametrize(
    ("path", "word"),
    [("seen", "buffer"), ("plain", "plain attribute"), ("body.1.running_var", "b")],
)
def test_rows_that_are_no_parameters_are_refused_when_pointed_at(tree, path, word):
    plan = plan_freeze(tree, at(tree, path, "head"), True, "")
    ((reason, examples),) = reasons(plan).items()
    assert word in reason
    assert examples == [path]
    with pytest.raises(RefusedError, match=word):
        freeze(tree, at(tree, path), True)


def test_a_module_without_parameters_is_refused_by_name():
    tree = tree_of(nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    assert reasons(plan_freeze(tree, at(tree, "0"), True, "")) == {"holds no parameters": ["0"]}
    with pytest.raises(RefusedError, match="holds no parameters"):
        freeze(tree, at(tree, "0"), True)
    assert plan_freeze(tree, at(tree, "0", "1"), True, "").refused == []


def test_a_whole_model_without_parameters():
    tree = tree_of(nn.ReLU())
    with pytest.raises(RefusedError, match=r"the model \(holds no parameters\)"):
        freeze(tree, everything(tree), True)


def test_what_is_so_already_is_no_change_and_no_refusal(tree):
    freeze(tree, at(tree, "body"), True)
    edit = freeze(tree, at(tree, "body"), True)
    assert (edit.touched, edit.refused, len(edit.rows)) == (0, [], 0)


def test_undo_gives_back_only_what_it_took(model, tree):
    model.float16.requires_grad_(False)
    before = trains(model)
    edit = freeze(tree, everything(tree), True)
    edit.undo()
    assert trains(model) == before


def test_stale_gradients_go_and_come_back(model, tree):
    model.float16.grad = gradient = torch.ones_like(model.float16)
    model.brain16.requires_grad_(False)
    model.brain16.grad = torch.ones_like(model.brain16)  # weight decay would move it
    before = state(model)
    plan = plan_freeze(tree, everything(tree), True, "")
    assert any("2 gradients" in note for note in plan.notes)
    assert "brain16" in paths(tree, plan.changes)
    edit = freeze(tree, everything(tree), True)
    assert model.float16.grad is None
    assert model.brain16.grad is None
    start = model.float16.detach().clone()
    torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5).step()
    assert torch.equal(model.float16, start)
    edit.undo()
    assert model.float16.grad is gradient
    assert state(model) == before


def test_unfreezing_keeps_gradients(model, tree):
    model.float16.requires_grad_(False)
    model.float16.grad = gradient = torch.ones_like(model.float16)
    freeze(tree, everything(tree), False)
    assert model.float16.grad is gradient


def test_inference_tensors_go_one_way_only():
    with torch.inference_mode():
        model = nn.Linear(2, 2)
    model.bias = nn.Parameter(torch.zeros(2))
    tree = tree_of(model)
    edit = freeze(tree, everything(tree), True)
    told = reasons(plan_freeze(tree, everything(tree), False, ""))
    assert told == {"made in inference mode: cannot require a gradient": ["weight"]}
    edit.undo()
    assert trains(model) == {"weight": True, "bias": True}
    edit.redo()
    freeze(tree, everything(tree), False)
    assert trains(model) == {"weight": False, "bias": True}


def test_a_parameter_that_is_no_leaf_is_refused(recwarn):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.bias.requires_grad_(False)
    model.bias.mul_(torch.ones(2, requires_grad=True))
    assert not model.bias.is_leaf
    tree = tree_of(model)
    edit = freeze(tree, everything(tree), True)
    assert list(reasons(edit).values()) == [["bias"]]
    assert trains(model) == {"weight": False, "bias": True}
    assert len(recwarn) == 0


def test_a_zero_gradient_is_stale_too(model, tree):
    """It is what zero_grad(set_to_none=False) leaves, and momentum or weight decay moves by it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    model.float16.grad = torch.ones_like(model.float16)
    optimizer.zero_grad(set_to_none=False)
    freeze(tree, at(tree, "float16"), True)
    start = model.float16.detach().clone()
    optimizer.step()
    assert torch.equal(model.float16, start)


def test_a_parameter_with_hooks_is_frozen_and_back():
    model = nn.Linear(2, 2)
    seen = []
    model.weight.register_hook(lambda gradient: seen.append("gradient"))
    model.weight.register_post_accumulate_grad_hook(lambda parameter: seen.append("after"))
    edit = freeze(tree_of(model), np.arange(3, dtype=np.int32), True)
    assert not model.weight.requires_grad
    edit.undo()
    model(torch.ones(1, 2)).sum().backward()
    assert seen == ["gradient", "after"]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("compiled", ["script", "trace"])
def test_compiled_modules_are_frozen_parameter_by_parameter(compiled):
    """``ScriptModule.requires_grad_`` reaches nothing."""
    plain = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model = torch.jit.script(plain)
    if compiled == "trace":
        model = torch.jit.trace(plain, torch.ones(1, 3))
    tree = tree_of(model)
    edit = freeze(tree, at(tree, "0"), True)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    model(torch.ones(1, 3)).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]
    edit.undo()
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("reentrant", [False, True])
def test_between_two_steps_of_a_checkpointed_model(reentrant):
    """Amid a step the recompute would fail; edits are made where none is under way."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    tree = tree_of(model)
    x = torch.ones(2, 3, requires_grad=True)

    def step():
        checkpoint(model, x, use_reentrant=reentrant).sum().backward()

    step()
    edit = freeze(tree, at(tree, "0"), True)
    step()
    assert model[0].weight.grad is None
    assert model[2].weight.grad is not None
    edit.undo()
    step()


def test_lazy_parameters_stay_frozen_when_they_get_their_shape():
    model = nn.Sequential(nn.LazyLinear(3))
    tree = tree_of(model)
    freeze(tree, everything(tree), True)
    model(torch.ones(1, 5))
    assert trains(model) == {"0.weight": False, "0.bias": False}


def test_wholly_or_not_at_all(model, tree):
    class Stubborn(nn.Parameter):
        @property
        def requires_grad(self):
            return torch._C.TensorBase.requires_grad.__get__(self)

        @requires_grad.setter
        def requires_grad(self, value):
            if not value:
                raise RuntimeError("never")
            torch._C.TensorBase.requires_grad.__set__(self, value)

    model.head.bias = Stubborn(torch.zeros(6))
    model.float16.grad = torch.ones_like(model.float16)
    tree = tree_of(model)
    before = state(model)
    with pytest.raises(RefusedError, match="nothing was changed: never"):
        freeze(tree, everything(tree), True)
    assert state(model) == before


class TestBatchNorm:
    def test_moving_statistics_are_noted(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2, affine=False))
        tree = tree_of(model)
        (note,) = plan_freeze(tree, everything(tree), True, "").notes
        assert note.endswith(": 1, 2")
        assert plan_freeze(tree, at(tree, "1.weight"), True, "").notes[0].endswith(": 1")
        assert plan_freeze(tree, at(tree, "0"), True, "").notes == []
        assert plan_freeze(tree, everything(tree), False, "").notes == []

    def test_not_where_they_stand_still(self):
        model = nn.Sequential(
            nn.BatchNorm1d(2).eval(), nn.BatchNorm1d(2, track_running_stats=False), nn.LayerNorm(2)
        )
        tree = tree_of(model)
        assert plan_freeze(tree, everything(tree), True, "").notes == []


def test_aliases_of_a_tensor_show_it_too(model):
    model.body.alias = [model.float16]
    tree = tree_of(model)
    edit = freeze(tree, at(tree, "float16"), True)
    assert set(paths(tree, edit.rows)) == {"float16", "body.alias[0]"}


def test_refreshed_reads_the_flags_again(model, tree):
    assert tree.table.paths
    edit = freeze(tree, at(tree, "head", "body.0"), True)
    new, change = refreshed(tree, everything(tree))
    assert sorted(change.changed.ids) == sorted(edit.rows)
    assert not change.structural
    for row, thing in enumerate(new.objects):
        if new.table.has(row, Flag.TENSOR):
            assert new.table.has(row, Flag.REQUIRES_GRAD) == thing.requires_grad
    assert np.array_equal(apply(tree.table, change).flags, new.table.flags)
    assert new.table.paths is tree.table.paths
    assert np.array_equal(new.table.flags, tree_of(model).table.flags)
    assert refreshed(new, everything(tree))[1].empty


def test_forgotten_edits_hold_nothing():
    model = nn.Linear(2, 2)
    edit = freeze(tree_of(model), np.arange(3, dtype=np.int32), True)
    tensor = weakref.ref(model.weight)
    edit.forget()
    del model
    gc.collect()
    assert tensor() is None
