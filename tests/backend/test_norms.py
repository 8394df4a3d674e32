import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from inspector_app.backend.freezing import freeze, plan_freeze
from inspector_app.backend.norms import hold, plan_hold
from inspector_app.protocol.errors import RefusedError
from sample_models.batchnorm_lite import BatchNormLite
from tests.backend.edit_models import at, everything, paths, state, tree_of


@pytest.fixture
def model():
    shared = nn.BatchNorm1d(4)
    return nn.ModuleDict(
        {
            "linear": nn.Linear(4, 4),
            "batch": nn.BatchNorm1d(4),
            "own": BatchNormLite(4),
            "layer": nn.LayerNorm(4),
            "untracked": nn.BatchNorm1d(4, track_running_stats=False),
            "first": shared,
            "second": shared,
        }
    )


def modes(model):
    return {name for name, module in model.named_modules(remove_duplicate=False) if module.training}


def test_layers_with_statistics_go_to_eval_and_back(model):
    tree = tree_of(model)
    before = modes(model)
    edit = hold(tree, everything(tree), True)
    assert before - modes(model) == {"batch", "own", "first", "second"}
    assert edit.touched == 3
    assert set(paths(tree, edit.rows)) == {"batch", "own", "first", "second"}
    held = modes(model)
    edit.undo()
    assert modes(model) == before
    edit.redo()
    assert modes(model) == held
    hold(tree, everything(tree), False)
    assert modes(model) == before


def test_statistics_of_frozen_layers_stand_still_until_train_is_called(model):
    tree = tree_of(model)
    freeze(tree, everything(tree), True)
    tree = tree_of(model)
    (note,) = plan_hold(tree, at(tree, "batch"), True, "").notes
    assert "train() of any module above undoes this" in note
    hold(tree, at(tree, "batch", "own"), True)
    before = state(model)
    for name in ("batch", "own"):
        model[name](5 + torch.randn(8, 4))
    assert state(model) == before
    model.train()
    model["batch"](5 + torch.randn(8, 4))
    assert state(model) != before


def test_a_layer_belongs_to_its_parameters_and_what_trains_is_told(model):
    tree = tree_of(model)
    told = plan_hold(tree, at(tree, "batch.weight", "linear.bias"), True, "Hold it")
    assert paths(tree, told.changes) == ["batch"]
    assert (told.title, told.tensors, told.undoable) == ("Hold it", 1, True)
    assert "their own parameters still train: batch" in told.notes
    assert "batch" in modes(model)  # planning changes nothing


def test_what_is_held_already_is_no_edit(model):
    tree = tree_of(model)
    hold(tree, at(tree, "batch"), True)
    assert hold(tree, at(tree, "batch"), True).touched == 0


def test_undo_gives_back_what_was_there(model):
    model["batch"].eval()
    tree = tree_of(model)
    edit = hold(tree, everything(tree), True)
    edit.undo()
    assert "batch" not in modes(model)
    assert "own" in modes(model)


@pytest.mark.parametrize("path", ["layer", "untracked", "linear"])
def test_refused_where_there_are_none(model, path):
    tree = tree_of(model)
    told = plan_hold(tree, at(tree, path), True, "")
    assert told.refused[0].reason == "keeps no running statistics"
    assert not len(told.changes)
    with pytest.raises(RefusedError, match=rf"no statistics to hold: {path}"):
        hold(tree, at(tree, path), True)


class TestSpectralNorm:
    """Its estimate of the largest singular value moves a frozen weight in train mode."""

    @pytest.fixture(params=["parametrized", "hooked"])
    def model(self, request):
        if request.param == "parametrized":
            return nn.Sequential(parametrizations.spectral_norm(nn.Linear(40, 40)))
        return nn.Sequential(nn.utils.spectral_norm(nn.Linear(40, 40)))

    def test_is_held_like_running_statistics(self, model):
        tree = tree_of(model)
        assert any("still move" in n for n in plan_freeze(tree, everything(tree), True, "").notes)
        freeze(tree, everything(tree), True)
        hold(tree, everything(tree), True)
        held = model[0](torch.eye(40))
        assert torch.equal(model[0](torch.eye(40)), held)
        notes = plan_freeze(tree, everything(tree), True, "").notes
        assert not any("still move" in note for note in notes)
        model.train()
        moved = [model[0](torch.eye(40)) for _ in range(2)]
        assert not torch.equal(moved[0], moved[1])

    def test_belongs_to_the_weight_that_it_divides(self, model):
        tree = tree_of(model)
        original = next(path for path in tree.table.paths if "orig" in path)
        assert plan_hold(tree, at(tree, original), True, "").tensors == 1


class TestCompiled:
    """torch.jit keeps the training flag in C++; a trace has no use for it."""

    def batch_norm(self):
        return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_scripted_layers_are_held(self):
        model = torch.jit.script(self.batch_norm())
        tree = tree_of(model)
        told = plan_hold(tree, everything(tree), True, "")
        assert any("scripted" in note and note.endswith(": 1") for note in told.notes)
        edit = hold(tree, everything(tree), True)
        before = state(model)
        model(5 + torch.randn(8, 3))
        assert state(model) == before
        edit.undo()
        model(5 + torch.randn(8, 3))
        assert state(model) != before

    @pytest.mark.filterwarnings("ignore")
    def test_traced_layers_are_refused(self):
        model = torch.jit.trace(self.batch_norm(), torch.randn(4, 3), check_trace=False)
        tree = tree_of(model)
        told = plan_hold(tree, everything(tree), True, "")
        assert [one.reason for one in told.refused] == [
            "traced: does in every mode what it did when it was traced"
        ]
        with pytest.raises(RefusedError, match=r"hold: 1 \(traced"):
            hold(tree, everything(tree), True)


def test_runs_no_code_of_the_layers():
    class Loud(nn.BatchNorm1d):
        def train(self, mode=True):
            raise AssertionError

    model = nn.Sequential(Loud(3))
    tree = tree_of(model)
    edit = hold(tree, np.arange(len(tree.table), dtype=np.int32), True)
    assert not model[0].training
    edit.undo()
    assert model[0].training
